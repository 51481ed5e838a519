"""Real IOCs on loopback, one of each kind a test session, and a stand-in for the sandbox."""

from __future__ import annotations

import asyncio
import builtins
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from osprey_executor.config import config_from
from osprey_executor.control import Broker, EpicsConnector, PvaConnector, Timeouts, open_control
from osprey_executor.control.connectors._child import Child
from osprey_executor.errors import WriteRefused
from osprey_executor.models import ChannelStart, ControlSession, ControlSystemReport

RECORDS = Path(__file__).parent / "ioc"


@dataclass
class Permit:
    """Channels by name; `fields` only letter for letter. `spent` refuses from then on, as an expired grant does."""

    channels: frozenset[str] | None = None
    spent: bool = False
    asked: list[str] = field(default_factory=list)
    written: list[tuple[str, Any]] = field(default_factory=list)

    start: Mapping[str, ChannelStart] | None = None
    left: str | None = None
    unmade: str | None = None

    def allows(self, channel: str) -> None:
        self.check(channel, None)

    def wrote(self, channel: str, value: Any) -> None:
        self.written.append((channel, value))

    def check(self, channel: str, value: Any, ahead: int = 0) -> None:
        self.asked.append(channel)
        if self.spent:
            raise WriteRefused("the approval has expired")
        if self.channels is not None and channel not in self.channels:
            raise WriteRefused(f"{channel} is not among what was approved")

    def names(self, channel: str) -> bool:
        return self.channels is not None and channel in self.channels


@dataclass
class Guest:
    """Runs a program in a thread of this process, its runtime bound to a session."""

    session: ControlSession
    progress: list[tuple[float, str]] = field(default_factory=list)

    async def run(self, source: str) -> dict[str, Any]:
        """Execute `source` and return its globals."""
        loop = asyncio.get_running_loop()

        def wait(coroutine: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

        def read_channels(names: list[str]) -> dict[str, Any]:
            return {name: reading.value for name, reading in wait(self.session.read(names)).items()}

        def write_channels(values: Mapping[str, Any]) -> None:
            wait(self.session.write(values, 1))

        runtime = SimpleNamespace(
            read_channel=lambda name: read_channels([name])[name],
            read_channels=read_channels,
            write_channel=lambda name, value: write_channels({name: value}),
            write_channels=write_channels,
            declare_writes=lambda ranges: wait(self.session.declare_writes(ranges)),
            progress=lambda fraction, message="": self.progress.append((fraction, message)),
        )

        def imported(name: str, *args: Any, **kwargs: Any) -> Any:
            if name == "osprey_executor":
                return SimpleNamespace(runtime=runtime)
            return builtins.__import__(name, *args, **kwargs)

        world: dict[str, Any] = {
            "__name__": "__main__",
            "__builtins__": {**vars(builtins), "__import__": imported},
        }
        await asyncio.to_thread(exec, compile(source, "program.py", "exec"), world)
        return world


@dataclass(frozen=True)
class Ioc:
    """A soft IOC with one record of each type, and how it is reached."""

    pid: int
    port: int
    """Where it is looked for."""
    tcp: int
    """Where it is spoken to."""

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        tasks = Path(f"/proc/{self.pid}/task")
        while any(task.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "T" for task in tasks.iterdir()):
            time.sleep(0.01)  # on a busy machine its threads go on for a while

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@pytest.fixture
def permit() -> type[Permit]:
    """The class of permits that tests build."""
    return Permit


@pytest.fixture
def guest() -> type[Guest]:
    """The class of programs' stand-ins."""
    return Guest


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """File of the journal of this test."""
    return tmp_path / "journal.jsonl"


@pytest.fixture
def entries(journal: Path) -> Callable[[], list[dict[str, Any]]]:
    """Reads the journal as it is now."""
    return lambda: [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def simulator() -> AsyncIterator[Broker]:
    """The broker of a virtual accelerator that may be written."""
    config = config_from({"control_system": {"type": "simulator", "writes_enabled": True}})
    async with open_control(config) as broker:
        yield broker


@asynccontextmanager
async def run_server(folder: Path, module: str) -> AsyncIterator[Ioc]:
    """Start a server that tells its port in its first line."""
    child = await Child.start(module, environment={"PYTHONPATH": str(folder)})
    try:
        assert child.process.stdout is not None
        told = json.loads(await asyncio.wait_for(child.process.stdout.readline(), 60))
        yield Ioc(child.process.pid, told["port"], told.get("tcp", told["port"]))
    finally:
        await child.stop()


def run_ioc() -> AbstractAsyncContextManager[Ioc]:
    """Start an IOC with one record of each type."""
    return run_server(RECORDS, "records")


def run_pva() -> AbstractAsyncContextManager[Ioc]:
    """Start a PVAccess server with one channel of each kind."""
    return run_server(RECORDS.parent / "pva", "server")


@contextmanager
def apart(start: Callable[[], AbstractAsyncContextManager[Ioc]]) -> Iterator[Ioc]:
    """Keep a server running whose tests have event loops of their own."""
    with asyncio.Runner() as runner:
        server = start()
        yield runner.run(server.__aenter__())
        runner.run(server.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def ioc_of_module() -> Iterator[Ioc]:
    """An IOC for plain functions."""
    with apart(run_ioc) as started:
        yield started


@pytest.fixture(scope="module")
def pva_of_module() -> Iterator[Ioc]:
    """A PVAccess server for plain functions."""
    with apart(run_pva) as started:
        yield started


@pytest.fixture(scope="session")
def start_ioc_anywhere() -> Callable[[], AbstractAsyncContextManager[Ioc]]:
    """Starts an IOC of the test's own."""
    return run_ioc


@pytest.fixture(scope="session")
def start_pva() -> Callable[[], AbstractAsyncContextManager[Ioc]]:
    """Starts a PVAccess server of the test's own."""
    return run_pva


@pytest.fixture(scope="session")
def slow_ioc() -> Callable[[], AbstractAsyncContextManager[Ioc]]:
    """Starts an IOC by both protocols, with a record that takes its time; `tcp` is the port of PVAccess."""
    return lambda: run_server(RECORDS, "slow")


@pytest.fixture
def start_ioc() -> Callable[[], AbstractAsyncContextManager[Ioc]]:
    """Starts an IOC of the test's own."""
    return run_ioc


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ioc() -> AsyncIterator[Ioc]:
    """The IOC of the test session."""
    async with run_ioc() as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pva() -> AsyncIterator[Broker]:
    """A broker that takes the PVAccess server of the test session for a real machine."""
    async with run_pva() as server:
        connector = PvaConnector([f"127.0.0.1:{server.port}"], timeouts=Timeouts(read=2.0, write=1.0))
        await connector.connect()
        try:
            yield Broker(connector, ControlSystemReport(type="pva", real=True, writes_enabled=True))
        finally:
            await connector.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def records(ioc: Ioc) -> AsyncIterator[Broker]:
    """A broker that takes the soft IOC for a real machine, patient for a second only."""
    connector = EpicsConnector([f"127.0.0.1:{ioc.port}"], timeouts=Timeouts(read=2.0, write=1.0))
    await connector.connect()
    try:
        yield Broker(connector, ControlSystemReport(type="epics", real=True, writes_enabled=True))
    finally:
        await connector.close()
