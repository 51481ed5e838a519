"""Writes: confirmed with what was read afterwards, or certain not to have happened."""

from __future__ import annotations

import pytest

from osprey_executor.errors import ControlSystemError
from osprey_executor.testing.connector_conformance._bench import ConnectorBench, same


class TestWriting:
    """What the control system is told."""

    def test_each_value_is_confirmed_and_read_back(self, connector_bench: ConnectorBench) -> None:
        for channel in connector_bench.expected.channels:
            for written, read in channel.writes:
                confirmed = connector_bench.wait(connector_bench.connector.write(channel.name, written))
                assert confirmed.read_back is not None
                assert confirmed.read_back.channel == channel.name
                assert same(confirmed.read_back.value, read), (channel.name, written)
                assert same(connector_bench.value(channel.name), read), (channel.name, written)

    def test_what_can_be_written_says_so(self, connector_bench: ConnectorBench) -> None:
        names = [channel.name for channel in connector_bench.expected.channels if channel.writes]
        assert all(sample.writable for sample in connector_bench.read(names).values())

    def test_a_write_that_is_refused_changes_nothing(self, connector_bench: ConnectorBench) -> None:
        value = connector_bench.expected.number.writes[0][0]
        for name in connector_bench.expected.locked:
            before = connector_bench.value(name)
            with pytest.raises(ControlSystemError, match=name):
                connector_bench.wait(connector_bench.connector.write(name, value))
            assert same(connector_bench.value(name), before)

    def test_a_write_to_nobody_is_certain_not_to_have_happened(self, connector_bench: ConnectorBench) -> None:
        unknown, value = connector_bench.expected.unknown, connector_bench.expected.number.writes[0][0]
        if unknown is None:
            connector_bench.wait(connector_bench.connector.write("CONFORMANCE:ANY:NAME", value))
            assert same(connector_bench.value("CONFORMANCE:ANY:NAME"), value)
            return
        with pytest.raises(ControlSystemError, match=unknown):
            connector_bench.wait(connector_bench.connector.write(unknown, value))
