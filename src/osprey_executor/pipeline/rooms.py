"""What the nodes of one run work with. Lives as long as the process drives the run; nothing of it is checkpointed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from osprey_executor.access import Approvers
from osprey_executor.analysis import Site
from osprey_executor.config import Config
from osprey_executor.control import Broker, LimitsInForce
from osprey_executor.execution import Engine
from osprey_executor.generation import CodeGenerator
from osprey_executor.memory import Memory
from osprey_executor.models import ControlSession, ControlSystemReport, PythonExecutionRequest, RunResult
from osprey_executor.models.events import Event
from osprey_executor.pipeline.threads import InThread
from osprey_executor.pipeline.turns import Turns
from osprey_executor.results import RunFolder
from osprey_executor.storage import RunStore


@dataclass
class Rooms:
    """The equipment of one run."""

    run_id: str
    config: Config
    request: PythonExecutionRequest
    folder: RunFolder
    store: RunStore
    approvers: Approvers
    engine: Engine
    broker: Broker
    site: Site
    """How programs are analysed."""
    generator: Callable[[], CodeGenerator]
    """Makes the generator at its first use, so that bring-your-own code needs none."""
    generator_label: str
    memory: Memory
    key: bytes = field(repr=False)
    """Signs grants."""
    emit: Callable[[Event], None]
    flush: Callable[[], Awaitable[None]]
    """Waits until all events are written."""
    turns: Turns
    in_thread: InThread
    """Where files are written and code is analysed."""
    recover: Callable[[], Awaitable[None]]
    """Sets right the runs whose driver died."""
    limits: LimitsInForce | None = None
    """The limits database as it was last looked at: the card shows it, the approval binds it, the session obeys it."""
    session: ControlSession | None = None
    """The broker's side of the execution that goes on, or was the last."""
    result: RunResult | None = None
    """How the run ended, once its record is written."""

    async def look_at_limits(self) -> None:
        """Read the limits database anew, before a card is laid out and before code runs."""
        self.limits = await self.in_thread(self.broker.limits)

    @property
    def control(self) -> ControlSystemReport:
        """Which machine the code would talk to, and the limits in force."""
        return self.broker.report.model_copy(update={"limits": self.limits.report if self.limits else None})
