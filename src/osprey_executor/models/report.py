"""An error as the record, the user and the next generation see it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from osprey_executor.errors import ErrorCategory
from osprey_executor.text import fenced, one_line, visible

_LONGEST = 4000
"""Characters of a message or a traceback that a generator is told."""


class Stage(StrEnum):
    """A room of the pipeline."""

    GENERATION = "generation"
    ANALYSIS = "analysis"
    REHEARSAL = "rehearsal"
    APPROVAL = "approval"
    EXECUTION = "execution"
    COLLECTION = "collection"


class ErrorReport(BaseModel):
    """What went wrong, where and in which code."""

    model_config = ConfigDict(frozen=True)

    stage: Stage
    type: str
    """Name of the error class: `ZeroDivisionError`, `ExecutionTimeoutError`."""
    message: str
    category: ErrorCategory = ErrorCategory.CODE_RELATED
    line: int | None = None
    """Line of the program, counted from 1."""
    source_line: str | None = None
    traceback: str | None = None
    """Trimmed to the frames of the program."""
    code: str | None = None
    """The program that failed."""

    def __str__(self) -> str:
        where = f" (line {self.line})" if self.line else ""
        return f"{self.type}: {self.message}{where}"

    def for_generator(self) -> str:
        """Return the whole report as text: stage, type, message, failing line, traceback and the code.

        Message and traceback may be a program's own words: they are quoted and cut, so that they cannot pass for a part
        of the prompt.
        """
        message, kind = _cut(self.message), one_line(self.type)
        quoted = f"\n{fenced(message)}" if "\n" in message else f" {visible(message)}"
        parts = [f"Stage: {self.stage}", f"Error: {kind}:{quoted}"]
        if self.line:
            parts.append(f"Failing line {self.line}: {one_line((self.source_line or '').strip())}")
        if self.traceback:
            parts.append(f"Traceback:\n{fenced(_cut(self.traceback.rstrip()))}")
        if self.code is not None:
            parts.append(f"The code that failed:\n{fenced(self.code, 'python')}")
        return "\n".join(parts)


def _cut(text: str) -> str:
    """Return a text with its middle left out where it is long: its cause stands at one of its ends."""
    left_out = len(text) - _LONGEST
    if left_out <= 0:
        return text
    return f"{text[: _LONGEST // 2]}\n... {left_out} characters left out ...\n{text[-_LONGEST // 2 :]}"
