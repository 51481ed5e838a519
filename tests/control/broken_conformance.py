"""The suite for connectors against connectors with one fault each; test_conformance_canaries.py runs it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from osprey_executor.control import ChannelKind, Confirmation, MockConnector
from osprey_executor.errors import ChannelDisconnectedError, OutcomeUnknownError
from osprey_executor.models import History
from osprey_executor.testing.connector_conformance import *

UNKNOWN = "T:NOBODY"


class Sound(MockConnector):
    """Without a fault; it knows every name but one, and has no past."""

    async def read(self, channels: Any) -> Any:
        if UNKNOWN in channels:
            raise ChannelDisconnectedError(f"{UNKNOWN}: no answer")
        return await super().read(channels)

    async def monitor(self, channels: Any) -> Any:
        await self.read(channels)
        async for sample in super().monitor(channels):
            yield sample

    async def write(self, channel: str, value: Any) -> Any:
        await self.read([channel])
        return await super().write(channel, value)


class KnowsAnyName(Sound):
    read = MockConnector.read


class MixesCalls(Sound):
    async def read(self, channels: Any) -> Any:
        return await super().read([*channels, "T:OTHER"])


class TellsNoTimeZone(Sound):
    async def read(self, channels: Any) -> Any:
        told = {"timestamp": datetime(2026, 1, 31)}
        return {name: sample.model_copy(update=told) for name, sample in (await super().read(channels)).items()}


class TellsAPlainReading(Sound):
    async def read(self, channels: Any) -> Any:
        return {name: sample.reading() for name, sample in (await super().read(channels)).items()}


class ForgetsWrites(Sound):
    async def write(self, channel: str, value: Any) -> Any:
        (sample,) = (await self.read([channel])).values()
        return Confirmation(sample.model_copy(update={"value": value}))


class DoesNotReadBack(Sound):
    async def write(self, channel: str, value: Any) -> Any:
        await super().write(channel, value)
        return Confirmation(None)


class DoubtsEverything(Sound):
    async def write(self, channel: str, value: Any) -> Any:
        if channel == UNKNOWN:
            raise OutcomeUnknownError(f"{UNKNOWN}: no answer")
        return await super().write(channel, value)


class MonitorsOnce(Sound):
    async def monitor(self, channels: Any) -> Any:
        for sample in (await self.read(channels)).values():
            yield sample


class HasSilentCommands(Sound):
    async def call(self, channel: str, arguments: Any) -> Any:
        return None


class HasAPast(Sound):
    """Though it says that it has none."""


class HasAnUnorderedPast(Sound):
    async def history(self, channels: Any, start: Any, end: Any, bin: Any = None) -> Any:
        found = await super().history(channels, start, end, None)
        return {
            name: History(name, one.times[::-1], one.values[::-1], one.severities, one.units)
            for name, one in found.items()
        }


class CannotBeLost(Sound):
    addresses = ("10.0.0.1",)


FAULTS = (
    *(KnowsAnyName, MixesCalls, TellsNoTimeZone, TellsAPlainReading, ForgetsWrites, DoesNotReadBack, DoubtsEverything),
    *(MonitorsOnce, HasSilentCommands, HasAPast, HasAnUnorderedPast, CannotBeLost),
)


@pytest.fixture(scope="module", params=FAULTS, ids=lambda fault: fault.__name__)
def connector_under_test(request: pytest.FixtureRequest) -> ConnectorUnderTest:
    number = ChannelUnderTest("T:CURRENT", ChannelKind.NUMBER, ((1.0, 1.0), (2.5, 2.5)), units="A")
    return ConnectorUnderTest(
        make=request.param,
        channels=(number,),
        unknown=UNKNOWN,
        archived=None if request.param is HasAPast else "T:CURRENT",
    )
