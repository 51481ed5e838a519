"""The fork server: what a forked program must not share, when there is none, and that its walls are looked at."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.config import ExecutionConfig
from osprey_executor.execution import Program
from osprey_executor.execution.local import open_local
from osprey_executor.execution.local._engine import LocalEngine
from osprey_executor.execution.local._jail import Walls
from osprey_executor.execution.local._pool import Pool
from osprey_executor.models import Limits, Outcome, RunStatus


def pool_of(engine: LocalEngine) -> Pool:
    assert engine.pool is not None
    return engine.pool


@asynccontextmanager
async def forking(**execution: Any) -> AsyncGenerator[LocalEngine]:
    async with open_local(ExecutionConfig(**execution)) as engine:
        assert await pool_of(engine).ready(), pool_of(engine).problem
        yield engine


async def results(engine: LocalEngine, code: str, **program: Any) -> dict[str, Any]:
    outcome = await engine.run(Program(code=code, **program))
    assert outcome.status is RunStatus.SUCCEEDED, (outcome.error, outcome.stderr)
    return outcome.results


FORKED = "\nresults['forked'] = b'jail.forker' in open('/proc/self/cmdline', 'rb').read()"


async def test_a_program_is_forked_and_cannot_tell_by_its_modules() -> None:
    code = """
import sys
before = [name for name in ('numpy', 'pandas', 'scipy', 'matplotlib', 'jail') if name in sys.modules]
import pandas
import numpy.linalg
results = {'before': before, 'same': sys.modules['numpy'] is numpy, 'spec': numpy.__spec__.origin == numpy.__file__,
           'one': pandas.Series([1.5]).sum()}
"""
    async with forking() as engine:
        told = await results(engine, code + FORKED)
    assert told == {"before": [], "same": True, "spec": True, "one": 1.5, "forked": True}


async def test_two_runs_share_no_state() -> None:
    code = """
import multiprocessing.process, os, random, tempfile, uuid
import numpy
results = {
    'random': random.random(), 'numpy': numpy.random.random(), 'generator': numpy.random.default_rng().random(),
    'uuid': str(uuid.uuid4()), 'name': tempfile.mktemp(), 'file': tempfile.NamedTemporaryFile(delete=False).name,
    'key': bytes(multiprocessing.process.current_process().authkey).hex(),
}
kept = {'environment': os.environ.get('LEFT', ''), 'module': getattr(numpy, 'left', ''), 'files': os.listdir('.'),
        'tmp': os.path.exists('/tmp/left')}
os.environ['LEFT'] = numpy.left = 'x'
open('left', 'w').close(); open('/tmp/left', 'w').close()
results['kept'] = kept
"""
    preload = ("numpy", "tempfile", "multiprocessing.process")
    async with forking(fork_server={"preload": preload}) as engine:
        first, second = [await results(engine, code + FORKED) for _ in range(2)]
    assert first.pop("forked")
    assert second.pop("forked")
    clean = {"environment": "", "module": "", "files": ["inputs"], "tmp": False}
    assert first.pop("kept") == second.pop("kept") == clean
    assert [name for name in first if first[name] == second[name]] == []


async def test_numpy_is_renewed_however_a_program_comes_to_it() -> None:
    ways = (
        "import importlib\nresults = {'drawn': importlib.import_module('numpy.random').random()}",
        "from numpy.random import random\nresults = {'drawn': random()}",
        "import pandas, sys\nresults = {'drawn': sys.modules['numpy.random'].random()}",
    )
    async with forking(fork_server={"preload": ("pandas",)}) as engine:
        drawn = [await results(engine, code + FORKED) for code in ways for _ in range(2)]
    assert all(one["forked"] for one in drawn)
    assert len({one["drawn"] for one in drawn}) == len(drawn)


async def test_what_packages_register_for_a_fork_is_done(tmp_path: Path) -> None:
    package = "import os\nforks = []\nos.register_at_fork(after_in_child=lambda: forks.append(os.getpid()))\n"
    folder = environment(tmp_path / "e", {"renewing.py": package})
    code = """
import os, renewing, threading
own = list(renewing.forks) == [os.getpid()]
if os.fork() == 0:
    os._exit(len(renewing.forks))
results = {'own': own, 'child': os.waitstatus_to_exitcode(os.wait()[1]),
           'thread': threading.main_thread().native_id == os.getpid()}
"""
    async with forking(python_env_path=folder, fork_server={"preload": ("renewing",)}) as engine:
        assert await results(engine, code + FORKED) == {"own": True, "child": 2, "thread": True, "forked": True}


async def test_what_packages_want_called_at_the_end_is_called_for_programs_that_import_them(tmp_path: Path) -> None:
    package = (
        "import atexit\nimport logging\natexit.register(print, 'left')\n@atexit.register\ndef leave(): print('own')\n"
    )
    folder = environment(tmp_path / "e", {"leaving.py": package})
    buffered = """
from logging import INFO, StreamHandler, makeLogRecord
from logging.handlers import MemoryHandler
import sys
handler = MemoryHandler(10, target=StreamHandler(sys.stdout))
handler.emit(makeLogRecord({'msg': 'buffered', 'levelno': INFO}))
results = {'leaving': 'leaving' in sys.modules}
"""
    async with forking(python_env_path=folder, fork_server={"preload": ("leaving",)}) as engine:
        programs = {"without": "results = {}", "with": "import leaving", "log": buffered}
        told = {name: await engine.run(Program(code=code)) for name, code in programs.items()}
    assert {name: outcome.stdout for name, outcome in told.items()} == {
        "without": "",
        "with": "own\nleft\n",
        "log": "buffered\n",
    }
    assert told["log"].results == {"leaving": False}


async def test_the_memory_of_a_server_lies_in_a_file() -> None:
    code = "results = {'in_file': 'memfd:image' in open('/proc/self/maps').read()}"
    async with forking() as engine:
        told = await results(engine, code + FORKED)
    assert told == {"in_file": platform.machine() in ("x86_64", "aarch64"), "forked": True}


async def test_numerical_libraries_get_their_threads_back() -> None:
    code = (
        "import numpy, os\na = numpy.ones((500, 500))\na @ a\nresults = {'threads': len(os.listdir('/proc/self/task'))}"
    )
    async with forking() as engine:
        forked = await results(engine, code + FORKED)
    async with open_local(ExecutionConfig(fork_server={"enabled": False})) as engine:
        plain = await results(engine, code + FORKED)
    assert (forked["forked"], plain["forked"]) == (True, False)
    assert forked["threads"] == plain["threads"]


async def test_inputs_are_there_and_cannot_be_changed(tmp_path: Path) -> None:
    (tmp_path / "given").write_text("from the host")
    code = """
results = {name: open('inputs/' + name).read() for name in ('a', 'b b')}
try: open('inputs/a', 'w')
except OSError as error: results['refused'] = error.errno
"""
    async with forking() as engine:
        told = await results(engine, code + FORKED, inputs={"a": tmp_path / "given", "b b": b"bytes"})
    assert told.pop("refused") in (1, 13, 30)
    assert told == {"a": "from the host", "b b": "bytes", "forked": True}


def processes_of(engine: LocalEngine, word: str) -> list[int]:
    """The processes of this engine's fork server whose command line has `word`; a fork keeps that of its parent."""
    server = pool_of(engine)._server
    assert server is not None
    found = [server._process.pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return [process for process in found if word in Path(f"/proc/{process}/cmdline").read_bytes().decode()]


async def test_a_forker_that_hangs_costs_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osprey_executor.execution.local._spare._BIRTH_PATIENCE", 0.5)
    async with forking() as engine:
        os.kill(processes_of(engine, "jail.forker")[0], signal.SIGSTOP)  # it comes before the jails
        told = await asyncio.gather(*(results(engine, "results = {}" + FORKED, limits=None) for _ in range(6)))
    assert {"forked": False} in told


async def test_a_keeper_that_hangs_delays_no_end() -> None:
    async with forking(timeout=1.0) as engine:
        up = asyncio.Event()
        code = "import time\nprint('up', flush=True)\ntime.sleep(600)"
        run = asyncio.create_task(engine.run(Program(code=code), on_event=lambda event: up.set()))
        await up.wait()
        for process in processes_of(engine, "jail.server"):
            if process != pool_of(engine)._server._process.pid:  # type: ignore[union-attr]
                os.kill(process, signal.SIGSTOP)
        outcome = await run
    assert outcome.status is RunStatus.TIMED_OUT


async def test_other_limits_are_kept_by_an_interpreter_of_its_own() -> None:
    async with forking() as engine:
        told = await results(engine, "results = {}" + FORKED, limits=Limits(open_files=64))
    assert told == {"forked": False}


async def test_the_server_is_renewed_and_put_to_rest() -> None:
    async with forking(fork_server={"runs": 6, "idle": 0.5}) as engine:
        first = pool_of(engine)._server
        for _ in range(8):
            await results(engine, "results = {}")
        assert await pool_of(engine).ready()
        assert first is not None
        await first.ended
        second = pool_of(engine)._server
        assert second not in (None, first)
        await second.ended  # nobody wants anything of it
        assert pool_of(engine)._server is None
        await results(engine, "results = {}")
        assert await pool_of(engine).ready()


@pytest.mark.parametrize(
    ("walls", "noticed"),
    [
        (Walls(seccomp=False), "make a user namespace"),
        (Walls(network=False), "open a TCP connection to the host"),
        (Walls(no_exec=False), "execute a file of the working folder"),
        (Walls(rlimits=False), "open more files than the limit"),
        (Walls(extra_environment={"API_KEY": "x"}), "find a secret in the environment"),
    ],
    ids=["seccomp", "network", "noexec", "rlimits", "environment"],
)
async def test_a_server_whose_wall_is_missing_is_not_used(walls: Walls, noticed: str) -> None:
    async with open_local(ExecutionConfig(), walls=walls) as engine:
        assert not await pool_of(engine).ready()
        assert noticed in str(pool_of(engine).problem)


def other_pythons() -> list[str]:
    """Pythons of this machine that are not this one; where there is none, the bare one below this environment."""
    named = [shutil.which(f"python3.{minor}") for minor in range(9, 16)]
    beside = [str(path) for path in Path(sys.base_prefix).parent.glob("3.*/bin/python3")]
    # As they name themselves: what is on the path may be a script that looks for one.
    found = {told for path in (*named, *beside, "/usr/bin/python3") if path and (told := executable_of(path))}
    others = {os.path.realpath(path): path for path in sorted(found)}
    others.pop(os.path.realpath(sys.executable), None)
    return list(others.values()) or [str(Path(sys.base_prefix) / "bin" / "python3")]


def executable_of(path: str) -> str | None:
    """Where this Python is, if there is one and it is new enough."""
    told = "import sys; print(sys.executable if sys.version_info >= (3, 9) else '')"
    try:
        return subprocess.run([path, "-c", told], capture_output=True, text=True, check=True).stdout.strip() or None
    except (OSError, subprocess.CalledProcessError):
        return None


@pytest.mark.parametrize("python", other_pythons())
async def test_programs_of_other_pythons_are_forked(python: str) -> None:
    async with forking(python_env_path=python) as engine:
        told = await results(engine, "import sys\nresults = {'version': sys.version_info[:2]}" + FORKED)
    version = subprocess.check_output([python, "-c", "import sys; print(*sys.version_info[:2])"], text=True)
    assert told == {"version": tuple(map(int, version.split())), "forked": True}


def environment(folder: Path, files: dict[str, str]) -> Path:
    """Make a virtual environment that runs code of ours when it starts."""
    venv.create(folder, symlinks=True, with_pip=False)
    packages = next(folder.glob("lib/python3*/site-packages"))
    for name, content in files.items():
        (packages / name).write_text(content)
    return folder


async def first_and_second(folder: Path) -> tuple[str | None, list[Outcome]]:
    async with open_local(ExecutionConfig(python_env_path=folder)) as engine:
        before = await engine.run(Program(code="results = {}" + FORKED))
        await pool_of(engine).ready()
        after = await engine.run(Program(code="results = {}" + FORKED))
        return pool_of(engine).problem, [before, after]


@pytest.mark.parametrize("busy", ["time.sleep(600)", "[object() for _ in range(1000)]"])
async def test_a_thread_that_the_environment_leaves_is_not_forked(tmp_path: Path, busy: str) -> None:
    thread = f"""
import threading, time
def work():
    while True:
        {busy}
threading.Thread(target=work, daemon=True).start()
"""
    problem, outcomes = await first_and_second(environment(tmp_path / "e", {"sitecustomize.py": thread}))
    assert "1 threads are left after the imports" in str(problem)
    async with open_local(ExecutionConfig(python_env_path=tmp_path / "e")) as engine:
        [told] = [probe for probe in await engine.probe() if probe.name == "fork programs from a prepared Python"]
    assert told.outcome == "unavailable"
    assert "threads are left" in told.detail
    assert [outcome.results for outcome in outcomes] == [{"forked": False}] * 2


async def test_an_environment_that_ends_the_server_still_runs(tmp_path: Path) -> None:
    end = "import os, sys; os._exit(3) if sys.flags.no_site else None\n"
    problem, outcomes = await first_and_second(environment(tmp_path / "e", {"a.pth": end}))
    assert "the fork server ended" in str(problem)
    assert [outcome.results for outcome in outcomes] == [{"forked": False}] * 2


HOSTILE = """
import os, socket, sys
def tried(work):
    try: return repr(work())
    except BaseException as error: return type(error).__name__
seen = {
    'host': tried(lambda: open(FILE).read()),
    'write': tried(lambda: open(FILE, 'w')),
    'network': tried(lambda: socket.create_connection(('127.0.0.1', PORT), 1)),
    'secret': os.environ.get('OSPREY_TEST_SECRET'),
    'root': sorted(os.listdir('/')),
    'mount': tried(lambda: __import__('ctypes').CDLL(None, use_errno=True).mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None)),
    'unshare': tried(lambda: __import__('ctypes').CDLL(None).unshare(0x10000000)),
}
sys.seen = seen
"""


async def test_code_of_a_hostile_environment_runs_inside_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSPREY_TEST_SECRET", "of the service")
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    secret.chmod(0o666)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        hostile = HOSTILE.replace("FILE", repr(str(secret))).replace("PORT", str(port))
        place = environment(tmp_path / "e", {"hostile.py": hostile, "a.pth": "import hostile\n"})
        async with open_local(ExecutionConfig(python_env_path=place)) as engine:
            assert await pool_of(engine).ready(), pool_of(engine).problem
            told = await results(engine, "import sys\nresults = dict(sys.seen)" + FORKED)
    assert told["forked"]
    assert (told["host"], told["secret"]) == ("FileNotFoundError", None)
    assert told["write"] in ("FileNotFoundError", "PermissionError", "OSError")
    assert told["network"] in ("ConnectionRefusedError", "OSError")
    assert (told["mount"], told["unshare"]) == ("-1", "-1")
    assert secret.read_text() == "of the host"


LIES = {
    "the keeper": "lambda *given: 1",
    "no number": "lambda *given: 'abc'",
    "nobody": "lambda *given: 30000",
    "one outside the jail": "lambda *given: sys.modules['jail.kernel'].clone(as_sibling=True) or time.sleep(600)",
    "an empty word": "lambda *given: given[2].send(b'')",
    "a word of another": "lambda *given: given[2].send(b'broken by me')",
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_forker_that_lies_tells_nothing_and_holds_nobody_up(tmp_path: Path, lie: str) -> None:
    hostile = f"import sys, time\nsys.modules['jail.forker']._fork = {LIES[lie]}\n"
    place = environment(tmp_path / "e", {"hostile.py": f"import sys\nif sys.flags.no_site:\n    exec({hostile!r})\n"})
    (next(place.glob("lib/python3*/site-packages")) / "a.pth").write_text("import hostile\n")
    problem, outcomes = await first_and_second(place)
    assert problem is not None
    assert [(outcome.status, outcome.results) for outcome in outcomes] == [(RunStatus.SUCCEEDED, {"forked": False})] * 2


async def test_the_forker_has_limits_too(tmp_path: Path) -> None:
    hostile = "import sys, resource\nsys.limits = [resource.getrlimit(kind)[1] for kind in (2, 4, 7, 9)]\n"
    place = environment(tmp_path / "e", {"hostile.py": hostile, "a.pth": "import hostile\n"})
    async with forking(python_env_path=place) as engine:
        told = await results(engine, "import sys\nresults = {'limits': sys.limits}" + FORKED)
    assert told["forked"]
    assert all(0 < limit < 1 << 50 for limit in told["limits"])


async def test_root_is_nobody_in_a_jail() -> None:
    code = "results = {name: open(f'/proc/self/{name}').read().split() for name in ('uid_map', 'gid_map')}"
    async with forking() as engine:
        told = await results(engine, code + FORKED)
    assert told.pop("forked")
    for fields in told.values():
        inside, counts = fields[0::3], fields[2::3]
        assert set(counts) == {"1"}
        assert "0" not in inside


async def test_a_child_of_the_keeper_cannot_be_made() -> None:
    code = """
import ctypes, os
libc = ctypes.PyDLL(None, use_errno=True)
clone = {'x86_64': 56, 'aarch64': 220}[os.uname().machine]
child = libc.syscall(ctypes.c_long(clone), ctypes.c_long(0x8000 | 17), 0, 0, 0, 0)
if child == 0: libc._exit(0)
results = {'child': child}
"""
    async with forking(timeout=5.0) as engine:
        told = await results(engine, code + FORKED)
    assert told == {"child": -1, "forked": True}


async def test_what_the_forker_needs_is_refused_to_its_children() -> None:
    code = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
results = {name: (getattr(libc, name)(-1, None), errno.errorcode[ctypes.get_errno()]) for name in ('setns', 'capset')}
"""
    async with forking() as engine:
        told = await results(engine, code + FORKED)
    # Without the filter: EBADF and EFAULT.
    assert told == {"setns": (-1, "EPERM"), "capset": (-1, "ENOSYS"), "forked": True}


async def test_a_forked_program_has_the_limits_of_one_that_is_not() -> None:
    code = """
import resource
results = {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith('RLIMIT_')}
"""
    async with open_local(ExecutionConfig()) as engine:
        fresh = await results(engine, code)
        assert await pool_of(engine).ready(), pool_of(engine).problem
        forked = await results(engine, code + FORKED)
    assert forked.pop("forked")
    assert forked == fresh


AS_USER = """
import asyncio, json, os
from osprey_executor.execution import Program, open_engine

async def main():
    async with open_engine("local") as engine:
        ready = await engine.pool.ready()
        told = {"uid": os.getuid(), "ready": ready, "problem": engine.pool.problem, "runs": []}
        for code in ("results = {'a': 1}", "raise ValueError('x')", "import os; os._exit(7)",
                     "import os, signal\\nfor n in (2, 9, 15, 19): os.kill(1, n)\\nresults = {}"):
            outcome = await engine.run(Program(code=code + FORKED if "results" in code else code))
            told["runs"].append([outcome.status, outcome.results.get("forked"), outcome.error and outcome.error.type])
    print(json.dumps(told))
asyncio.run(main())
"""


def test_an_ordinary_user_forks_too(as_user: Callable[..., str]) -> None:
    told = json.loads(as_user(f"FORKED = {FORKED!r}\n" + AS_USER).splitlines()[-1])
    assert told["uid"] != 0 or os.getuid() != 0
    assert told["ready"], told["problem"]
    assert told["runs"] == [
        ["succeeded", True, None],
        ["failed", None, "ValueError"],
        ["failed", None, "SystemExit"],
        ["succeeded", True, None],
    ]
