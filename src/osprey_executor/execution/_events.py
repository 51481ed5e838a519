"""What an engine tells while the code runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class OutputChunk:
    """A piece of what the code printed; hostile text."""

    stream: Literal["stdout", "stderr"]
    text: str


@dataclass(frozen=True)
class ProgressReport:
    """`runtime.progress` of the code; hostile text. `fraction` is between 0 and 1."""

    fraction: float
    message: str = ""


@dataclass(frozen=True)
class FigureDrawn:
    """A figure that the code has closed, or holds at its end; one of the same number comes in place of the earlier."""

    number: int
    """Counted in the order in which the code made its figures."""
    png: bytearray
    """A PNG file; hostile bytes, of which signature and size alone were checked. Never changed."""


EngineEvent = OutputChunk | ProgressReport | FigureDrawn
