"""Canaries: every wall shows that it stands, and a wall that is taken away is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor.config import ExecutionConfig
from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution import Engine
from osprey_executor.execution.local._jail import Walls
from osprey_executor.execution.local._open import open_local
from osprey_executor.execution.local._seccomp import Filters
from osprey_executor.models import Probe


async def test_every_wall_stands(engine: Engine) -> None:
    probes = await engine.probe()
    assert [probe for probe in probes if probe.outcome != "ok"] == []
    assert len(probes) > 25
    assert all(probe.detail for probe in probes)
    assert engine.isolation.proven
    assert engine.isolation.level == "full"


async def failures(walls: Walls) -> dict[str, Probe]:
    async with open_local(ExecutionConfig(), walls=walls) as engine:
        assert not engine.isolation.proven
        return {probe.name: probe for probe in await engine.probe() if probe.outcome == "failed"}


async def test_a_missing_seccomp_filter_is_noticed() -> None:
    failed = await failures(Walls(seccomp=False))
    assert {
        "trace a process",
        "make a user namespace",
        "use the kernel's keyrings",
        "make a file that belongs to no folder",
        "open a netlink socket",
    } <= set(failed)


async def test_a_shared_network_is_noticed() -> None:
    failed = await failures(Walls(network=False))
    assert {
        "open a TCP connection to the host",
        "ask a name server of the host over UDP",
        "connect to an abstract unix socket of the host",
    } <= set(failed)


async def test_missing_noexec_is_noticed() -> None:
    assert {"execute a file of the working folder", "execute a file of /tmp"} <= set(
        await failures(Walls(no_exec=False))
    )


async def test_missing_limits_of_a_process_are_noticed() -> None:
    failed = await failures(Walls(rlimits=False))
    assert {"take more memory at once than the limit", "open more files than the limit"} <= set(failed)


async def test_a_missing_watch_is_noticed() -> None:
    assert "take more memory in all than the limit" in await failures(Walls(watch=False, groups=False))


async def test_missing_limit_and_watch_of_processes_are_noticed() -> None:
    assert "start more processes than the limit" in await failures(Walls(watch=False, rlimits=False, groups=False))


async def test_a_visible_folder_of_the_host_is_noticed(tmp_path: Path) -> None:
    failed = await failures(Walls(extra_binds=((tmp_path, "/host"),)))
    assert "also visible: host" in failed["see other folders of the host"].detail


async def test_a_readable_file_of_the_host_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shown = Walls(extra_binds=((tmp_path, str(tmp_path)),))
    async with open_local(ExecutionConfig(), walls=shown) as engine:
        for folder in (tmp_path, *tmp_path.glob("osprey-executor-*")):
            folder.chmod(0o755)
        found = {probe.name: probe.outcome for probe in await engine.probe()}
    assert found["read a host file"] == "failed"


async def test_a_secret_in_the_environment_is_noticed() -> None:
    failed = await failures(Walls(extra_environment={"API_KEY": "x"}))
    assert "API_KEY" in failed["find a secret in the environment"].detail


async def test_an_engine_whose_wall_is_missing_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osprey_executor.execution.local._seccomp.programs", lambda: Filters([], [], []))
    with pytest.raises(EngineUnavailableError, match="make a user namespace"):
        async with open_local(ExecutionConfig()):
            pass
