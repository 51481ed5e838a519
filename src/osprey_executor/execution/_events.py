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


EngineEvent = OutputChunk | ProgressReport
