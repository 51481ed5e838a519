"""Replays a recorded run in a plain Python kernel: reads answer from the record, writes change nothing.

This package goes with every run folder, beside a copy of what the program's sandbox held, so that a notebook needs
nothing installed but what the program itself imports. Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

from .replay import facts, run_program, start, summary

__all__ = ["facts", "run_program", "start", "summary"]
