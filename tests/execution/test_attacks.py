"""Hostile programs: each ends in the right status with a clear message, and leaves nothing behind. All are bounded."""

from __future__ import annotations

import os
import resource
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from osprey_executor.config import ExecutionConfig, ForkServerConfig
from osprey_executor.execution import Engine, Program
from osprey_executor.execution.local import open_local
from osprey_executor.models import Limits, Outcome, RunStatus

FORGE = """
import os, signal
for fd in range(3, 64):
    for words in (b"exit 0", b'{"op": "finish", "nonce": "", "results": false, "error": null}'):
        try: os.write(fd, words)
        except OSError: break
for name in ("result.json", ".result.json", "status", "outcome.json"):
    open(name, "w").write('{"status": "succeeded"}')
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV):
    try: os.kill(1, number)
    except OSError: pass
os._exit(CODE)
"""


def message(outcome: Outcome) -> str:
    assert outcome.error is not None, outcome
    return f"{outcome.error.type}: {outcome.error.message}"


@pytest.mark.parametrize("code", [0, 7])
async def test_a_forged_status_is_not_believed(engine: Engine, code: int) -> None:
    outcome = await engine.run(Program(code=FORGE.replace("CODE", str(code))))
    assert outcome.status is RunStatus.FAILED
    assert "ProtocolViolation" in message(outcome)


async def test_a_child_that_outlives_its_parent_ends_with_it(engine: Engine) -> None:
    code = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in (signal.SIGTERM, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)
        os.kill(os.getpid(), signal.SIGSTOP) if "stop" in globals() else time.sleep(600)
    os._exit(0)
results = {"pid": os.getpid()}
"""
    for text in (code, "stop = 1" + code):
        outcome = await engine.run(Program(code=text, limits=Limits(timeout=100)))
        assert outcome.status is RunStatus.SUCCEEDED, outcome.error


async def test_a_flood_of_output_is_cut_and_the_service_stays_small(engine: Engine, tmp_path: Path) -> None:
    code = "import os\nos.write(1, b'start\\n')\nblock = b'x' * 1048576\nfor _ in range(200): os.write(1, block)"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = await engine.run(Program(code=code, folder=tmp_path))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert outcome.status is RunStatus.FAILED
    assert "output limit 10 MiB exceeded on standard output" in message(outcome)
    assert len(outcome.stdout) == 10 << 20
    assert outcome.stdout.startswith("start\n")
    assert outcome.partial
    assert after - before < 100 * 1024


async def test_a_flood_on_standard_error_is_cut_too(engine: Engine, limits: Limits) -> None:
    code = "import sys\nwhile True: sys.stderr.write('y' * 1000)"
    outcome = await engine.run(Program(code=code, limits=limits))
    assert "output limit 1 MiB exceeded on standard error" in message(outcome)


async def test_memory_taken_piece_by_piece_is_ended_by_the_watch(engine: Engine, limits: Limits) -> None:
    code = "kept = []\nfor _ in range(64): kept.append(b'x' * (16 << 20))\nimport time; time.sleep(5)"
    outcome = await engine.run(Program(code=code, limits=limits))
    assert outcome.status is RunStatus.FAILED
    assert "memory limit 256 MiB exceeded" in message(outcome) or "MemoryError" in message(outcome)


async def test_memory_taken_at_once_is_refused_with_the_line(engine: Engine, limits: Limits) -> None:
    outcome = await engine.run(Program(code="x = 1\ny = bytearray(5 << 30)", limits=limits))
    assert outcome.error is not None
    assert (outcome.status, outcome.error.type, outcome.error.line) == (RunStatus.FAILED, "MemoryError", 2)
    assert "256 MiB" in message(outcome)


async def test_memory_of_many_processes_counts_together(engine: Engine, limits: Limits) -> None:
    code = """
import os, time
for _ in range(4):
    if os.fork() == 0: break
kept = b"x" * (100 << 20)
time.sleep(20)
"""
    outcome = await engine.run(Program(code=code, limits=limits))
    assert "memory limit 256 MiB exceeded" in message(outcome)


async def test_memory_that_children_share_counts_once(engine: Engine, limits: Limits) -> None:
    code = """
import os, time
kept = b"x" * (100 << 20)
children = []
for _ in range(6):
    pid = os.fork()
    if pid == 0:
        time.sleep(0.5); os._exit(0)
    children.append(pid)
for pid in children: os.waitpid(pid, 0)
"""
    outcome = await engine.run(Program(code=code, limits=limits))
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error


async def test_shared_anonymous_memory_counts(engine: Engine, limits: Limits) -> None:
    code = """
import mmap, time
kept = []
for _ in range(20):
    block = mmap.mmap(-1, 32 << 20)
    for at in range(0, len(block), 4096): block[at] = 1
    kept.append(block)
time.sleep(20)
"""
    outcome = await engine.run(Program(code=code, limits=limits))
    assert "memory limit 256 MiB exceeded" in message(outcome)


async def test_a_fork_bomb_is_stopped(engine: Engine, limits: Limits) -> None:
    code = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    outcome = await engine.run(Program(code=code, limits=limits.model_copy(update={"timeout": 3.0})))
    assert outcome.status in (RunStatus.TIMED_OUT, RunStatus.FAILED)


async def test_an_endless_loop_passes_the_time_limit(engine: Engine) -> None:
    outcome = await engine.run(Program(code="while True: pass", limits=Limits(timeout=1)))
    assert outcome.status is RunStatus.TIMED_OUT


async def test_cpu_time_is_limited(engine: Engine) -> None:
    outcome = await engine.run(Program(code="while True: pass", limits=Limits(timeout=60, cpu_time=1)))
    assert outcome.status is RunStatus.FAILED
    assert "CPU time limit 1 s exceeded" in message(outcome)


async def test_deleting_the_own_folder_is_no_harm(engine: Engine, tmp_path: Path) -> None:
    code = """
import os, shutil
open("x", "w").write("1")
shutil.rmtree(os.getcwd(), ignore_errors=True)
shutil.rmtree("/sandbox", ignore_errors=True)
results = {"left": os.listdir("."), "lib": len(os.listdir("/sandbox/lib")) > 0}
"""
    outcome = await engine.run(Program(code=code, folder=tmp_path / "run"))
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    assert outcome.results == {"left": [], "lib": True}
    assert outcome.artifacts == ()


async def test_a_full_folder_is_an_error_that_names_the_limit(engine: Engine, limits: Limits) -> None:
    code = "with open('big', 'wb') as f:\n    for _ in range(20): f.write(b'x' * (1 << 20))"
    outcome = await engine.run(Program(code=code, limits=limits))
    assert outcome.error is not None
    assert (outcome.status, outcome.error.type) == (RunStatus.FAILED, "OSError")
    assert any("limits.folder" in note for note in outcome.notes)


async def test_too_many_files_are_refused(engine: Engine, limits: Limits) -> None:
    outcome = await engine.run(Program(code="for i in range(1000): open(str(i), 'w')", limits=limits))
    assert outcome.status is RunStatus.FAILED
    assert len(outcome.artifacts) <= 101


async def test_what_lies_in_the_folder_cannot_lead_out(engine: Engine, tmp_path: Path) -> None:
    code = r"""
import os
os.symlink("/etc/passwd", "link"); os.symlink("..", "up"); os.mkfifo("pipe"); os.mkdir("d")
open("d/\x1b[31mred\u202e.txt", "w").write("1"); open("ok.txt", "w").write("2")
os.link("ok.txt", "hard.txt")
with open("sparse", "wb") as f: f.truncate(7 << 20)
with open("sparse2", "wb") as f: f.truncate(7 << 20)
import socket; socket.socket(socket.AF_UNIX).bind("sock")
os.mkdir("closed"); open("closed/x", "w"); os.chmod("closed", 0); os.chmod(".", 0)
"""
    limits = Limits(folder=8 << 20)
    outcome = await engine.run(Program(code=code, folder=tmp_path / "run", limits=limits))
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    kept = sorted(str(path.relative_to(tmp_path / "run" / "artifacts")) for path in outcome.artifacts)
    assert "ok.txt" in kept
    assert r"d/\x1b[31mred\u202e.txt" in kept
    assert all(path.is_file() and not path.is_symlink() for path in outcome.artifacts)
    assert sum(path.stat().st_size for path in outcome.artifacts) <= limits.folder
    notes = "\n".join(outcome.notes)
    for words in ("link is a symbolic link", "pipe is a pipe", "sock is a socket", "sparse2", "up is a symbolic link"):
        assert words in notes


async def test_the_environment_of_the_service_stays_outside(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET_KEY", "s3cret-value")
    code = """
import os, glob
seen = repr(dict(os.environ))
for path in glob.glob("/proc/*/environ"):
    try: seen += open(path).read()
    except OSError: pass
results = {"seen": seen}
"""
    outcome = await engine.run(Program(code=code))
    assert "s3cret-value" not in outcome.results["seen"]


async def test_nothing_is_left_of_any_of_them(tmp_path: Path, steady: Callable[[Engine], Awaitable[int]]) -> None:
    before_children = _children()
    async with open_local(ExecutionConfig(fork_server=ForkServerConfig(enabled=False))) as engine:
        root = engine._root
        await engine.run(Program(code="pass"))
        before = await steady(engine)
        for code in ("while True: pass", "import os\nos.fork()\nwhile True: print('x' * 100000)", FORGE):
            await engine.run(Program(code=code.replace("CODE", "0"), limits=Limits(timeout=1, output=1 << 20)))
        assert await steady(engine) == before
    assert not root.exists()
    assert _children() == before_children


def _children() -> set[str]:
    names = (path.name for path in Path("/proc").iterdir() if path.name.isdigit())
    return {name for name in names if _parent(name) == os.getpid()}


def _parent(process: str) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


SOCKET_OF_THE_HOST = """
import fcntl, os, socket
tried = {}
def attempt(name, work):
    try: tried[name] = repr(work())
    except OSError as error: tried[name] = error.strerror
for name in (b'\\0osprey-test-name', '/tmp/osprey-test-name'):
    attempt(f'bind {name!r}', lambda: socket.socket(fileno=os.dup(3)).bind(name))
for request in (0x8910, 0x8912, 0x8913, 0x8915, 0x8921, 0x8927, 0x8933):
    attempt(f'ioctl {request:#x}', lambda: fcntl.ioctl(3, request, bytes(40)))
for option in (25, 62):
    attempt(f'set {option}', lambda: socket.socket(fileno=os.dup(3)).setsockopt(socket.SOL_SOCKET, option, b'eth0'))
attempt('peer', lambda: socket.socket(fileno=os.dup(3)).getsockopt(socket.SOL_SOCKET, 77))
results = tried
"""


async def test_the_socket_to_the_service_is_no_way_into_the_network_of_the_host(engine: Engine) -> None:
    """It is the one socket in the jail that belongs to it."""
    outcome = await engine.run(Program(code=SOCKET_OF_THE_HOST))
    assert outcome.error is None, (outcome.error, outcome.stderr)
    refused = {"Invalid argument", "Operation not permitted"}
    assert {name: why for name, why in outcome.results.items() if why not in refused} == {}
    assert "osprey-test-name" not in Path("/proc/net/unix").read_text()


async def test_nothing_watches_or_holds_files_that_the_host_uses_too(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    code = """
import ctypes, errno, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
tried = {}
for name, call in {'watch': lambda: libc.inotify_init1(0), 'old watch': lambda: libc.inotify_init()}.items():
    tried[name] = errno.errorcode.get(ctypes.get_errno()) if call() < 0 else 'done'
given = os.open('inputs/data', os.O_RDONLY)
for name, command, value in (('lease', 1024, fcntl.F_RDLCK), ('notify', 1026, 1)):
    try: fcntl.fcntl(given, command, value); tried[name] = 'done'
    except OSError as error: tried[name] = errno.errorcode[error.errno]
results = tried
"""
    outcome = await engine.run(Program(code=code, inputs={"data": tmp_path / "data"}))
    assert outcome.results == {"watch": "ENOSYS", "old watch": "ENOSYS", "lease": "EPERM", "notify": "EPERM"}


async def test_signals_are_as_python_has_them(engine: Engine) -> None:
    code = """
import os, signal
reading, writing = os.pipe()
os.close(reading)
told = []
try: os.write(writing, b'x')
except BrokenPipeError: told.append('broken pipe')
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt: told.append('interrupt')
results = {'told': told}
"""
    outcome = await engine.run(Program(code=code, limits=Limits(timeout=20)))
    assert outcome.error is None, outcome.error
    assert outcome.results == {"told": ["broken pipe", "interrupt"]}


async def test_what_the_kernel_tells_of_the_host_is_empty(engine: Engine) -> None:
    code = """
results = {}
for name in ("keys", "key-users", "kallsyms"):
    try: results[name] = len(open("/proc/" + name).read(100))
    except FileNotFoundError: results[name] = 0
"""
    assert (await engine.run(Program(code=code))).results == {"keys": 0, "key-users": 0, "kallsyms": 0}
