"""What is read: typed, frozen, with units, severity and time, many channels in one call."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from pydantic import ValidationError

from osprey_executor.control import ChannelKind, Sample
from osprey_executor.errors import ChannelDisconnectedError
from osprey_executor.models import AlarmSeverity
from osprey_executor.testing.connector_conformance._bench import ConnectorBench


class TestReading:
    """Present values."""

    def test_each_channel_is_of_its_kind(self, connector_bench: ConnectorBench) -> None:
        channels = connector_bench.expected.channels
        samples = connector_bench.read([channel.name for channel in channels])
        assert {name: (sample.kind, sample.units) for name, sample in samples.items()} == {
            channel.name: (channel.kind, channel.units) for channel in channels
        }

    def test_a_sample_tells_all_that_there_is_to_know(self, connector_bench: ConnectorBench) -> None:
        for name, sample in connector_bench.read([one.name for one in connector_bench.expected.channels]).items():
            assert type(sample) is Sample
            assert sample.channel == name
            assert isinstance(sample.severity, AlarmSeverity)
            assert isinstance(sample.status, str)
            assert sample.timestamp is None or sample.timestamp.utcoffset() == timedelta(0)
            if sample.kind is ChannelKind.NUMBER:
                assert type(sample.value) in (int, float)
            if sample.kind is ChannelKind.ENUM:
                assert len(sample.labels) > 1
                assert all(type(label) is str for label in sample.labels)

    def test_a_sample_is_frozen(self, connector_bench: ConnectorBench) -> None:
        name = connector_bench.expected.number.name
        sample = connector_bench.read([name])[name]
        with pytest.raises(ValidationError, match="frozen"):
            sample.value = 0.0  # pyright: ignore[reportAttributeAccessIssue]

    def test_many_are_one_call_in_the_order_asked_for(self, connector_bench: ConnectorBench) -> None:
        names = [channel.name for channel in reversed(connector_bench.expected.channels)]
        assert list(connector_bench.read(names)) == names
        assert connector_bench.read([]) == {}

    def test_calls_at_once_do_not_mix(self, connector_bench: ConnectorBench) -> None:
        names = [channel.name for channel in connector_bench.expected.channels]

        async def read() -> list[set[str]]:
            calls = [connector_bench.connector.read([name]) for name in names * 10]
            return [set(samples) for samples in await asyncio.gather(*calls)]

        assert connector_bench.wait(read()) == [{name} for name in names * 10]

    def test_an_unknown_channel_is_named(self, connector_bench: ConnectorBench) -> None:
        unknown, number = connector_bench.expected.unknown, connector_bench.expected.number.name
        if unknown is None:
            assert connector_bench.read(["CONFORMANCE:ANY:NAME"]).keys() == {"CONFORMANCE:ANY:NAME"}
            return
        with pytest.raises(ChannelDisconnectedError, match=unknown) as told:
            connector_bench.read([number, unknown])
        assert number not in str(told.value)

    def test_an_invalid_value_is_returned_as_such(self, connector_bench: ConnectorBench) -> None:
        """Who reads decides what that means; the broker raises, except before a write."""
        names = connector_bench.expected.invalid
        assert {sample.severity for sample in connector_bench.read(names).values()} <= {AlarmSeverity.INVALID}
