"""The monitor of a restricted sandbox: starts the code, watches it, ends all that is left of it, and alone tells.

There is no namespace whose end would end its processes. Instead the monitor adopts every orphan, and Landlock keeps its
own signals inside, so that one `kill(-1)` reaches all of the code's processes and no other.
"""

# contextlib costs an import, which every run would pay.
# ruff: noqa: SIM105

from __future__ import annotations

import errno
import os
import resource
import select
import sys

from . import family, groups, kernel, landlock
from .confined import copy_files, start_code
from .restricted_spec import read_restricted_spec
from .watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .restricted_spec import RestrictedSpec


def main() -> None:
    """Run what the specification at the descriptor of the last argument says."""
    spec = read_restricted_spec(int(sys.argv[-1]))
    try:
        _run(spec)
    except OSError as error:
        _tell(spec, f"refused {error.errno or 0} {error.filename or error}")
    except BaseException as error:
        _tell(spec, f"broken {type(error).__name__}: {error}")
    finally:
        os._exit(0)


def _run(spec: RestrictedSpec) -> None:
    service = os.pidfd_open(spec["parent"])
    if os.getppid() != spec["parent"]:  # it has ended before we looked
        return
    kernel.forget_interrupt()
    kernel.hide_memory()
    kernel.adopt_orphans()
    kernel.take(kernel.no_new_privileges())
    family.require()
    landlock.require()
    landlock.keep_signals_inside()
    check_signals(spec["parent"])
    if not groups.enter(spec["groups"]):
        _tell(spec, "ungrouped")
    copy_files(spec)
    if os.geteuid() == 0:
        _come_first(needed=spec["code_id"] < 0)
    try:
        code = start_code(spec)
        if code is None:
            return
        if os.geteuid() == 0:
            kernel.take(kernel.drop_capabilities(kernel.CAP_KILL, kernel.CAP_SYS_PTRACE, kernel.CAP_DAC_READ_SEARCH))
        _tell(spec, "started")
        watch = Watch(spec)
        told = _accompany(spec, code, service, watch)
    finally:
        family.end()
    if told.startswith("exit"):
        told = watch.last_look() or told
    _tell(spec, told)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    _tell(spec, f"gone {usage.ru_utime + usage.ru_stime:.6f} {usage.ru_maxrss * 1024}")


def check_signals(outside: int) -> None:
    """Make sure that `kill(-1)` of this process will reach nobody else, before it is ever called."""
    try:
        os.kill(outside, 0)
    except PermissionError:
        return
    except ProcessLookupError:
        os._exit(1)
    raise OSError(errno.EOPNOTSUPP, "a signal came through", "landlock that keeps signals inside")


def _come_first(*, needed: bool) -> None:
    """Get a turn however many processes of the code want one: the kernel does not limit how many root has."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError as error:
        if needed:
            raise OSError(error.errno, error.strerror, "sched_setscheduler") from None


def _accompany(spec: RestrictedSpec, code: int, service: int, watch: Watch) -> str:
    ended = os.pidfd_open(code)
    poll = select.poll()
    for descriptor in (ended, service, spec["control"]):
        poll.register(descriptor, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll(spec["tick"] * 1000):
            if descriptor != ended:  # the service ordered the end, or is gone
                return "ordered"
        status = family.reap(code)
        if status is not None:
            return f"exit {os.waitstatus_to_exitcode(status)}"
        exceeded = watch.look()
        if exceeded:
            return exceeded


def _tell(spec: RestrictedSpec, message: str) -> None:
    try:
        os.write(spec["control"], message.encode(errors="replace")[:4000])
    except OSError:  # the service is gone; what is left to do here must be done all the same
        pass
