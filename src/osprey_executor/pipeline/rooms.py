"""What the nodes of one run work with. Lives as long as the process drives the run; nothing of it is checkpointed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from osprey_executor.analysis import Site
from osprey_executor.config import Config
from osprey_executor.control import Broker
from osprey_executor.execution import Engine
from osprey_executor.generation import CodeGenerator
from osprey_executor.models import ControlSession, PythonExecutionRequest, RunResult
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
    engine: Engine
    broker: Broker
    site: Site
    """How programs are analysed."""
    generator: Callable[[], CodeGenerator]
    """Makes the generator at its first use, so that bring-your-own code needs none."""
    generator_label: str
    key: bytes = field(repr=False)
    """Signs grants."""
    emit: Callable[[Event], None]
    flush: Callable[[], Awaitable[None]]
    """Waits until all events are written."""
    turns: Turns
    in_thread: InThread
    """Where files are written and code is analysed."""
    session: ControlSession | None = None
    """The broker's side of the execution that goes on, or was the last."""
    result: RunResult | None = None
    """How the run ended, once its record is written."""
