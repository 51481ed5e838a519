"""The launcher: stands outside the jail, starts the monitor, and ends only when nothing of the jail is left."""

from __future__ import annotations

import os
import select
import sys

from . import groups, kernel
from .identity import enter_user_namespace
from .monitor import be_monitor, refuse, say
from .spec import read_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import JailSpec

_SIGKILL = 9
_FIRST_TO_GO = "800"


def main() -> None:
    """Launch what the specification at the descriptor of the last argument says."""
    spec = read_spec(int(sys.argv[-1]))
    try:
        _launch(spec)
    except OSError as error:
        refuse(spec["control"], error)
    os._exit(0)


def _launch(spec: JailSpec) -> None:
    live_with(spec["parent"])
    go_first()
    if not groups.enter(spec["groups"]):
        say(spec["control"], "ungrouped")
    enter_user_namespace(spec)
    kernel.die_with_parent()
    kernel.unshare(kernel.CLONE_NEWPID)
    monitor = os.fork()
    if monitor == 0:
        be_monitor(spec)
    for descriptor in (spec["runtime"], spec["stdout"], spec["stderr"]):
        if descriptor >= 0:
            os.close(descriptor)
    _outlive(spec, monitor)


def _outlive(spec: JailSpec, monitor: int) -> None:
    ended = os.pidfd_open(monitor)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(spec["control"], select.POLLIN)
    if any(descriptor != ended for descriptor, _ in poll.poll()):  # the service ordered the end, or is gone
        os.kill(monitor, _SIGKILL)
    # The kernel lets pid 1 be waited for only when every other process of its namespace is gone.
    _, _, usage = os.wait4(monitor, 0)
    say(spec["control"], f"gone {usage.ru_utime + usage.ru_stime:.6f} {usage.ru_maxrss * 1024}")


def live_with(parent: int) -> None:
    """Have this process end with its parent, and at once if that is gone already."""
    kernel.die_with_parent()
    if os.getppid() != parent:
        os._exit(1)
    kernel.forget_interrupt()


def go_first() -> None:
    """Let the kernel take this process and its children before the service, where memory of the machine runs out."""
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    except OSError:
        return  # a courtesy, not a wall
    try:
        os.write(descriptor, _FIRST_TO_GO.encode())
    except OSError:
        pass
    finally:
        os.close(descriptor)
