"""Where a jail is not to be had, the engine refuses with cause and remedy, and never runs code without it."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from osprey_executor.config import Config, ExecutionConfig
from osprey_executor.errors import ConfigurationError, EngineError, EngineUnavailableError
from osprey_executor.execution import Program, open_engine
from osprey_executor.execution.local import _refusals
from osprey_executor.models import Limits, RunStatus

NO_NAMESPACES = """
import asyncio, json
import pyseccomp
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
rules.add_rule(pyseccomp.ERRNO(CODE), "CALL")
rules.load()
from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution import open_engine
async def main():
    try:
        async with open_engine("local"):
            print(json.dumps("opened"))
    except EngineUnavailableError as error:
        print(json.dumps(str(error)))
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        ("unshare", errno.EPERM, ("seccomp filter", "--security-opt seccomp=unconfined")),
        ("mount_setattr", errno.ENOSYS, ("Linux 5.12", "lacks mount_setattr")),
        ("pivot_root", errno.EPERM, ("pivot_root failed with EPERM", "seccomp filter")),
    ],
)
def test_a_filter_like_a_containers_is_named(
    as_user: Callable[..., str], call: str, code: int, words: tuple[str, ...]
) -> None:
    told = json.loads(as_user(NO_NAMESPACES.replace("CODE", str(code)).replace("CALL", call)).splitlines()[-1])
    for word in (*words, "execution.isolation: none"):
        assert word in told


COVERED = """
import asyncio, json, os, subprocess, sys
from osprey_executor.execution.local.jail import identity, kernel
identity.enter_user_namespace({"identity_map": False, "code_id": 1000})
kernel.unshare(kernel.CLONE_NEWNS)
kernel.mount("tmpfs", "/proc/sys", 0)
from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution import open_engine
async def main():
    try:
        async with open_engine("local"):
            print(json.dumps("opened"))
    except EngineUnavailableError as error:
        print(json.dumps(str(error)))
asyncio.run(main())
"""


def test_a_covered_proc_is_named(as_user: Callable[..., str]) -> None:
    told = json.loads(as_user(COVERED).splitlines()[-1])
    assert "parts of /proc are covered" in told
    assert "unmask=ALL" in told


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"kernel/apparmor_restrict_unprivileged_userns": "1"}, "/etc/apparmor.d/osprey-executor"),
        ({"kernel/unprivileged_userns_clone": "0"}, "sysctl -w kernel.unprivileged_userns_clone=1"),
        ({"user/max_user_namespaces": "0"}, "sysctl -w user.max_user_namespaces=15000"),
    ],
)
def test_settings_of_the_system_are_named(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], word: str) -> None:
    monkeypatch.setattr(_refusals, "_setting", settings.get)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    told = _refusals.explain(errno.EPERM, "unshare", "/usr/bin/python3.11")
    assert word in told
    assert "unshare failed with EPERM" in told


@pytest.mark.parametrize(
    ("what", "words", "never"),
    [
        ("unshare", "user.max_user_namespaces", "limits."),
        ("mount /tmp", "limits.tmp", "max_user_namespaces"),
        ("mount /sandbox/out", "limits.folder", "max_user_namespaces"),
        ("mount /dev/shm", "limits.memory", "max_user_namespaces"),
        ("move_mount /usr/lib", "fs.mount-max", "max_user_namespaces"),
    ],
)
def test_what_is_used_up_is_named(what: str, words: str, never: str) -> None:
    told = _refusals.explain(errno.ENOSPC, what, "python")
    assert words in told
    assert never not in told


async def test_a_file_system_without_sense_names_its_limit() -> None:
    """A jail whose /tmp the kernel does not make: the call that failed and the limit behind it are told."""
    async with open_engine("local") as engine:
        limits = Limits.model_construct(**{**dict(Limits()), "tmp": -1})
        with pytest.raises(EngineError, match=r"mount /tmp failed with EINVAL[\s\S]*limits\.tmp"):
            await engine.run(Program(code="results = {}", limits=limits))


@pytest.mark.parametrize("small", [{"tmp": 1}, {"tmp": 4096}, {"folder": 1}, {"files": 1}])
async def test_limits_of_next_to_nothing_still_make_a_jail(small: dict[str, int]) -> None:
    async with open_engine("local") as engine:
        outcome = await engine.run(Program(code="results = {'x': 1}", limits=Limits.model_validate(small)))
        assert outcome.results == {"x": 1}


def test_an_unknown_cause_is_not_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_refusals, "_setting", lambda name: None)
    monkeypatch.setattr(_refusals, "_filtered", lambda: False)
    assert "no known cause" in _refusals.explain(errno.EIO, "mount /x", "python")


@pytest.mark.parametrize("platform", ["darwin", "win32"])
async def test_other_platforms_are_refused_in_words(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(EngineUnavailableError, match="Linux namespaces"):
        async with open_engine("local"):
            pass


async def test_there_is_no_other_engine() -> None:
    with pytest.raises(ConfigurationError, match="no engine 'cloud'"):
        async with open_engine("cloud"):
            pass


@pytest.mark.parametrize(
    "config",
    [None, {}, {"execution": {"timeout": 5}}, {"timeout": 5}, Config(), ExecutionConfig()],
    ids=["none", "empty", "whole", "section", "config", "typed"],
)
async def test_every_kind_of_configuration_is_taken(config: object) -> None:
    async with open_engine("local", config) as engine:
        assert engine.isolation.level == "full"


async def test_a_wrong_key_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="isolaton"):
        async with open_engine("local", {"isolaton": "none"}):
            pass


@pytest.mark.parametrize("what", ["missing", "empty", "not-executable"])
async def test_a_path_without_a_python_is_a_configuration_error(tmp_path: Path, what: str) -> None:
    path = tmp_path / what
    if what == "empty":
        path.mkdir()
    elif what == "not-executable":
        path.write_text("")
    with pytest.raises(ConfigurationError, match="python_env_path"):
        async with open_engine("local", {"python_env_path": str(path)}):
            pass


async def test_an_interpreter_that_does_not_work_is_told_as_such(tmp_path: Path) -> None:
    broken = tmp_path / "bin" / "python"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho no python here >&2\nexit 3\n")
    for folder in (tmp_path, broken.parent, broken):
        folder.chmod(0o755)
    with pytest.raises(EngineUnavailableError, match=r"does not work inside.*no python here"):
        async with open_engine("local", {"python_env_path": str(broken)}):
            pass


async def test_without_containment_only_where_it_is_written(tmp_path: Path) -> None:
    async with open_engine("local", {"isolation": "none"}) as engine:
        assert (engine.isolation.level, engine.isolation.proven) == ("none", False)
        outcome = await engine.run(Program(code="results = {}"))
        assert outcome.status is RunStatus.SUCCEEDED
        assert not outcome.isolation.proven
        assert [probe.outcome for probe in await engine.probe()] == ["failed"]
