"""An error as the record, the user and the next generation see it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from osprey_executor.errors import ErrorCategory


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
        """Return the whole report as text: stage, type, message, failing line, traceback and the code."""
        parts = [f"Stage: {self.stage}", f"Error: {self.type}: {self.message}"]
        if self.line:
            parts.append(f"Failing line {self.line}: {(self.source_line or '').strip()}")
        if self.traceback:
            parts.append(f"Traceback:\n{self.traceback.rstrip()}")
        if self.code is not None:
            parts.append(f"The code that failed:\n```python\n{self.code.rstrip()}\n```")
        return "\n".join(parts)
