"""A container of our own: what hardens it is seen to hold, each part by itself, and without any of it nothing runs."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.execution.container.own import IMAGE, Own
from tests.execution.container.test_faults import FINE, LONG, struck, told

from osprey_executor import PythonExecutionRequest, PythonExecutorService
from osprey_executor.config import config_from
from osprey_executor.errors import (
    ConfigurationError,
    ContainerConnectivityError,
    EngineUnavailableError,
)
from osprey_executor.execution import Program, open_engine
from osprey_executor.execution.container import OwnContainer, _open
from osprey_executor.execution.container._sandbox import walled
from osprey_executor.execution.container.own import ContainerLimits, _client, _container
from osprey_executor.models import Limits, RunStatus

pytestmark = pytest.mark.timeout(400)  # the first test waits for the image
REAL = {"type": "epics", "epics": {"address_list": ["127.0.0.1:1"]}}

WITHOUT: dict[str, tuple[dict[str, Any], set[str]]] = {
    "no_new_privs": ({"security_opt": []}, {"gain a privilege"}),
    "no capability": (
        {"cap_drop": [], "user": "0:0"},
        {"use a capability", "be another user than nobody"},
    ),
    "nobody": ({"user": "65533:65534"}, {"be another user than nobody"}),
    "a read-only root": ({"read_only": False}, {"change the root file system"}),
    "its own network": ({"network_mode": "host"}, {"find a network"}),
    "a limit of memory": (
        {"mem_limit": 1 << 30, "memswap_limit": 1 << 30},
        {"have more memory than the limit", "take more memory than the limit"},
    ),
    "a limit of processes": (
        {"pids_limit": 4096},
        {"have more processes than the limit", "start more processes than the limit"},
    ),
    "a size of /tmp": (
        {"tmpfs": {"/tmp": "rw,size=64m,mode=1777"}},
        {"write where nothing is limited", "fill the temporary folder past its limit"},
    ),
    "a seccomp filter": (
        {"security_opt": ["no-new-privileges", "seccomp=unconfined"]},
        {"be without a seccomp filter"},
    ),
    "any of it: privileged": (
        {"privileged": True, "user": "0:0", "cap_drop": [], "read_only": False},
        {"use a capability", "find a device", "be another user than nobody", "change the root file system"},
    ),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[_client.Reached]:
    """Docker or podman."""
    with _client.container_engine() as reached:
        yield reached


@pytest.fixture(scope="module")
def run(image: str, engine: _client.Reached) -> Callable[..., dict[str, str]]:
    """Run the canaries in a container that lacks something, and return what was not refused."""

    def run(**changed: Any) -> dict[str, str]:
        said = _container._output(engine.client, image, {**_container.trial(), **changed})
        seen = [(probe["name"].partition(": ")[2], probe) for probe in json.loads(said)]
        return {name: probe["detail"] for name, probe in seen if probe["outcome"] == "failed"}

    return run


def test_a_hardened_container_refuses_everything(run: Callable[..., dict[str, str]]) -> None:
    assert run() == {}


@pytest.mark.parametrize("part", WITHOUT)
def test_each_part_is_missed_where_it_is_lacking(run: Callable[..., dict[str, str]], part: str) -> None:
    changed, expected = WITHOUT[part]
    off = run(**changed)
    assert expected <= set(off), off
    assert ("privileged" in str(off)) == ("privileged" in changed)


def test_a_folder_of_the_host_and_an_engines_socket_are_named(
    run: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    off = run(volumes={str(tmp_path): {"bind": "/data", "mode": "rw"}})
    assert off == {"change files of the host": off["change files of the host"]}
    assert "/data is mounted writable from the host" in off["change files of the host"]
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "engine.sock"))
        off = run(volumes={str(tmp_path / "engine.sock"): {"bind": "/run/docker.sock", "mode": "ro"}})
    assert "a socket of the host is mounted at /run/docker.sock" in off["reach the container engine"]


@pytest.mark.parametrize("lacking", [{"landlock": False}, {"filters": []}], ids=lambda lacking: next(iter(lacking)))
async def test_without_walls_between_its_programs_it_is_not_opened(
    own: Own, monkeypatch: pytest.MonkeyPatch, lacking: dict[str, Any]
) -> None:
    monkeypatch.setattr(_open, "walled", lambda limits: {**walled(limits), **lacking})
    with pytest.raises(EngineUnavailableError, match="does not contain what runs in it"):
        async with open_engine("container", own.config(), home=own.home):
            pass


SPY = """
import os, signal, socket
seen = {}
for name, attempt in {
    "folders of others": lambda: os.listdir("/tmp"),
    "the server's socket": lambda: socket.socket(socket.AF_UNIX).connect("/run/osprey-executor/jupyter.sock"),
    "a signal to the server": lambda: os.kill(1, 0),
    "a signal to the own kernel": lambda: os.kill(os.getppid(), 0),
    "memory of the server": lambda: open("/proc/1/mem", "rb"),
}.items():
    try:
        attempt()
    except OSError as error:
        seen[name] = "refused"
    else:
        seen[name] = "allowed"
results = seen
"""


async def test_next_to_a_real_machine_it_asks_only_for_a_write_and_programs_reach_nothing(own: Own) -> None:
    """Containment is proven, so a program starts without asking; it finds neither other programs nor the server."""
    config = {"execution": {**own.config(), "timeout": 60}, "control_system": REAL}
    async with PythonExecutorService.from_config(config, home=own.home) as service:
        result = await service.run(PythonExecutionRequest(user_query="own code", code=SPY))
        assert result.status is RunStatus.SUCCEEDED, result.error
        assert set(result.results.values()) == {"refused"}, result.results
        assert str(result.isolation) == "managed (container, proven)"
        probes = await service.doctor()
    assert [probe for probe in probes if probe.outcome == "failed"] == []
    assert [probe.outcome for probe in probes if probe.name.startswith("container")] == ["ok"] * 15


async def test_a_lack_of_memory_and_the_end_of_the_container_are_named(image: str) -> None:
    """The memory of the container is less than what the program itself may take, so the machine's kernel kills it."""
    small = Own("--memory", "400 MiB", "--tmp", "64 MiB")
    try:
        async with open_engine("container", small.config(reconnect=1), home=small.home) as engine:
            code = "kept = [bytearray(b'x' * (16 << 20)) for _ in range(60)]"
            outcome = await engine.run(Program(code=code, limits=Limits(memory=4 << 30, timeout=100)))
            assert outcome.status is RunStatus.FAILED
            assert "killed, probably out of memory" in told(outcome)
            assert (await engine.run(FINE)).results == {"a": 1}

            async def end() -> None:
                await asyncio.to_thread(small.command, "down")

            outcome = await struck(engine, end, LONG)
            assert outcome.status is RunStatus.OUTCOME_UNKNOWN
            assert "OutcomeUnknownError" in told(outcome)
            with pytest.raises(ContainerConnectivityError, match="osprey-executor container up"):
                await engine.run(FINE)
        with pytest.raises(ContainerConnectivityError, match=r"no container .* is up"):
            async with open_engine("container", small.config(), home=small.home):
                pass
    finally:
        small.close()


async def test_what_is_not_there_is_told(own: Own, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="is up already"):
        await asyncio.to_thread(OwnContainer(own.home).up, ContainerLimits(), IMAGE)
    with pytest.raises(ConfigurationError, match=r"has no image nonsense.*container build"):
        await asyncio.to_thread(OwnContainer(home).up, ContainerLimits(), "nonsense")
    monkeypatch.setattr(_client, "_sockets", list)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(EngineUnavailableError, match="docker or podman cannot be reached: install one"):
        await asyncio.to_thread(OwnContainer(home).up, ContainerLimits())


def test_status_tells_what_is_up(own: Own) -> None:
    seen = json.loads(own.command("status", "--json"))
    assert (seen["state"], seen["record"]) == ("running", own.told)
    assert "running" in own.command("status")


def test_an_image_without_jupyter_is_refused_and_one_with_it_is_taken(
    image: str, engine: _client.Reached, tmp_path: Path
) -> None:
    name = f"localhost/osprey-executor-other-{os.getpid()}"
    with tarfile.open(tmp_path / "empty.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("nothing"))
    with pytest.raises(ConfigurationError, match="needs a python3 on its PATH"):
        OwnContainer(tmp_path).build(root=tmp_path / "empty.tar", image=name)
    assert [tag for one in engine.client.images.list() for tag in one.tags if name in tag] == []
    assert OwnContainer(tmp_path).build(base=image, image=name) == image
    engine.client.images.remove(name)


def test_a_container_of_ones_own_excludes_a_server_of_another() -> None:
    for key, value in {"jupyter_host": "hub", "token": "x", "accept_unproven": True}.items():
        with pytest.raises(ConfigurationError, match=f"{key} must not be set beside it"):
            config_from({"execution": {"container": {"managed": True, key: value}}})
