"""What a generator of code is: one coroutine, no base class."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from osprey_executor.models import PythonExecutionRequest


@runtime_checkable
class CodeGenerator(Protocol):
    """Writes a program for a task. Any class with this method is one."""

    async def generate_code(self, request: PythonExecutionRequest, error_chain: list[str]) -> str:
        """Return the source of one Python program.

        `error_chain` holds a full report of each earlier failure of this request, the latest last; at first it is
        empty.

        Raises:
            CodeGenerationError: there was an answer, but no usable code in it; asking again may help.
            GeneratorUnavailableError: there was no answer, and asking again will not help at once.
        """
        ...
