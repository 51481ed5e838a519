"""The launcher of a fork server: stands outside its jail, and fetches host files for runs, read-only, one by one."""

from __future__ import annotations

import os
import select
import sys

from . import kernel, rights
from .identity import enter_user_namespace
from .keeper import be_keeper
from .launcher import go_first, live_with
from .monitor import refuse
from .root import shielded
from .spec import read_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import ServerSpec

_SIGKILL = 9


def main() -> None:
    """Launch the server that the specification at the descriptor of the last argument describes."""
    spec: ServerSpec = read_spec(int(sys.argv[-1]))  # pyright: ignore[reportAssignmentType]
    try:
        _launch(spec)
    except OSError as error:
        refuse(spec["control"], error)
    os._exit(0)


def _launch(spec: ServerSpec) -> None:
    live_with(spec["parent"])
    go_first()
    enter_user_namespace(spec)
    kernel.die_with_parent()
    kernel.unshare(kernel.CLONE_NEWPID)
    keeper = os.fork()
    if keeper == 0:
        os.close(spec["trees"])
        be_keeper(spec)
    os.close(spec["control"])
    kernel.unshare(kernel.CLONE_NEWNS)
    _fetch(spec["trees"], keeper)


def _fetch(service: int, keeper: int) -> None:
    """Answer the service until it or the keeper is gone; then end the keeper and with it the whole server."""
    line = rights.line_of(service)
    ended = os.pidfd_open(keeper)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(line.fileno(), select.POLLIN)
    while all(descriptor != ended for descriptor, _ in poll.poll()):
        path, _ = rights.receive(line)
        if not path:
            os.kill(keeper, _SIGKILL)
            break
        try:
            tree = shielded(os.fsdecode(path))
        except OSError as error:
            rights.send(line, f"{error.errno or 0} {error.strerror}".encode(), [])
        else:
            rights.send(line, b"ok", [tree])
            os.close(tree)
    # The kernel lets pid 1 be waited for only when every other process of its namespace is gone.
    os.waitpid(keeper, 0)
