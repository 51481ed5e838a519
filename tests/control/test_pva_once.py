"""Nothing is sent twice by PVAccess: not when the server dies with an operation under way and comes back."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from p4p.client.raw import Context
from p4p.nt import NTURI

from osprey_executor.control import Broker, PvaConnector
from osprey_executor.control.connectors._protocol import Timeouts
from osprey_executor.errors import OutcomeUnknownError
from osprey_executor.models import ControlSystemReport, MachineEffects

pytestmark = pytest.mark.asyncio(loop_scope="session")
SERVER = Path(__file__).parent / "pva" / "holding.py"


class Server:
    """One that can be killed, and started again where it was."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.ports = ["0", "0"]

    async def start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(SERVER), *map(str, self.ports), str(self._file)), stdin=pipe, stdout=pipe
        )
        assert self._process.stdout is not None
        self.ports = json.loads(await asyncio.wait_for(self._process.stdout.readline(), 60))

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()

    def arrived(self) -> list[str]:
        return self._file.read_text().splitlines() if self._file.exists() else []

    async def has(self, what: str, times: int) -> None:
        async with asyncio.timeout(60):
            while self.arrived().count(what) < times:
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture(loop_scope="session")
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(tmp_path / "arrived")
    await made.start()
    yield made
    await made.kill()


@pytest.mark.parametrize(("operation", "by"), [("put", "udp"), ("call", "udp"), ("call", "tcp")])
async def test_a_server_that_comes_back_gets_nothing_again(
    server: Server, operation: str, by: str, journal: Path, permit: Any
) -> None:
    lists = {"udp": ([f"127.0.0.1:{server.ports[0]}"], []), "tcp": ([], [f"127.0.0.1:{server.ports[1]}"])}
    addresses, name_servers = lists[by]
    connector = PvaConnector(addresses, name_servers=name_servers, timeouts=Timeouts(read=5.0, write=5.0))
    await connector.connect()
    report = ControlSystemReport(type="pva", real=True, writes_enabled=True)
    session = Broker(connector, report).session(run_id="r1", permit=permit(frozenset({"H:IT"})), journal=journal)
    conf = {"EPICS_PVA_AUTO_ADDR_LIST": "NO", "EPICS_PVA_ADDR_LIST": f"127.0.0.1:{server.ports[0]}"}
    canary = Context("pva", conf=conf, useenv=False, nt=False)
    ours = {"put": "put 9.0", "call": "call us"}[operation]
    try:
        await connector.read(["H:IT"])  # so that the channel is there for the put
        change = session.write({"H:IT": 9.0}) if operation == "put" else session.call("H:IT", {"who": "us"})
        changing = asyncio.ensure_future(change)
        # What pvxs does by itself with a command under way.
        kept = canary.rpc("H:IT", lambda _: None, NTURI([("who", "s")]).wrap("H:IT", kws={"who": "canary"}))
        await server.has(ours, 1)
        await server.has("call canary", 1)
        await server.kill()
        await server.start()
        await server.has("call canary", 2)
        with pytest.raises(OutcomeUnknownError, match="H:IT: no confirmation"):
            await changing
        assert session.effects is MachineEffects.UNKNOWN
        # The next ones are sent, so the server was there to be found.
        again = asyncio.ensure_future(connector.call("H:IT", {"who": "later"}))
        await server.has("call later", 1)
        assert server.arrived().count(ours) == 1
        again.cancel()
        kept.close()
    finally:
        canary.close()
        await connector.close()
