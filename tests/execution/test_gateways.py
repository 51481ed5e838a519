"""Gateways as the engine sees them: where the jail listens, what starts behind it, and what contains that."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from osprey_executor.config import ExecutionConfig
from osprey_executor.control import Broker, MockConnector, gateways_for
from osprey_executor.errors import ConfigurationError
from osprey_executor.execution import open_engine
from osprey_executor.execution.local._interpreter import find_interpreter
from osprey_executor.execution.local._open import open_local
from osprey_executor.execution.local._probes import Expected, Prober
from osprey_executor.execution.local._script import run_script
from osprey_executor.models import ControlSystemReport, Gateway, Gateways, Place, Program

READ = "import epics\nresults = {'value': epics.caget('A', timeout=20)}"


def ours() -> Gateways:
    gateways = gateways_for(SimpleNamespace(gateways=True))  # type: ignore[arg-type]
    assert gateways is not None
    return gateways


def session(folder: Path) -> Any:
    report = ControlSystemReport(type="mock", real=False, writes_enabled=False)
    return Broker(MockConnector({"A": 1.5}), report).session(run_id="r", permit=None, journal=folder / "journal")


@pytest.mark.parametrize("forks", [True, False])
@pytest.mark.parametrize("network", [(), ("127.0.0.1:7",)])
async def test_programs_find_the_gateway_however_they_are_started(
    forks: bool, network: tuple[str, ...], tmp_path: Path
) -> None:
    config = ExecutionConfig.model_validate({"network": network, "fork_server": {"enabled": forks}})
    async with open_local(config, gateways=ours()) as engine:
        assert not forks or (engine.pool is not None and await engine.pool.ready())
        for _ in range(2):
            outcome = await engine.run(Program(code=READ), control=session(tmp_path))
            assert (outcome.error, outcome.results) == (None, {"value": 1.5})
            assert outcome.notes == ("Channel Access: used through the gateway",)


async def test_a_program_that_knocks_nowhere_starts_no_gateway(tmp_path: Path) -> None:
    async with open_local(ExecutionConfig(), gateways=ours()) as engine:
        outcome = await engine.run(Program(code="results = {}"), control=session(tmp_path))
        assert engine.gateways is not None
        assert not engine.gateways._running
        assert outcome.notes == ()


async def test_many_runs_at_once_have_a_gateway_each(tmp_path: Path) -> None:
    async with open_local(ExecutionConfig(), gateways=ours()) as engine:
        runs = (engine.run(Program(code=READ), control=session(tmp_path)) for _ in range(4))
        assert [outcome.results for outcome in await asyncio.gather(*runs)] == [{"value": 1.5}] * 4
        assert engine.gateways is not None
    assert not engine.gateways._running


async def test_what_tells_libraries_where_to_look_is_there_only_with_gateways(tmp_path: Path) -> None:
    source = (
        "import os\nresults = {name: value for name, value in os.environ.items() if name[:5] in ('EPICS', 'PVXS_')}"
    )
    async with open_local(ExecutionConfig(), gateways=ours()) as engine:
        outcome = await engine.run(Program(code=source), control=session(tmp_path))
        assert outcome.results == ours().environment
        assert (await engine.identity())["gateways"] == [kind.kind for kind in ours().kinds]
    for section in ({}, {"isolation": "restricted"}, {"isolation": "none"}):
        gateways = ours() if section else None
        async with open_engine("local", {"execution": section}, gateways=gateways) as other:
            outcome = await other.run(Program(code=source), control=session(tmp_path))
            assert outcome.results == {}


async def test_an_endpoint_where_a_gateway_stands_is_an_error() -> None:
    for endpoint in ("localhost:5064", "127.0.0.1:5064"):
        config = ExecutionConfig.model_validate({"network": [endpoint]})
        with pytest.raises(ConfigurationError, match=f"{endpoint} is where programs find the gateway for Channel Acc"):
            async with open_local(config, gateways=ours()):
                pass
    config = ExecutionConfig.model_validate({"network": ["archiver.test:5064"]})
    async with open_local(config, gateways=ours()):
        pass


async def test_a_gateway_that_cannot_start_fails_its_run_in_words(tmp_path: Path) -> None:
    lost = Gateways("osprey_executor.no_such_module", (Gateway("x", "X", (Place(5064),), {}),), ours().serve)
    source = """
import socket
near = socket.create_connection(("127.0.0.1", 5064), 20)
near.settimeout(20)
try:
    results = {"heard": repr(near.recv(1))}
except OSError as error:
    results = {"heard": type(error).__name__}
"""
    async with open_local(ExecutionConfig(), gateways=lost) as engine:
        outcome = await engine.run(Program(code=source), control=session(tmp_path))
    assert outcome.results["heard"] in ("ConnectionResetError", "b''")
    assert "X: the gateway of this run failed" in outcome.notes[0]
    assert "no_such_module" in outcome.notes[0]


async def test_a_session_without_gateways_is_told_as_such() -> None:
    async with open_local(ExecutionConfig(), gateways=ours()) as engine:
        bare: Any = SimpleNamespace(effects="none", writes=(), refusals=(), reads=(), notes=())
        source = "import socket\nnear = socket.create_connection(('127.0.0.1', 5064))\nprint(near.recv(1))"
        outcome = await engine.run(Program(code=source), control=bare)
        assert "the session of this run has no gateways" in outcome.notes[0]


async def test_the_walls_around_a_gateway_stand() -> None:
    """Everything that a program is refused, a gateway is refused, too."""
    async with open_local(ExecutionConfig(), gateways=ours()) as engine:
        assert engine.gateways is not None
        sandbox = engine.gateways._sandbox
        expected = Expected(top=tuple(sandbox.top))
        run = functools.partial(run_script, sandbox)
        probes = await Prober(run, find_interpreter(None), expected, engine._root, sandbox.library).look()
    assert len(probes) > 20
    assert [probe for probe in probes if probe.outcome != "ok"] == []


USED = """
import json, _socket
from osprey_executor.execution.local.jail import kernel
from osprey_executor.execution.local.jail.network import Networks
kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
networks = Networks([("127.0.0.1", 5064, "tcp"), ("127.0.0.1", 5064, "udp")])
told = []
for kind in (None, _socket.SOCK_STREAM, _socket.SOCK_DGRAM):
    network = networks.enter()
    told.append(network.is_new())
    if kind is not None:
        near = _socket.socket(_socket.AF_INET, kind)
        near.connect(("127.0.0.1", 5064))
        near.send(b"x")
        near.close()
    networks.leave()
    told.append(network.is_new())
    again = networks._free
    networks.give_back(network)
    told.append(network in again)
print(json.dumps(told))
"""


def test_a_network_serves_again_only_if_nobody_knocked(as_user: Callable[..., str]) -> None:
    told = json.loads(as_user(USED).splitlines()[-1])
    assert told == [True, True, True, True, False, False, True, False, False]


AS_USER = """
import asyncio, sys, tempfile
from pathlib import Path
from types import SimpleNamespace
from osprey_executor.config import ExecutionConfig
from osprey_executor.control import Broker, MockConnector, gateways_for
from osprey_executor.execution.local._open import open_local
from osprey_executor.models import ControlSystemReport, Program

async def main():
    report = ControlSystemReport(type="mock", real=False, writes_enabled=False)
    journal = Path(tempfile.mkdtemp()) / "journal"
    session = Broker(MockConnector({"A": 1.5}), report).session(run_id="r", permit=None, journal=journal)
    async with open_local(ExecutionConfig(), gateways=gateways_for(SimpleNamespace(gateways=True))) as engine:
        await engine.pool.ready()
        for _ in range(2):
            outcome = await engine.run(Program(code=READ), control=session)
            print(outcome.results, outcome.error, outcome.notes)

asyncio.run(main())
"""


def test_an_ordinary_user_has_gateways_too(as_user: Callable[..., str]) -> None:
    told = as_user(AS_USER.replace("READ", repr(READ)))
    assert told.splitlines() == ["{'value': 1.5} None ('Channel Access: used through the gateway',)"] * 2
