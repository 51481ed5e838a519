"""One connected connector, and what the tests do with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from osprey_executor.control import ChannelKind, Connector, Sample

T = TypeVar("T")

_PATIENCE = 60.0


@dataclass(frozen=True)
class ChannelUnderTest:
    """One channel. The tests write it, and leave it at the last of the values."""

    name: str
    kind: ChannelKind
    writes: tuple[tuple[Any, Any], ...] = ()
    """Values to write, each with what is read afterwards; at least two different ones, or none: it is only read."""
    units: str = ""


@dataclass(frozen=True)
class ConnectorUnderTest:
    """Which connector is tested, and what it lacks. What it lacks is checked too, never passed over."""

    make: Callable[[], Connector]
    """Returns one that is not connected yet, patient for a few seconds only."""
    channels: tuple[ChannelUnderTest, ...]
    """Channels to read and write; the first one holds a number."""
    unknown: str | None
    """A name that nobody answers for; None: it answers for any."""
    invalid: tuple[str, ...] = ()
    """Channels whose value is INVALID."""
    locked: tuple[str, ...] = ()
    """Channels that the control system itself does not let be written with the first value of the first channel."""
    command: tuple[str, Mapping[str, Any], Any] | None = None
    """A channel, arguments, and what the command answers; None: it has no commands."""
    archived: str | None = None
    """A channel with numbers in the last hour; None: it has no archive."""
    losing: Callable[[], AbstractAsyncContextManager[tuple[Connector, Callable[[], None]]]] | None = None
    """Opens a connector to a server of its own, and tells how to end that server; None: it has no server to lose."""

    @property
    def number(self) -> ChannelUnderTest:
        """The channel that holds a number."""
        return self.channels[0]


class ConnectorBench:
    """Drives one connector from tests that are no coroutines."""

    def __init__(self, expected: ConnectorUnderTest, connector: Connector, runner: asyncio.Runner) -> None:
        """Take over a connected connector and the event loop that it lives in."""
        self.expected, self.connector, self._runner = expected, connector, runner

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the connector's event loop; one that hangs is a failure."""
        return self._runner.run(_bounded(work))

    def read(self, names: Sequence[str]) -> Mapping[str, Sample]:
        """Read channels."""
        return self.wait(self.connector.read(names))

    def value(self, name: str) -> Any:
        """Return the value of one channel."""
        return self.read([name])[name].value


async def _bounded(work: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(_PATIENCE):
        return await work


def same(one: Any, other: Any) -> bool:
    """Return whether two values are the same: numbers to nine digits, arrays element by element."""
    if hasattr(one, "tolist"):
        one = one.tolist()
    if isinstance(one, list | dict | str):
        return bool(one == other)
    return bool(one == pytest.approx(other, rel=1e-9))


@pytest.fixture(scope="module")
def connector_bench(connector_under_test: ConnectorUnderTest) -> Iterator[ConnectorBench]:
    """The connector under test, connected for all tests of the module."""
    with asyncio.Runner() as runner:
        connector = connector_under_test.make()
        runner.run(_bounded(connector.connect()))
        try:
            yield ConnectorBench(connector_under_test, connector, runner)
        finally:
            runner.run(_bounded(connector.close()))
