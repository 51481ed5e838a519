"""The one port to whatever runs code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from osprey_executor.execution._events import EngineEvent
from osprey_executor.models import ControlSession, IsolationReport, Outcome, Probe, Program


class Engine(Protocol):
    """Runs programs in isolation, each in a world of its own; many at once."""

    @property
    def name(self) -> str:
        """Return the name under which the configuration knows this engine."""
        ...

    @property
    def isolation(self) -> IsolationReport:
        """Return what contains the code; `proven` only if this very engine has seen it hold."""
        ...

    async def run(
        self,
        program: Program,
        *,
        control: ControlSession | None = None,
        on_event: Callable[[EngineEvent], None] | None = None,
    ) -> Outcome:
        """Run one program to its end. What the code does wrong is in the outcome, never raised.

        Args:
            program: what runs. An engine never changes it.
            control: the only route from the code to channels; None: the code has none.
            on_event: called in the event loop for output, progress and figures, in their order; it must not block.

        Raises:
            EngineError: the engine broke; the code is not to blame.
            InvalidRequestError: an input cannot be read.
            StorageError: the outcome's files cannot be written.
            asyncio.CancelledError: the task was cancelled; by then every process of the run is gone.
        """
        ...

    async def probe(self) -> list[Probe]:
        """Try, from inside, everything that must be refused, and tell what was seen."""
        ...

    async def identity(self) -> dict[str, Any]:
        """Return what an approval must bind: interpreter, packages, isolation, limits. JSON-able."""
        ...


@runtime_checkable
class KnowsModules(Protocol):
    """An engine that can tell before a run what a program will be able to import."""

    def modules(self) -> frozenset[str] | None:
        """Return the top-level modules besides the standard library; None where they cannot be told."""
        ...
