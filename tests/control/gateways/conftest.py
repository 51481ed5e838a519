"""A PVAccess gateway on loopback, in front of a source in memory, and real clients."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
from p4p.client.asyncio import Context
from tests.control.gateways.fake_source import FakeSource
from tests.control.gateways.raw_client import RawClient

from osprey_executor.control.gateways._pva_gateway import PvaGateway


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@pytest.fixture
async def port(source: FakeSource) -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        gateway = PvaGateway(source, listening)
        yield listening.getsockname()[1]
        await gateway.close()


@pytest.fixture
def environment(port: int) -> dict[str, str]:
    """What a client in a sandbox finds."""
    return {
        "EPICS_PVA_NAME_SERVERS": f"127.0.0.1:{port}",
        "EPICS_PVA_ADDR_LIST": "127.0.0.1",
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        # Nobody must be asked by UDP: on this machine another test may serve the usual port.
        "EPICS_PVA_BROADCAST_PORT": "9",
    }


@pytest.fixture
async def client(environment: dict[str, str]) -> AsyncIterator[Context]:
    with Context("pva", conf=environment, useenv=False) as context:
        yield context


@pytest.fixture
async def raw(port: int) -> AsyncIterator[RawClient]:
    async with RawClient(port) as client:
        yield client
