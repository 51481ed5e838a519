"""Time and processes that a program spends: long waits, and more programs and threads than a computer bears."""

from __future__ import annotations

import ast

from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import Const, Func, Value
from osprey_executor.models import Effect, Severity

_LONG_SECONDS = 6 * 3600
_MANY_PROCESSES = 200
_MANY_THREADS = 1000
STARTS = frozenset(
    (
        *("fork", "forkpty", "Popen", "Process", "posix_spawn", "create_subprocess_exec", "create_subprocess_shell"),
        *("spawnl", "spawnv", "spawnlp", "spawnvp", "Thread", "start_new_thread", "start_new"),
    )
)
"""Last names of what starts a process or thread that goes on beside the program."""
_OF_THREADS = frozenset(("Thread", "start_new_thread", "start_new", "ThreadPoolExecutor", "ThreadPool"))


def check_started(m: Machine, node: ast.AST, path: str, given: Arguments) -> None:
    """Note processes or threads that are started in loops that go round many times."""
    last = path.rpartition(".")[2]
    if not path.startswith("psutil."):
        _count(m, node, last, m.turns)


def check_starts_itself(m: Machine, node: ast.AST, target: Value) -> None:
    """Note a function that starts itself in a new process or thread."""
    for atom in target:
        func = atom if isinstance(atom, Func) else getattr(atom, "func", None)
        if isinstance(func, Func) and func.running:
            told = "starts a process or thread that starts the same again, and so more and more of them"
            m.find(node, "resource/many-processes", Effect.RESOURCE, told, Severity.WARNING)


def wait(m: Machine, node: ast.AST, seconds: float) -> None:
    """Note a wait, with the loops around it, that takes longer than runs are meant for."""
    seconds *= min(m.turns, 10**15)
    if seconds >= _LONG_SECONDS:
        shown = f"{seconds / 3600:,.0f} hours" if seconds < 1e12 else "for ever"
        m.find(node, "resource/long-wait", Effect.RESOURCE, f"waits {shown}", Severity.WARNING)


def _count(m: Machine, node: ast.AST, last: str, count: float) -> None:
    threads = last in _OF_THREADS
    if count >= (_MANY_THREADS if threads else _MANY_PROCESSES):
        what = "threads" if threads else "processes"
        told = f"starts up to {min(int(count), 10**18):,} {what}, more than a computer has room for"
        m.find(node, "resource/many-processes", Effect.RESOURCE, told, Severity.WARNING)


def _sleep(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    for atom in given.get(0, "seconds", "delay", "secs") or ():
        if isinstance(atom, Const) and isinstance(atom.value, int | float):
            wait(m, node, min(float(min(atom.value, 10**15)), 1e15))
    return None


def _pool(last: str) -> Model:
    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        for atom in given.get(0, "max_workers", "processes", "n_jobs") or ():
            if isinstance(atom, Const) and isinstance(atom.value, int):
                _count(m, node, last, atom.value)
        return None

    return model


def _wait_for_nobody(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`threading.Event().wait()`: nobody else has the event, so nobody can set it."""
    func = getattr(node, "func", None)
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Call) and not given.everything():
        wait(m, node, 1e15)
    return None


MODELS: dict[str, Model] = {
    **{f"{library}.sleep": _sleep for library in ("time", "asyncio", "trio", "anyio", "gevent", "eventlet", "curio")},
    "asyncio.tasks.sleep": _sleep,
    "threading.Event.wait": _wait_for_nobody,
    "multiprocessing.Event.wait": _wait_for_nobody,
    "multiprocessing.Pool": _pool("Pool"),
    "multiprocessing.pool.Pool": _pool("Pool"),
    "multiprocessing.pool.ThreadPool": _pool("ThreadPool"),
    "concurrent.futures.ProcessPoolExecutor": _pool("ProcessPoolExecutor"),
    "concurrent.futures.ThreadPoolExecutor": _pool("ThreadPoolExecutor"),
}
