"""The forker: a Python of the target environment, in the jail, that imports once what programs like to import.

It is run by that Python, 3.9 or newer, without `site`; what the environment wants to run at start-up runs only here,
inside. It serves no run if a thread is left after its imports: a fork would lose it.
"""

# Plain calls for any Python from 3.9 on.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import gc
import importlib
import json
import os
import sys

from . import groups, image, kernel, rights
from .confine import FORKER_IMAGE, FORKER_LINE, FORKER_ORDERS, GATE, RUNTIME, power_given_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any, NoReturn


_REHEARSALS = 20


def main() -> None:
    """Get ready, tell the keeper, and fork when asked. Returns never."""
    line = rights.line_of(FORKER_LINE)
    with open(FORKER_ORDERS, "rb") as stream:
        orders = json.load(stream)
    filters = [kernel.Filter(bytes.fromhex(program)) for program in orders["filters"]]
    # Taken in the child: all that is not of one run, so that it is ready there.
    steps = [*kernel.close_from(GATE + 1), *power_given_up(orders, filters), *kernel.show_memory()]
    sys.path.remove(orders["room"])
    worker, preloaded = _prepare(orders)
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:  # it would also go on writing to memory that is about to be moved
        line.send(f"unfit {threads - 1} threads are left after the imports".encode())
        return
    gc.collect()
    gc.freeze()
    image.move_memory_into_file(FORKER_IMAGE, libraries=True)
    clone = kernel.cloning(as_sibling=True)
    worker.rehearse(1)  # what it only reads now, its forks find at once
    greet = worker.connect(RUNTIME)
    line.send(b"ready")
    while True:
        preloaded.renew()
        kinds, descriptors = rights.receive(line)
        if not kinds:
            return
        child = _fork(clone, kinds.decode().split(), descriptors, line, steps)
        if child is None:
            _begin(preloaded, greet)
        for descriptor in descriptors:
            os.close(descriptor)
        line.send(f"born {child}".encode() if child else b"failed")


def _prepare(orders: dict[str, Any]) -> tuple[Any, Any]:
    """Import what programs import; return what runs them, and what was imported."""
    import site

    site.main()
    sys.path.insert(0, orders["library"])
    # The guest library, under the name that it has inside.
    worker: Any = importlib.import_module("osprey_executor.worker")
    preload: Any = importlib.import_module("osprey_executor.preload")
    preloaded = preload.Preloaded(orders["preload"])
    one = worker.Worker()
    one.rehearse(_REHEARSALS)
    os.environ.update(orders["environment"])
    for name in [name for name in sys.modules if name.partition(".")[0] == __package__]:
        del sys.modules[name]  # the program finds what it would find without a fork server
    return one, preloaded


def _begin(preloaded: Any, greet: Callable[[], Callable[[], NoReturn]]) -> NoReturn:
    """Be the process of a program, which begins when the gate opens."""
    try:
        preloaded.begin()
        serve = greet()
        if os.read(GATE, 1) == b"!":
            os.close(GATE)
            serve()
    finally:
        os._exit(1)


def _fork(
    clone: Callable[[], int], kinds: list[str], descriptors: list[int], line: _socket.socket, steps: list[kernel.Step]
) -> int | None:
    """Return the process id of a new child in the namespaces behind the first descriptors; in it, None."""
    namespaces = dict(zip(kinds, descriptors))  # noqa: B905 - Python 3.9; the others follow
    try:
        kernel.join(namespaces["pid"], kernel.CLONE_NEWPID)
        child = clone()
    except OSError:  # that jail is gone
        return 0
    if child:
        return child
    try:
        line.detach()
        os.setsid()
        gate, stdout, stderr, runtime, *doors = descriptors[len(kinds) :]
        groups.enter(doors)  # whether it did, the monitor looks
        for kind in kinds:
            if kind != "pid":
                kernel.join(namespaces[kind], kernel.NAMESPACES[kind])
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        # None of them lies where another one goes: those places were never free.
        os.dup2(runtime, RUNTIME, inheritable=False)
        os.dup2(gate, GATE, inheritable=False)
        kernel.take(steps)
    except BaseException:
        os._exit(126)
    return None
