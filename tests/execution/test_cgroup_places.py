"""Where groups may be made, as a machine tells it; and version 2 on a real hierarchy, where this user may."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from osprey_executor.execution.local import _cgroup
from osprey_executor.execution.local._cgroup import Most, RunGroup
from osprey_executor.execution.local._cgroup_places import Place, find_places
from osprey_executor.models import Limits

LIMITS = Limits(memory=100, folder=20, tmp=3, processes=7)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "proc").mkdir()
    return tmp_path / "proc"


def tell(proc: Path, mounts: list[tuple[str, Path, str, str]], groups: str) -> None:
    lines = [
        f"{n} 20 0:{n} {root} {str(point).replace(' ', chr(92) + '040')} rw,relatime shared:9 - {kind} cgroup {options}"
        for n, (root, point, kind, options) in enumerate(mounts, 30)
    ]
    (proc / "mountinfo").write_text("\n".join(["1 1 0:1 / / rw - ext4 /dev/root rw", *lines]) + "\n")
    (proc / "cgroup").write_text(groups)


def version_1(proc: Path, root: str, groups: str) -> tuple[Path, Path]:
    memory, pids = proc.parent / "cg memory", proc.parent / "cg-pids"
    tell(proc, [(root, memory, "cgroup", "rw,memory"), (root, pids, "cgroup", "rw,cpu,pids")], groups)
    for folder in (memory, pids):
        (folder / "job").mkdir(parents=True)
    return memory, pids


def version_2(proc: Path, offered: str, given: str, members: str, own: str = "job") -> Path:
    mount = proc.parent / "unified"
    tell(proc, [("/", mount, "cgroup2", "rw")], f"0::/{own}\n")
    (mount / own).mkdir(parents=True)
    (mount / "job" / "cgroup.controllers").write_text(offered)
    (mount / "job" / "cgroup.subtree_control").write_text(given)
    (mount / "job" / "cgroup.procs").write_text(members)
    return mount / "job"


def test_version_1_has_a_place_for_each_controller_below_the_own_group(proc: Path) -> None:
    memory, pids = version_1(proc, "/", "9:memory:/job\n8:cpu,pids:/job\n0::/\n")
    assert find_places(proc) == (Place(memory / "job", 1, ("memory",)), Place(pids / "job", 1, ("pids",)))


def test_a_container_sees_its_own_group_at_the_mount_point(proc: Path) -> None:
    memory, _ = version_1(proc, "/docker/ab", "9:memory:/docker/ab\n8:pids:/docker/cd\n")
    assert find_places(proc) == (Place(memory / ".", 1, ("memory",)),)


@pytest.mark.parametrize("path", ["/gone", "/../outside", "/docker/other"])
def test_a_group_that_is_not_below_the_mount_is_no_place(proc: Path, path: str) -> None:
    version_1(proc, "/docker/ab" if path == "/docker/other" else "/", f"9:memory:{path}\n8:pids:{path}\n")
    assert find_places(proc) == ()


def test_no_cgroup_file_system_is_no_place(proc: Path) -> None:
    assert find_places(proc) == ()
    tell(proc, [], "0::/\n")
    assert find_places(proc) == ()


def test_version_2_that_gives_its_controllers_on_is_taken_first(proc: Path) -> None:
    own = version_2(proc, "cpu memory pids\n", "memory pids\n", "1\n2\n")
    assert find_places(proc) == (Place(own, 2, ("memory", "pids")),)


def test_a_second_engine_finds_the_place_of_the_first(proc: Path) -> None:
    own = version_2(proc, "memory pids\n", "memory pids\n", "", own="job/osprey-service")
    assert find_places(proc) == (Place(own, 2, ("memory", "pids")),)


def test_version_2_without_the_controllers_is_no_place(proc: Path) -> None:
    own = version_2(proc, "hugetlb\n", "", f"{os.getpid()}\n")
    assert find_places(proc) == ()
    assert (own / "cgroup.subtree_control").read_text() == ""
    assert not (own / "osprey-service").exists()


def test_the_limits_of_version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written where; no machine of ours has these controllers in version 2."""
    written: dict[str, str] = {}
    monkeypatch.setattr(_cgroup, "_write", lambda file, value: written.update({file.name: str(value)}))
    group = RunGroup({tmp_path / "1": Place(tmp_path, 2, ("memory", "pids"))}, Most.of(LIMITS))
    assert written == {
        "memory.max": str(123 + (32 << 20)),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "10",
    }
    assert group.held == {"memory": "cgroup v2", "processes": "cgroup v2"}
    events = tmp_path / "1" / "memory.events"
    events.write_text("low 0\nhigh 0\nmax 12\noom 0\noom_kill 1\noom_group_kill 0\n")
    assert not group.out_of_memory()  # the machine's memory ran out, not the group's
    events.write_text("low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 1\n")
    assert group.out_of_memory()


SERVICE = """
import os, sys
from pathlib import Path
from osprey_executor.execution.local._cgroup import Most, RunGroup
from osprey_executor.execution.local._cgroup_places import find_places
from osprey_executor.models import Limits
Path(sys.argv[1], "cgroup.procs").write_text("0")
(place,) = find_places(controllers=(sys.argv[2],))
print(place.folder)
print(find_places(controllers=(sys.argv[2],))[0].folder)
group = RunGroup({place.folder / "run": place}, Most.of(Limits()))
child = os.fork()
if child == 0:
    (door,) = group.doors()
    os.write(door, b"0")
    print(Path("/proc/self/cgroup").read_text().splitlines()[-1], flush=True)
    os._exit(0)
os.waitpid(child, 0)
group.remove()
print(os.listdir(place.folder / "run") if (place.folder / "run").exists() else "removed")
"""


def unified() -> Path | None:
    """The hierarchy of version 2, where this user may make groups in it that have a controller to give on."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4])
        if after.startswith("cgroup2") and os.access(point, os.W_OK) and (point / "cgroup.controllers").exists():
            return point
    return None


@contextlib.contextmanager
def delegated() -> Generator[tuple[Path, str] | None]:
    """Make a group as systemd would for a service with `Delegate=yes`, with any controller that is to be had."""
    top = unified()
    offered = (top / "cgroup.controllers").read_text().split() if top is not None else []
    if top is None or not offered:
        yield None
        return
    switch, controller = top / "cgroup.subtree_control", offered[0]
    before = switch.read_text().split()
    own = top / f"osprey-test-{os.getpid()}"
    own.mkdir()
    try:
        if controller not in before:
            switch.write_text(f"+{controller}")
        yield own, controller
    finally:
        for folder in (own / "osprey-service", own):
            _cgroup.remove_group(folder)
        if controller not in before:
            switch.write_text(f"-{controller}")


def test_a_service_makes_room_in_a_delegated_group_of_version_2() -> None:
    with delegated() as given:
        if given is None:  # then nothing is to be found either
            assert not any(place.version == 2 for place in find_places())
            return
        own, controller = given
        arguments = [sys.executable, "-c", SERVICE, str(own), controller]
        told = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
        assert told.stderr == ""
        place, again, group, removed = told.stdout.splitlines()
        assert (place, again) == (str(own), str(own))
        assert group.endswith(f"/{own.name}/run")
        assert removed == "removed"
        # Somebody else in it, who is not ours to move: there is no room then.
        (own / "cgroup.subtree_control").write_text(f"-{controller}")
        _cgroup.remove_group(own / "osprey-service")
        with subprocess.Popen(["sleep", "60"]) as other:
            try:
                (own / "cgroup.procs").write_text(str(other.pid))
                crowded = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
                assert "ValueError: not enough values to unpack" in crowded.stderr
                assert (own / "cgroup.procs").read_text().split() == [str(other.pid)]
            finally:
                other.kill()
