"""Servers see writes under a name of the broker's own: a real IOC lets that name write, and no other one."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from osprey_executor.config import config_from
from osprey_executor.control import EpicsConnector
from osprey_executor.control.connectors._account import _passwd
from osprey_executor.control.connectors._child import Child
from osprey_executor.control.connectors._create import create_connector
from osprey_executor.control.connectors._protocol import Timeouts
from osprey_executor.errors import ConfigurationError, ControlSystemError

GUARDED = Path(__file__).parent / "guarded"


@asynccontextmanager
async def guarded(writer: str) -> AsyncIterator[str]:
    child = await Child.start("guarded", environment={"PYTHONPATH": str(GUARDED), "WRITER": writer})
    try:
        assert child.process.stdout is not None
        told = json.loads(await asyncio.wait_for(child.process.stdout.readline(), 60))
        yield f"127.0.0.1:{told['port']}"
    finally:
        await child.stop()


@asynccontextmanager
async def connected(address: str, user_name: str | None) -> AsyncIterator[EpicsConnector]:
    connector = EpicsConnector([address], user_name=user_name)
    await connector.connect()
    try:
        yield connector
    finally:
        await connector.close()


async def test_writes_come_under_the_name_and_the_accounts_own_may_not() -> None:
    async with guarded("osprey-executor") as address:
        async with connected(address, "osprey-executor") as named:
            assert (await named.read(["G:NUMBER"]))["G:NUMBER"].writable
            await named.write("G:NUMBER", 2.5)
            assert (await named.read(["G:NUMBER"]))["G:NUMBER"].value == 2.5
        async with connected(address, None) as canary:
            assert not (await canary.read(["G:NUMBER"]))["G:NUMBER"].writable
            with pytest.raises(ControlSystemError):
                await canary.write("G:NUMBER", 3.5)


async def test_without_a_name_it_is_the_accounts() -> None:
    async with guarded(getpass.getuser()) as address, connected(address, None) as unnamed:
        assert (await unnamed.read(["G:NUMBER"]))["G:NUMBER"].writable


async def test_the_configuration_names_it() -> None:
    section = {"type": "epics", "epics": {"address_list": ["127.0.0.1:1"]}}
    for told, name in (({}, "osprey-executor"), ({"user_name": "ops"}, "ops"), ({"user_name": None}, "")):
        connector = create_connector(config_from({"control_system": {**section, **told}}).control_system, Timeouts())
        assert isinstance(connector, EpicsConnector)
        assert connector._process._environment["OSPREY_EXECUTOR_EPICS_USER"] == name
    with pytest.raises(ConfigurationError):
        config_from({"control_system": {"user_name": "a:b\n"}})


def test_a_user_id_has_one_name() -> None:
    lines = _passwd("osprey", os.getuid(), os.getgid()).splitlines()
    mine = [line for line in lines if line.split(":")[2] == str(os.getuid())]
    assert [line.split(":")[0] for line in mine] == ["osprey"]
