"""Restricted isolation: programs work, hostile ones are refused or ended, and nothing is left. All are bounded."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest

from osprey_executor.config import ExecutionConfig
from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution import Engine, Program, open_engine
from osprey_executor.execution.local import _refusals
from osprey_executor.execution.local._clearing import clear
from osprey_executor.execution.local._engine import LocalEngine
from osprey_executor.execution.local._open import open_local
from osprey_executor.execution.local._restricted import RestrictedWalls
from osprey_executor.execution.local.jail import landlock
from osprey_executor.execution.local.jail import restricted as monitor
from osprey_executor.models import Limits, Outcome, RunStatus

WORKS = {
    "inputs, results, context": """
open("left.txt", "w").write("x")
results = {"a": open("inputs/a").read(), "b": open("inputs/b").read(), "c": context.c}
""",
    "asyncio": """
import asyncio
async def main():
    made = await asyncio.create_subprocess_exec("/bin/cat", stdin=-1, stdout=-1)
    assert (await made.communicate(b"hello"))[0] == b"hello"
    return await asyncio.to_thread(lambda: 7)
assert asyncio.run(main()) == 7
""",
    "threads": """
import threading
found = []
threads = [threading.Thread(target=found.append, args=(i,)) for i in range(20)]
[t.start() for t in threads]; [t.join() for t in threads]
assert sorted(found) == list(range(20))
""",
    "processes": """
import multiprocessing as mp, signal
def work(line): line.send(line.recv() ** 2)
def wait(): signal.pause()
if __name__ == "__main__":
    for method in ("fork", "spawn"):
        ours, theirs = mp.Pipe()
        child = mp.get_context(method).Process(target=work, args=(theirs,))
        child.start(); ours.send(7); assert ours.recv() == 49; child.join()
        assert child.exitcode == 0
    child = mp.get_context("fork").Process(target=wait)
    child.start(); child.terminate(); child.join()
    assert child.exitcode == -signal.SIGTERM
""",
    "subprocess": """
import subprocess, sys
code = "import osprey_executor.runtime, sys; print(sys.prefix)"
assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == sys.prefix
assert subprocess.run("exit 3", shell=True).returncode == 3
""",
    "files": """
import os, shutil, sqlite3, tempfile
open("a", "w").write("x"); shutil.copy("a", "b"); shutil.copy2("a", "c"); shutil.copy2("inputs/a", "d")
os.link("a", "e"); shutil.move("b", os.path.join(os.environ["TMPDIR"], "b")); os.truncate("c", 0)
os.mkdir("f"); os.rename("c", "f/c"); shutil.rmtree("f"); os.mkfifo("pipe"); os.symlink("a", "s")
with tempfile.TemporaryDirectory() as folder, sqlite3.connect(os.path.join(folder, "x.db")) as db:
    db.execute("create table t (a)"); db.execute("insert into t values (1)")
with sqlite3.connect("kept.db") as db:
    db.execute("pragma journal_mode=wal"); db.execute("create table t (a)")
assert os.path.isdir(os.path.expanduser("~")) and os.isatty(1) is False
""",
    "science": """
import numpy as np, pandas as pd, scipy.linalg, matplotlib.pyplot as plt
a = np.random.default_rng(0).random((200, 200))
assert np.allclose(scipy.linalg.inv(a) @ a, np.eye(200), atol=1e-6)
assert pd.DataFrame({"a": [1, 2]}).a.sum() == 3
np.save("a.npy", a); assert np.load("a.npy", mmap_mode="r").shape == (200, 200)
plt.plot([1, 2]); plt.savefig("plot.png")
""",
    "devices": """
import os, signal, sys
assert os.urandom(4) and open("/dev/zero", "rb").read(2) == bytes(2)
open("/dev/null", "w").write("x")
got = []
signal.signal(signal.SIGALRM, lambda *_: got.append(1)); signal.setitimer(signal.ITIMER_REAL, 0.01)
while not got: signal.pause()
assert sys.stdin.read() == ""
""",
}

HIDING = """
import os, signal, sys, time
code = os.getpid()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(n, signal.SIG_IGN)
        open("orphan", "w").write("x")
        if STOP: os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(600)
    os._exit(0)
while not os.path.exists("orphan"): time.sleep(0.001)
"""


@pytest.fixture
async def restricted() -> AsyncGenerator[Engine]:
    """A local engine with restricted isolation."""
    async with open_engine("local", {"isolation": "restricted"}) as opened:
        yield opened


def message(outcome: Outcome) -> str:
    assert outcome.error is not None, outcome
    return f"{outcome.error.type}: {outcome.error.message}"


def left_of(engine: Engine) -> list[str]:
    """Return the processes of this machine that work below the folder of `engine`."""
    assert isinstance(engine, LocalEngine)
    return [path.name for path in Path("/proc").glob("[0-9]*") if _cwd(path).startswith(str(engine._root))]


def _cwd(process: Path) -> str:
    try:
        return str((process / "cwd").readlink())
    except OSError:
        return ""


@pytest.mark.parametrize("name", WORKS)
async def test_programs_find_what_they_need(restricted: Engine, name: str, tmp_path: Path) -> None:
    given = tmp_path / "given.txt"
    given.write_text("path")
    outcome = await restricted.run(Program(code=WORKS[name], inputs={"a": b"bytes", "b": given}, context={"c": 1}))
    assert outcome.status is RunStatus.SUCCEEDED, f"{outcome.error}\n{outcome.stderr}"
    if outcome.has_results:
        assert outcome.results == {"a": "bytes", "b": "path", "c": 1}
        assert [path.name for path in outcome.artifacts] == ["left.txt"]


async def test_every_wall_stands(restricted: Engine) -> None:
    probes = await restricted.probe()
    assert [probe for probe in probes if probe.outcome != "ok"] == []
    assert len(probes) > 35
    assert all(probe.detail for probe in probes)
    assert (restricted.isolation.level, restricted.isolation.proven) == ("restricted", True)


ATTACKS = """
import ctypes, os, signal, socket, stat
def try_(name, work):
    try: tried[name] = repr(work())
    except OSError as error: pass
tried = {}
for fd in range(4, 256): try_(f"descriptor {fd}", lambda: os.fstat(fd))
libc = ctypes.CDLL(None, use_errno=True)
victim, port, secret = context.victim, context.port, context.secret
try_("read", lambda: open(secret).read())
try_("list", lambda: os.listdir(os.path.dirname(secret)))
try_("write", lambda: open(secret, "a"))
try_("truncate", lambda: os.truncate(secret, 0))
try_("remove", lambda: os.remove(secret))
try_("move", lambda: os.rename(secret, "mine"))
try_("link", lambda: os.link(secret, "mine"))
os.symlink(secret, "soft"); try_("symlink", lambda: open("soft").read())
try_("passwd", lambda: open("/etc/passwd").read())
try_("etc", lambda: open("/etc/osprey-was-here", "w"))
try_("shm", lambda: open("/dev/shm/osprey-was-here", "w"))
try_("chroot", lambda: os.chroot("."))
handle = os.open(secret, os.O_PATH); try_("handle", lambda: os.read(handle, 1))
try_("reopen", lambda: open(f"/proc/self/fd/{handle}"))
for who in (victim, os.getppid()):
    try_(f"signal {who}", lambda: os.kill(who, 0))
    try_(f"group {who}", lambda: os.killpg(who, 0))
    try_(f"pidfd {who}", lambda: signal.pidfd_send_signal(os.pidfd_open(who), 0))
    for name in ("environ", "mem", "cmdline", "fd/0", "root/etc/passwd", "cwd/x"):
        try_(f"{name} {who}", lambda: open(f"/proc/{who}/{name}", "rb"))
    try_(f"priority {who}", lambda: os.setpriority(os.PRIO_PROCESS, who, 19))
    try_(f"affinity {who}", lambda: os.sched_setaffinity(who, {0}))
    import resource
    try_(f"limit {who}", lambda: resource.prlimit(who, resource.RLIMIT_NOFILE))
    for call, arguments in (("ptrace", (16, who, 0, 0)), ("process_vm_readv", (who, 0, 0, 0, 0, 0))):
        if getattr(libc, call)(*arguments) == 0: tried[f"{call} {who}"] = "done"
try_("everybody", lambda: os.setpriority(os.PRIO_USER, 0, 19))
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        try_(f"socket {family} {kind}", lambda: socket.socket(family, kind))
try_("tcp", lambda: socket.create_connection(("127.0.0.1", port)))
for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW):
    try_(f"pair {kind}", lambda: socket.socketpair(socket.AF_UNIX, kind))
a, b = socket.socketpair()
try_("connect", lambda: a.connect("\\0abstract"))
try_("sendto", lambda: a.sendto(b"x", "\\0abstract"))
before = os.stat(secret)
try_("own", lambda: os.chown(secret, -1, -1))
os.chmod(secret, 0o777); os.utime(secret, (1, 1))
after = os.stat(secret)
if (before.st_mode, before.st_mtime) != (after.st_mode, after.st_mtime): tried["rights"] = "changed"
for folder in (".", os.environ["TMPDIR"]):
    path = os.path.join(folder, "run")
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o755), "w") as f: f.write("#!/bin/sh\\nexit 0\\n")
    try_(f"exec {folder}", lambda: os.posix_spawn(os.path.abspath(path), [path], {}))
results = {"tried": tried, "environment": dict(os.environ)}
"""


async def test_nothing_of_the_host_is_within_reach(
    restricted: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET_KEY", "s3cret-value")
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        context = {"victim": os.getpid(), "port": server.getsockname()[1], "secret": str(secret)}
        outcome = await restricted.run(Program(code=ATTACKS, context=context))
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    assert outcome.results["tried"] == {}
    assert "s3cret-value" not in repr(outcome.results["environment"])
    assert secret.read_text() == "s3cret"
    assert not Path("/etc/osprey-was-here").exists()


FORGE = """
import os, signal
for fd in range(3, 64):
    for words in (b"exit 0", b'{"op": "finish", "nonce": "", "results": false, "error": null}'):
        try: os.write(fd, words)
        except OSError: break
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV):
    try: os.kill(os.getppid(), number)
    except OSError: pass
os._exit(CODE)
"""


@pytest.mark.parametrize("code", [0, 7])
async def test_a_forged_status_is_not_believed(restricted: Engine, code: int) -> None:
    outcome = await restricted.run(Program(code=FORGE.replace("CODE", str(code))))
    assert outcome.status is RunStatus.FAILED
    assert "ProtocolViolation" in message(outcome)


BOMB = """
import os, time
end = time.time() + 20
for _ in range(9): os.fork()
while time.time() < end: pass
"""
MANY = """
import os, time
started = 0
try:
    for _ in range(1500):
        if os.fork() == 0:
            time.sleep(60); os._exit(0)
        started += 1
except OSError: pass
results = {"started": started}
"""


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (BOMB, "process limit 64 exceeded"),
        (
            "import os\nfor _ in range(4):\n    if os.fork() == 0: break\nk = b'x' * (100 << 20)\n"
            + "while True: pass",
            "memory limit",
        ),
        ("for i in range(20): open(str(i), 'wb').write(b'x' * (1 << 20))", "folder limit 8 MiB exceeded"),
        ("for i in range(300): open(str(i), 'w')", "file limit 100 exceeded"),
        (
            "import os\nfor i in range(20): open(f'{os.environ[\"TMPDIR\"]}/{i}', 'wb').write(b'x' * (1 << 20))",
            "limits.tmp",
        ),
        ("import os\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')", "64 deep"),
        (
            "import os\nkept = []\nfor _ in range(20):\n    kept.append(open('n', 'wb', 0))\n"
            "    kept[-1].write(b'x' * (1 << 20)); os.remove('n')\nwhile True: pass",
            "folder limit 8 MiB exceeded",
        ),
    ],
    ids=["fork bomb", "memory of many", "folder", "files", "tmp", "depth", "files without a name"],
)
async def test_floods_are_ended_with_the_limit_named(
    restricted: Engine, limits: Limits, code: str, words: str, tmp_path: Path
) -> None:
    outcome = await restricted.run(Program(code=code, limits=limits, folder=tmp_path / "run"))
    assert outcome.status is RunStatus.FAILED
    assert words in message(outcome)
    assert outcome.partial
    assert left_of(restricted) == []
    artifacts = [path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert sum(artifacts) <= limits.folder
    assert len(artifacts) <= limits.files


@pytest.mark.parametrize("stop", [False, True])
async def test_no_child_outlives_the_program(restricted: Engine, stop: bool) -> None:
    outcome = await restricted.run(Program(code=HIDING.replace("STOP", str(stop)), limits=Limits(timeout=100)))
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    assert left_of(restricted) == []


@pytest.mark.parametrize("stop", [False, True])
async def test_no_child_outlives_the_time_limit(restricted: Engine, stop: bool) -> None:
    code = HIDING.replace("STOP", str(stop)) + "\nwhile True: pass"
    outcome = await restricted.run(Program(code=code, limits=Limits(timeout=2)))
    assert outcome.status is RunStatus.TIMED_OUT
    assert left_of(restricted) == []


async def test_a_chain_of_short_lives_is_ended(restricted: Engine) -> None:
    """Each process forks and ends at once, so that a list of them is old before it can be used."""
    code = "import os, time\nif os.fork() == 0:\n    for _ in range(5000): os.fork() and os._exit(0)\ntime.sleep(0.2)"
    outcome = await restricted.run(Program(code=code))
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    assert left_of(restricted) == []


async def test_cancelling_ends_all(restricted: Engine) -> None:
    begun = asyncio.Event()
    code = HIDING.replace("STOP", "True") + 'print("there")\ntime.sleep(600)'
    task = asyncio.create_task(restricted.run(Program(code=code), on_event=lambda event: begun.set()))
    await begun.wait()
    policies = {os.sched_getscheduler(int(process)) for process in left_of(restricted)}
    assert policies == {os.SCHED_OTHER}
    if os.geteuid() == 0:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        monitors = [child for child in children if b"jail.restricted" in Path(f"/proc/{child}/cmdline").read_bytes()]
        assert [os.sched_getscheduler(int(monitor)) & 7 for monitor in monitors] == [os.SCHED_FIFO]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left_of(restricted) == []


async def test_nothing_is_left_on_the_disk(tmp_path: Path, steady: Callable[[Engine], Awaitable[int]]) -> None:
    closed = "import os\nos.mkdir('d', 0o700); os.mkdir('d/e', 0)\nfor _ in range(50): os.mkdir('x'); os.chdir('x')"
    async with open_local(ExecutionConfig(isolation="restricted")) as engine:
        root = engine._root
        await engine.run(Program(code="pass"))
        before, kept = await steady(engine), sorted(path.name for path in root.iterdir())
        for code in (closed, "while True: pass", FORGE.replace("CODE", "0")):
            await engine.run(Program(code=code, limits=Limits(timeout=1), folder=tmp_path / "run"))
        assert await steady(engine) == before
        assert sorted(path.name for path in root.iterdir()) == kept
    assert not root.exists()


KILLED = """
import asyncio, os, sys
from osprey_executor.execution import OutputChunk, Program, open_engine
CODE = '''PROGRAM'''
async def main():
    async with open_engine("local", {"isolation": "restricted"}) as engine:
        await engine.run(Program(code=CODE), on_event=lambda event: os.kill(os.getpid(), 9))
asyncio.run(main())
"""


def test_the_monitor_never_signals_everybody_unless_that_is_kept_inside() -> None:
    """This process is not kept inside, so its own signal comes through, which must be noticed."""
    with pytest.raises(OSError, match="came through"):
        monitor.check_signals(os.getpid())


def test_what_is_closed_or_deep_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (outside / "kept").mkdir(parents=True)
    (folder / "closed").mkdir(parents=True)
    (folder / "link").symlink_to(outside)
    (folder / "closed" / "link").symlink_to(outside)
    here = os.open(folder / "closed", os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        here, before = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(before)
    os.close(here)
    (folder / "closed").chmod(0)
    mode = outside.stat().st_mode
    clear(folder)
    assert not folder.exists()
    assert (outside / "kept").is_dir()
    assert outside.stat().st_mode == mode


def test_killing_the_service_ends_its_programs(tmp_path: Path) -> None:
    program = HIDING.replace("STOP", "False") + 'print("there")\ntime.sleep(600)'
    script = tmp_path / "killed.py"
    script.write_text(KILLED.replace("PROGRAM", program))
    folder = tmp_path / "tmp"
    folder.mkdir()
    done = subprocess.run([sys.executable, str(script)], env={**os.environ, "TMPDIR": str(folder)}, timeout=100)
    assert done.returncode == -9
    while any(str(folder) in _cwd(process) for process in Path("/proc").glob("[0-9]*")):
        time.sleep(0.01)


async def failures(walls: RestrictedWalls) -> set[str]:
    async with open_local(ExecutionConfig(isolation="restricted"), restricted_walls=walls) as engine:
        assert not engine.isolation.proven
        return {probe.name for probe in await engine.probe() if probe.outcome == "failed"}


async def test_missing_landlock_is_noticed() -> None:
    assert {
        "read a host file",
        "see other folders of the host",
        "execute a file of the working folder",
        "execute a file of /tmp",
        "signal a process of the host",
        "list folders of the host",
        "read about a process",
    } <= await failures(RestrictedWalls(landlock=False))


async def test_a_missing_filter_is_noticed() -> None:
    assert {
        "reach another machine",
        "ask a name server of the host over UDP",
        "open a netlink socket",
        "trace a process",
        "use the kernel's keyrings",
        "open a unix socket",
        "send a datagram to a unix socket of the host",
        "watch a folder of the host",
        "use extended attributes",
        "hide from the monitor",
    } <= await failures(RestrictedWalls(seccomp=False))


async def test_missing_limits_of_a_process_are_noticed() -> None:
    assert {"take more memory at once than the limit", "open more files than the limit"} <= await failures(
        RestrictedWalls(rlimits=False)
    )


async def test_a_missing_watch_is_noticed() -> None:
    assert {"take more memory in all than the limit", "start more processes than the limit"} <= await failures(
        RestrictedWalls(watch=False, groups=False)
    )


async def test_a_visible_folder_of_the_host_is_noticed() -> None:
    walls = RestrictedWalls(extra_rules=(("/tmp", landlock.READ),))
    assert {"read a host file", "list folders of the host"} <= await failures(walls)


async def test_a_secret_in_the_environment_is_noticed() -> None:
    walls = RestrictedWalls(extra_environment={"API_KEY": "x"})
    assert "find a secret in the environment" in await failures(walls)


async def test_an_engine_whose_wall_is_missing_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osprey_executor.execution.local._seccomp.restricted_programs", lambda: [])
    with pytest.raises(EngineUnavailableError, match="open a unix socket"):
        async with open_local(ExecutionConfig(isolation="restricted")):
            pass


AS_OTHERS = """
import asyncio, json, os
from osprey_executor.config import ExecutionConfig
from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution import Program, open_engine
from osprey_executor.execution.local._open import open_local
from osprey_executor.execution.local._restricted import RestrictedWalls
from osprey_executor.models import Limits
BEFORE
ATTACKS = ATTACKS_TEXT
HIDING = HIDING_TEXT
FORGE = FORGE_TEXT
MANY = MANY_TEXT
BOMB = BOMB_TEXT
async def main():
    told = {"service": os.getuid()}
    secret = os.path.expanduser("~/secret")
    with open(secret, "w") as stream: stream.write("s3cret")
    hidden = os.path.expanduser("~/hidden"); os.mkdir(hidden, 0o700)
    with open(hidden + "/input", "w") as stream: stream.write("given")
    try:
        async with open_engine("local"): told["full"] = "opened"
    except EngineUnavailableError as error: told["full"] = str(error)
    async with open_engine("local", {"isolation": "restricted"}) as engine:
        told["proven"], told["mechanisms"] = engine.isolation.proven, engine.isolation.mechanisms
        told["failed"] = [(p.name, p.detail) for p in await engine.probe() if p.outcome != "ok"]
        context = {"victim": os.getpid(), "port": 1, "secret": secret}
        attacked = await engine.run(Program(code=ATTACKS, context=context))
        told["tried"] = attacked.results["tried"]
        good = await engine.run(Program(inputs={"i": __import__("pathlib").Path(hidden, "input")},
            code="import os\\nopen('f','w').write('x')\\n"
                 "results = {'uid': os.getuid(), 'in': open('inputs/i').read()}"))
        told["good"] = [good.status, str(good.error), good.results, [p.name for p in good.artifacts]]
        told["forged"] = str((await engine.run(Program(code=FORGE.replace("CODE", "7")))).error)
        for stop in ("False", "True"):
            code = HIDING.replace("STOP", stop) + "\\nwhile True: pass"
            told["slow"] = (await engine.run(Program(code=code, limits=Limits(timeout=2)))).status
            told["left"] = [pid for pid in os.listdir("/proc") if pid.isdigit() and below(engine._root, pid)]
        told["bomb"] = str((await engine.run(Program(code=BOMB, limits=Limits(processes=64)))).error)
        nameless = "k = []\\nimport os\\nfor i in range(20):\\n k.append(open('n', 'wb', 0)); os.remove('n')\\n" \\
            " k[-1].write(b'x' * (1 << 20))\\nwhile True: pass"
        flooded = await engine.run(Program(code=nameless, limits=Limits(folder=8 << 20)))
        told["flooded"] = str(flooded.error)
        closed = "import os, time\\nos.mkdir('d', 0o300)\\nopen('d/x', 'w')\\nos.mkdir('e', 0)\\ntime.sleep(5)"
        told["closed"] = str((await engine.run(Program(code=closed))).error)
    config, walls = ExecutionConfig(isolation="restricted"), RestrictedWalls(watch=False, groups=False)
    async with open_local(config, restricted_walls=walls) as engine:
        told["many"] = (await engine.run(Program(code=MANY, limits=Limits(processes=64)))).results["started"]
    told["rest"] = [name for name in os.listdir("/tmp") if name.startswith("osprey-executor-")]
    print(json.dumps(told))
def below(root, pid):
    try: return os.readlink(f"/proc/{pid}/cwd").startswith(str(root))
    except OSError: return False
asyncio.run(main())
"""
NO_NAMESPACES = """
import errno, pyseccomp
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
for call in ("unshare", "mount", "open_tree"): rules.add_rule(pyseccomp.ERRNO(errno.EPERM), call)
rules.load()
"""


def as_others(before: str = "") -> str:
    texts = {"ATTACKS_TEXT": ATTACKS, "HIDING_TEXT": HIDING, "FORGE_TEXT": FORGE, "MANY_TEXT": MANY, "BOMB_TEXT": BOMB}
    script = AS_OTHERS.replace("BEFORE", before)
    for name, text in texts.items():
        script = script.replace(name, repr(text))
    return script


@pytest.mark.parametrize("stay_root", [False, True], ids=["ordinary user", "root"])
def test_every_user_has_the_same_walls(as_user: Callable[..., str], stay_root: bool) -> None:
    told = json.loads(as_user(as_others(), stay_root=stay_root).splitlines()[-1])
    assert told["proven"]
    assert told["failed"] == []
    assert told["tried"] == {}
    code_user = told["service"] or 65534
    assert told["good"] == ["succeeded", "None", {"uid": code_user, "in": "given"}, ["f"]]
    assert "ProtocolViolation" in told["forged"]
    assert told["slow"] == "timed_out"
    assert told["left"] == []
    assert "limits.folder" in told["flooded"]
    assert "process limit 64 exceeded" in told["bomb"]
    assert 500 < told["many"] < 1200, "the kernel's own limit, for a flood that the watch does not see"
    assert "closed to its own user" in told["closed"] or told["service"] == 0
    assert told["rest"] == []


def test_it_works_where_a_jail_is_refused(as_user: Callable[..., str]) -> None:
    told = json.loads(as_user(as_others(NO_NAMESPACES)).splitlines()[-1])
    assert "unshare failed with EPERM" in told["full"]
    assert "execution.isolation: restricted" in told["full"]
    assert told["proven"]
    assert told["failed"] == []


DOCTOR = """
import sys
import osprey_executor.execution.local._refusals as refusals
from osprey_executor.interfaces.cli.app import main
settings = {"kernel/apparmor_restrict_unprivileged_userns": "1"}
refusals._setting = settings.get
sys.argv = ["osprey-executor", "doctor"]
main()
"""


def test_the_doctor_prints_what_would_make_a_jail_possible(as_user: Callable[..., str]) -> None:
    """Commands stand whole on one line, to be copied."""
    with pytest.raises(AssertionError) as ended:
        as_user(NO_NAMESPACES + DOCTOR)
    told = str(ended.value)
    profile = next(line.strip() for line in told.splitlines() if "printf" in line)
    assert profile.startswith("printf 'abi <abi/4.0>,")
    assert profile.endswith("flags=(unconfined) { userns, }\\n' > /etc/apparmor.d/osprey-executor")
    assert "execution.isolation: restricted" in told


WITHOUT_LANDLOCK = """
import asyncio, json
import pyseccomp
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
rules.add_rule(pyseccomp.ERRNO(CODE), "landlock_create_ruleset")
rules.load()
from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution import open_engine
async def main():
    try:
        async with open_engine("local", {"isolation": "restricted"}):
            print(json.dumps("opened"))
    except EngineUnavailableError as error:
        print(json.dumps(str(error)))
asyncio.run(main())
"""


@pytest.mark.parametrize(("code", "word"), [(errno.ENOSYS, "seccomp filter"), (errno.EOPNOTSUPP, "lsm=")])
def test_without_landlock_it_is_refused(as_user: Callable[..., str], code: int, word: str) -> None:
    told = json.loads(as_user(WITHOUT_LANDLOCK.replace("CODE", str(code))).splitlines()[-1])
    assert f"landlock_create_ruleset failed with {errno.errorcode[code]}" in told
    assert word in told
    assert "execution.isolation: none" in told


def test_what_this_machine_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_refusals, "_filtered", lambda: False)
    monkeypatch.setattr(landlock, "OLDEST", 1000)
    with pytest.raises(OSError, match="version") as raised:
        landlock.require()
    told = _refusals.explain_restricted(raised.value.errno or 0, str(raised.value.filename))
    assert "Linux 6.12" in told
    assert "a user of their own" in _refusals.explain_restricted(errno.EPERM, "sched_setscheduler")
    assert "CONFIG_PROC_CHILDREN" in _refusals.explain_restricted(errno.ENOENT, "/proc/self/task/7/children")
    assert "no Landlock: use Linux 6.12" in _refusals.explain_restricted(errno.ENOSYS, "landlock_create_ruleset")
