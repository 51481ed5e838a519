"""Loads and unloads the extension of IPython."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from typing import Any

_REMOVES: dict[int, Callable[[], None]] = {}


def load(shell: Any) -> None:
    """Let a notebook have `%%osprey`."""
    from osprey_executor.interfaces.notebook.magic import register

    if id(shell) not in _REMOVES:
        _REMOVES[id(shell)] = register(shell)
        atexit.register(unload, shell)


def unload(shell: Any) -> None:
    """Take `%%osprey` away, and close what it has opened."""
    if (remove := _REMOVES.pop(id(shell), None)) is not None:
        remove()
