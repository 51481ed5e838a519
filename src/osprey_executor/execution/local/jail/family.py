"""The processes below this one, where no process namespace tells them apart from others.

This process is a subreaper: whatever is orphaned below it becomes its child. So when it has no child left, nothing of
the family is left.
"""

# pathlib costs an import, which every run would pay.
# ruff: noqa: PTH116, PTH123, PTH208

from __future__ import annotations

import os

_SIGKILL = 9
_ALSO_CLONES = 0x40000000
"""__WALL: children that announce their end by another signal than SIGCHLD."""


def require() -> None:
    """Raise OSError if this kernel does not tell the children of a process."""
    with open(f"/proc/self/task/{os.getpid()}/children", "rb"):
        pass


def members(most: int) -> list[str]:
    """Return the numbers of the processes below this one; of more than `most`, only some more than that.

    So a look costs the same, however many there are. One that is just being born may be missing.
    """
    found: list[str] = []
    waiting = [str(os.getpid())]
    while waiting and len(found) <= most:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def tasks_of(user: int) -> int:
    """Return how many processes and threads `user` has on this machine, but for those that hide from their own user."""
    found = 0
    for process in os.listdir("/proc"):
        try:
            if process.isdigit() and os.stat(f"/proc/{process}").st_uid == user:
                found += os.stat(f"/proc/{process}/task").st_nlink - 2
        except OSError:  # ended meanwhile
            continue
    return found


def reap(code: int) -> int | None:
    """Bury whatever ended; return the wait status of `code` if it is among them."""
    found = None
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG | _ALSO_CLONES)
        except ChildProcessError:
            return found
        if process == 0:
            return found
        if process == code:
            found = status


def end() -> None:
    """Kill all, however they hide, and return when none is left. Only where signals are kept inside.

    `kill(-1)` holds off forks while it goes through the processes, so nobody is born meanwhile and missed.
    """
    while True:
        try:
            os.kill(-1, _SIGKILL)
            os.waitpid(-1, _ALSO_CLONES)
            # All others that ended: with a kill for each, many would take as long as their number squared.
            while os.waitpid(-1, os.WNOHANG | _ALSO_CLONES)[0]:
                pass
        except (ProcessLookupError, ChildProcessError):
            return


def _children(process: str) -> list[str]:
    found: list[str] = []
    try:
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/children", encoding="ascii") as stream:
                found += stream.read().split()
    except OSError:  # ended meanwhile
        pass
    return found
