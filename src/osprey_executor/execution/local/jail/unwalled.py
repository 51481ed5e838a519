"""The monitor of a program in a kernel: it starts, watches, ends, and tells.

Of what a restricted sandbox has, this keeps what any user may do anywhere: limits, the watch, and that nothing of the
program outlives it. Walls stand only where they are asked for, in a container of ours; on somebody else's machine it is
that machine's matter whether the program is contained.
"""

# contextlib costs an import, which every run would pay.
# ruff: noqa: SIM105

from __future__ import annotations

import errno
import os
import resource
import select
import sys

from . import family, kernel, landlock, tree
from .confine import arrange_descriptors, set_limits
from .restricted_spec import read_restricted_spec
from .watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .restricted_spec import RestrictedSpec

    class UnwalledSpec(RestrictedSpec):
        """All that the monitor knows."""

        cpu: float
        """Most processor time of the whole tree (s)."""


_SIGKILL = 9
_ALL = 1 << 20


def main() -> None:
    """Run what the specification at the descriptor of the last argument says, when the first message asks for it."""
    spec: UnwalledSpec = read_restricted_spec(int(sys.argv[-1]))  # type: ignore[assignment]
    try:
        _run(spec)
    except OSError as error:
        _tell(spec, f"refused {error.errno or 0} {error.filename or error}")
    except BaseException as error:
        _tell(spec, f"broken {type(error).__name__}: {error}")
    finally:
        os._exit(0)


def _run(spec: UnwalledSpec) -> None:
    os.setsid()
    kernel.forget_interrupt()
    kernel.hide_memory()
    kernel.adopt_orphans()
    kernel.take(kernel.no_new_privileges())
    family.require()
    if spec["landlock"]:
        landlock.require()
    try:
        code = _start(spec)
        if code is None:
            return
        _tell(spec, "started")
        watch = Watch(spec)
        told = _accompany(spec, code, watch)
    finally:
        _end()
    if told.startswith("exit"):
        told = watch.last_look() or told
    _tell(spec, told)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    _tell(spec, f"gone {usage.ru_utime + usage.ru_stime:.6f} {usage.ru_maxrss * 1024}")


def _start(spec: UnwalledSpec) -> int | None:
    hear, complain = os.pipe()
    code = os.fork()
    if code == 0:
        os.close(spec["control"])
        _become_code(spec, complain)
    os.close(complain)
    for descriptor in (spec["runtime"], spec["stdout"], spec["stderr"]):
        os.close(descriptor)
    words = os.read(hear, 4000)  # empty: the exec closed the other end
    os.close(hear)
    if words:
        _tell(spec, f"refused {words.decode(errors='replace')}")
        return None
    return code


def _become_code(spec: UnwalledSpec, complain: int) -> None:
    try:
        os.setsid()
        complain = arrange_descriptors(spec, complain, owner=-1)
        set_limits(spec["rlimits"])
        # Paths are looked up while this process may still go everywhere.
        ruleset = landlock.ruleset(spec["rules"]) if spec["landlock"] else None
        _give_up_power()
        kernel.die_with_parent()
        os.umask(0o022)
        os.chdir(spec["folder"])
        kernel.default_signals()
        if ruleset is not None:
            landlock.enter(ruleset)
        filters = [kernel.Filter(program) for program in spec["filters"]]
        kernel.take([step for one in filters for step in one.load()])
        os.execve(spec["executable"], spec["argv"], spec["environment"])  # noqa: S606 - no shell is wanted
    except BaseException as error:
        number = (error.errno or 0) if isinstance(error, OSError) else 0
        os.write(complain, f"{number} {error}".encode(errors="replace"))
    finally:
        os._exit(127)


def _give_up_power() -> None:
    """Keep no capability, so that a kernel that runs as root does not let the program change what it was given."""
    try:
        kernel.take(kernel.drop_bounding_set())
    except OSError as error:
        if error.errno != errno.EPERM:  # not root, or a root that has none to give up
            raise
    kernel.take(kernel.drop_capabilities())


def _accompany(spec: UnwalledSpec, code: int, watch: Watch) -> str:
    """Return how the program ended. A spare is not watched until the first message says that its program comes."""
    ended, begun = os.pidfd_open(code), False
    poll = select.poll()
    for descriptor in (ended, spec["control"]):
        poll.register(descriptor, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll(spec["tick"] * 1000 if begun else None):
            if descriptor != ended:
                if begun or not os.read(spec["control"], 100):  # the end is ordered, or nobody is there any more
                    return "ordered"
                begun = True
        status = family.reap(code)
        if status is not None:
            return f"exit {os.waitstatus_to_exitcode(status)}"
        exceeded = (watch.look() or _took_too_long(spec)) if begun else None
        if exceeded:
            return exceeded


def _took_too_long(spec: UnwalledSpec) -> str | None:
    seconds = tree.cpu_seconds(family.members(spec["tasks"]))
    return f"limit cpu_time {seconds:.0f}" if seconds > spec["cpu"] else None


def _end() -> None:
    """Kill whatever is below this process; who is orphaned becomes its child, so all are found in the end."""
    while True:
        try:
            for process in family.members(_ALL):
                os.kill(int(process), _SIGKILL)
        except ProcessLookupError:  # ended meanwhile
            pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        select.select([], [], [], 0.001)


def _tell(spec: UnwalledSpec, message: str) -> None:
    try:
        os.write(spec["control"], message.encode(errors="replace")[:4000])
    except OSError:  # the service is gone; what is left to do here must be done all the same
        pass
