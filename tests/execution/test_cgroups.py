"""Control groups: who passes a limit is ended by the kernel, and without groups the watchdog holds alone.

Where this machine lets this user make groups, the tests make real ones; where not, they show that the watchdog stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import venv
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from osprey_executor.config import ExecutionConfig
from osprey_executor.execution import Program
from osprey_executor.execution.local import _cgroup
from osprey_executor.execution.local._cgroup import Most, RunGroup
from osprey_executor.execution.local._cgroup_places import Place, find_places
from osprey_executor.execution.local._cgroups import control_groups, hold, sweep_groups
from osprey_executor.execution.local._engine import LocalEngine
from osprey_executor.execution.local._jail import Walls
from osprey_executor.execution.local._open import open_local
from osprey_executor.execution.local._restricted import RestrictedWalls
from osprey_executor.models import Limits, Outcome, RunStatus

MIB = 1 << 20
LIMITS = Limits(timeout=60, memory=128 * MIB, folder=8 * MIB, tmp=8 * MIB, processes=40)
PLACES = find_places()
HERE = {controller: f"cgroup v{place.version}" for place in PLACES for controller in place.controllers}
BOMB = """
import os, time
print("begun", flush=True)
open("left", "w").write("x")
os.fork(); os.fork()
kept = []
for _ in range(10):
    kept.append(b"x" * (8 << 20))
    time.sleep(0.01)
time.sleep(5)
results = {"held": 320}
"""
"""Takes 320 MiB in four processes, and then waits to be ended."""
WAYS = pytest.mark.parametrize("forks", [True, False], ids=["fork server", "fresh interpreter"])


@asynccontextmanager
async def opened(walls: Walls, *, forks: bool) -> AsyncGenerator[LocalEngine]:
    config = ExecutionConfig.model_validate({"limits": LIMITS, "fork_server": {"enabled": forks}})
    async with open_local(config, walls=walls) as engine:
        assert not forks or (engine.pool is not None and await engine.pool.ready())
        yield engine


def left_by(root: str) -> list[Path]:
    return [place.folder / root for place in PLACES if (place.folder / root).exists()]


def assert_ended_by_memory(outcome: Outcome) -> None:
    assert outcome.status is RunStatus.FAILED
    assert outcome.error is not None
    assert "memory limit 128 MiB exceeded (limits.memory)" in outcome.error.message
    assert outcome.partial
    assert outcome.stdout.startswith("begun")
    assert [path.name for path in outcome.artifacts] == ["left"]


@WAYS
async def test_the_kernel_ends_a_bomb_of_many_processes_where_no_watchdog_is(forks: bool) -> None:
    async with opened(Walls(watch=False), forks=forks) as engine:
        outcome = await engine.run(Program(code=BOMB))
    if "memory" in HERE:
        assert_ended_by_memory(outcome)
        assert outcome.isolation.enforced["memory"][0] == HERE["memory"]
    else:
        assert outcome.status is RunStatus.SUCCEEDED


@WAYS
async def test_without_a_group_and_a_watchdog_nobody_ends_it(forks: bool) -> None:
    """The canary of the test above."""
    async with opened(Walls(watch=False, groups=False), forks=forks) as engine:
        assert (await engine.run(Program(code=BOMB))).status is RunStatus.SUCCEEDED


@WAYS
async def test_the_watchdog_holds_alone(forks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osprey_executor.execution.local._open.find_places", tuple)
    async with opened(Walls(), forks=forks) as engine:
        outcome = await engine.run(Program(code=BOMB))
        assert engine.isolation.enforced["memory"] == ("watchdog",)
    assert_ended_by_memory(outcome)
    assert outcome.isolation.enforced["memory"] == ("watchdog",)


async def test_a_flood_of_processes_is_held_without_watchdog_and_rlimit() -> None:
    code = """
import os, time
started = 0
try:
    for _ in range(100):
        if os.fork() == 0: time.sleep(20); os._exit(0)
        started += 1
except OSError: pass
results = {"started": started}
"""
    async with opened(Walls(watch=False, rlimits=False), forks=False) as engine:
        outcome = await engine.run(Program(code=code))
    most = LIMITS.processes + 3
    started = outcome.results["started"]
    assert LIMITS.processes - 3 <= started <= most if "pids" in HERE else started == 100


async def test_a_child_that_the_kernel_ends_ends_the_run() -> None:
    code = BOMB.replace("os.fork(); os.fork()", "if os.fork(): time.sleep(20); os._exit(0)").replace("8 <<", "24 <<")
    async with opened(Walls(watch=False), forks=True) as engine:
        outcome = await engine.run(Program(code=code, limits=LIMITS.model_copy(update={"timeout": 10})))
    assert outcome.status is (RunStatus.FAILED if "memory" in HERE else RunStatus.TIMED_OUT)


async def test_a_process_of_a_jail_that_is_not_in_its_group_is_told(tmp_path: Path) -> None:
    """What the environment's own Python says of itself is not believed: here it stays outside, and says nothing."""
    place = tmp_path / "e"
    venv.create(place, with_pip=False)
    stay_out = "sys.modules['jail.groups'].enter = lambda doors: True"
    hostile = f"import sys\nif sys.flags.no_site:\n    {stay_out}\n"
    for packages in place.glob("lib/python3*/site-packages"):
        (packages / "hostile.py").write_text(hostile)
        (packages / "a.pth").write_text("import hostile\n")
    config = ExecutionConfig.model_validate({"limits": LIMITS, "python_env_path": place})
    async with open_local(config, walls=Walls()) as engine:
        assert engine.pool is not None
        assert await engine.pool.ready(), engine.pool.problem
        outcome = await engine.run(Program(code="results = {}"))
        assert outcome.isolation.enforced["memory"] == ("watchdog",)
        assert_ended_by_memory(await engine.run(Program(code=BOMB)))


async def test_a_full_working_folder_leaves_the_memory_that_the_limit_grants() -> None:
    code = """
for n in range(7): open(f"f{n}", "wb").write(b"x" * (1 << 20))
kept = b"x" * (90 << 20)
results = {"kept": len(kept)}
"""
    async with opened(Walls(), forks=False) as engine:
        outcome = await engine.run(Program(code=code))
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error


async def test_the_restricted_sandbox_has_groups_too() -> None:
    config = ExecutionConfig(isolation="restricted", limits=LIMITS)
    async with open_local(config, restricted_walls=RestrictedWalls(watch=False, rlimits=False)) as engine:
        outcome = await engine.run(Program(code=BOMB))
    if "memory" in HERE:
        assert_ended_by_memory(outcome)
    assert outcome.isolation.enforced["memory"] == (*filter(None, [HERE.get("memory")]), "watchdog")


async def test_a_group_that_cannot_be_entered_leaves_the_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_doors(self: RunGroup) -> list[int]:
        return [os.open("/dev/null", os.O_RDONLY)]  # which cannot be written to

    monkeypatch.setattr(RunGroup, "doors", no_doors)
    for forks in (True, False):
        async with opened(Walls(), forks=forks) as engine:
            outcome = await engine.run(Program(code="results = {'a': 1}"))
            assert outcome.status is RunStatus.SUCCEEDED, outcome.error
            assert outcome.isolation.enforced["memory"] == ("watchdog",)
            assert_ended_by_memory(await engine.run(Program(code=BOMB)))


async def test_doctor_notices_a_group_that_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Most, "of", staticmethod(lambda limits: Most(1 << 40, 1000)))
    async with open_local(ExecutionConfig(), walls=Walls()) as engine:
        failed = {probe.name for probe in await engine.probe() if probe.outcome == "failed"}
    names = {"memory": "take more memory in all", "pids": "start more processes"}
    assert failed == {f"{names[name]} than the limit, by the control group alone" for name in HERE}


async def test_groups_are_used_again_and_removed_in_the_end() -> None:
    async with opened(Walls(), forks=False) as engine:
        for _ in range(10):  # the last four may wait to be looked at, and two may hold something still
            assert (await engine.run(Program(code="results = {}"))).status is RunStatus.SUCCEEDED
        assert engine.groups is not None
        made = len(engine.groups._made)
        assert left_by(engine._root.name) == [place.folder / engine._root.name for place in PLACES]
    assert made <= 7 * bool(HERE)
    assert left_by(engine._root.name) == []


SERVICE = """
import asyncio, sys
from osprey_executor.config import ExecutionConfig
from osprey_executor.execution import Program
from osprey_executor.execution.local._open import open_local

async def main():
    async with open_local(ExecutionConfig()) as engine:
        await engine.pool.ready()
        up = lambda event: print(engine._root.name, flush=True)
        code = "import os, time\\nos.fork()\\nprint('up', flush=True)\\ntime.sleep(600)"
        await engine.run(Program(code=code), on_event=up)
asyncio.run(main())
"""


async def test_the_next_start_removes_what_a_killed_service_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    service = subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, text=True, env=environment)
    with service:
        assert service.stdout is not None
        root = (await asyncio.to_thread(service.stdout.readline)).strip()
        assert root.startswith("osprey-executor-")
        service.kill()
    left = [group for room in left_by(root) for group in room.iterdir() if group.is_dir()]
    async with asyncio.timeout(10):
        while any(map(_cgroup.processes_in, left)):
            await asyncio.sleep(0.01)
    assert [path.parent for path in left_by(root)] == [place.folder for place in PLACES]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with opened(Walls(), forks=False):
        assert left_by(root) == []
        assert not (tmp_path / root).exists()


def test_a_sweep_ends_only_who_is_in_a_group_of_a_dead_engine() -> None:
    """A process in a dead engine's group, one in that of an engine that lives, one in a stranger's, one in none."""
    names = (f"osprey-executor-dead{os.getpid()}", f"osprey-executor-alive{os.getpid()}", f"other-{os.getpid()}")
    sleepers = [subprocess.Popen(["sleep", "60"]) for _ in range(4)]
    groups: list[RunGroup] = []
    try:
        with control_groups(f"alive{os.getpid()}", PLACES):
            with contextlib.ExitStack() as alive_yet:  # engines of other processes of this machine sweep, too
                for name, sleeper in zip(names, sleepers, strict=False):
                    for place in PLACES:
                        (place.folder / name).mkdir(exist_ok=True)
                        if name == names[0]:
                            hold(place.folder / name, alive_yet)
                    groups.append(RunGroup({place.folder / name / "9": place for place in PLACES}, Most.of(LIMITS)))
                    for place in PLACES:
                        (place.folder / name / "9" / "cgroup.procs").write_text(str(sleeper.pid))
            with control_groups(f"new{os.getpid()}", PLACES):
                assert left_by(names[0]) == []
                for name in names[1:]:
                    assert left_by(name) == [place.folder / name for place in PLACES]
            if PLACES:
                assert sleepers[0].wait(10) == -signal.SIGKILL
            assert [sleeper.poll() for sleeper in sleepers[1:]] == [None, None, None]
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()
        for group in groups:
            group.remove()
        for place in PLACES:
            for name in names:
                _cgroup.remove_group(place.folder / name)


def test_a_sweep_leaves_what_has_no_lock_of_ours_to_take(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "osprey-executor-link").symlink_to(tmp_path / "real")
    (tmp_path / "osprey-executor-dead" / "1").mkdir(parents=True)
    (tmp_path / "osprey-executor-file").write_text("")
    sweep_groups(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["osprey-executor-file", "osprey-executor-link", "real"]


def test_no_place_is_no_group_and_no_error() -> None:
    with control_groups("none", ()) as groups:
        assert groups.held == {}
        assert groups.take(LIMITS) is None


def test_a_place_that_refuses_is_no_group(tmp_path: Path) -> None:
    with control_groups("refused", [Place(tmp_path / "absent", 2, ("memory", "pids"))]) as groups:
        assert groups.held == {}
        assert groups.take(LIMITS) is None
