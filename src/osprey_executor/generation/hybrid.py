"""The `hybrid` generator: a fast one first, a thorough one once that has failed."""

from __future__ import annotations

from osprey_executor.errors import ConfigurationError
from osprey_executor.generation._protocol import CodeGenerator
from osprey_executor.models import Assignment, PythonExecutionRequest


class HybridCodeGenerator:
    """Asks `first` until `failures` of its programs have failed, and `then` from there on.

    What keeps one from answering at all (no key, no route) is told as it is: the other never stands in for it.

    Raises:
        ConfigurationError: `failures` is no number from 1.
    """

    def __init__(self, first: CodeGenerator, then: CodeGenerator, failures: int = 1) -> None:
        check_failures(failures)
        self.parts = (first, then)
        self._failures = failures

    async def generate_code(self, request: PythonExecutionRequest, error_chain: list[str]) -> str:
        """Return the program of the generator whose turn it is."""
        # The chain is cut where a fresh program is asked for; the service counts on.
        failed = request.failures if isinstance(request, Assignment) else len(error_chain)
        return await self.parts[failed >= self._failures].generate_code(request, error_chain)


def check_failures(failures: object) -> None:
    """Raise `ConfigurationError` for what is no number of failures."""
    if type(failures) is not int or failures < 1:
        raise ConfigurationError("execution.generators.hybrid.failures must be a whole number from 1")
