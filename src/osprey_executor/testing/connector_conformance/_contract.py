"""The life of a connector: made, connected, closed; and what it says when its server goes away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from osprey_executor.control import ChannelKind, Connector
from osprey_executor.errors import ChannelDisconnectedError, ControlSystemError, OutcomeUnknownError
from osprey_executor.testing.connector_conformance._bench import ConnectorBench


class TestContract:
    """The fixture names what the tests need, and the connector is one."""

    def test_it_is_a_connector(self, connector_bench: ConnectorBench) -> None:
        assert isinstance(connector_bench.connector, Connector)
        assert isinstance(connector_bench.connector.addresses, tuple)

    def test_the_first_channel_is_a_number_with_two_values(self, connector_bench: ConnectorBench) -> None:
        number = connector_bench.expected.number
        assert number.kind is ChannelKind.NUMBER
        assert len({read for _, read in number.writes}) >= 2

    def test_it_is_closed_twice_and_before_it_was_connected(self, connector_bench: ConnectorBench) -> None:
        async def live() -> None:
            await connector_bench.expected.make().close()
            connector = connector_bench.expected.make()
            await connector.connect()
            await connector.close()
            await connector.close()

        connector_bench.wait(live())

    def test_two_live_side_by_side(self, connector_bench: ConnectorBench) -> None:
        async def live() -> None:
            name, other = connector_bench.expected.number.name, connector_bench.expected.make()
            await other.connect()
            try:
                assert (await other.read([name])).keys() == {name}
            finally:
                await other.close()

        connector_bench.wait(live())
        connector_bench.value(connector_bench.expected.number.name)


class TestLoss:
    """A server that goes away is told by name; a connector without a server has nothing to lose, and no address."""

    def test_a_lost_server_is_told(self, connector_bench: ConnectorBench) -> None:
        losing, number = connector_bench.expected.losing, connector_bench.expected.number
        if losing is None:
            assert connector_bench.connector.addresses == ()
            return

        async def lose(connector: Connector, end: Callable[[], None]) -> None:
            await connector.read([number.name])
            monitored = connector.monitor([number.name])
            await anext(monitored)
            end()
            with pytest.raises(ChannelDisconnectedError, match=number.name):
                async for _ in monitored:
                    pass
            with pytest.raises(ChannelDisconnectedError, match=number.name):
                await connector.read([number.name])
            with pytest.raises((ControlSystemError, OutcomeUnknownError), match=number.name):
                await connector.write(number.name, number.writes[0][0])

        async def live() -> None:
            async with losing() as (connector, end):
                await lose(connector, end)

        connector_bench.wait(live())
