"""Memory, processor time and tasks of all processes in the jail, as /proc tells them."""

# pathlib costs an import, which every run would pay.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_KIB = 1024
_TICKS: float = os.sysconf("SC_CLK_TCK")


def measure() -> tuple[int, int]:
    """Return the most memory that the tree may hold (bytes) and its number of processes and threads.

    Pages that processes share are counted once for each: cheap, and never too low.
    """
    memory, tasks = measure_of(_processes())
    return memory + shared_files(), tasks


def measure_of(processes: Iterable[str]) -> tuple[int, int]:
    """Return the same of `processes`, without the files of /dev/shm."""
    memory = tasks = 0
    for process in processes:
        fields = _fields(f"/proc/{process}/status", (b"RssAnon", b"RssShmem", b"VmSwap", b"Threads"))
        tasks += fields.pop(b"Threads", 1)
        memory += sum(fields.values()) * _KIB
    return memory, tasks


def measure_exactly() -> int:
    """Return the memory of the tree (bytes) with shared pages counted once. Walks page tables, so it is slow.

    A process that hides from this look (not dumpable) is counted as in `measure`.
    """
    private, shared = measure_exactly_of(_processes())
    return private + max(shared, shared_files())


def measure_exactly_of(processes: Iterable[str]) -> tuple[int, int]:
    """Return the private and the shared memory of `processes` (bytes), see `measure_exactly`."""
    private = shared = 0
    for process in processes:
        found = _fields(f"/proc/{process}/smaps_rollup", (b"Pss_Anon", b"Pss_Shmem", b"SwapPss"))
        if b"Pss_Anon" not in found:
            found = _fields(f"/proc/{process}/status", (b"RssAnon", b"RssShmem", b"VmSwap"))
        shared += found.pop(b"Pss_Shmem", 0) + found.pop(b"RssShmem", 0)
        private += sum(found.values())
    return private * _KIB, shared * _KIB


def cpu_seconds(processes: Iterable[str] | None = None) -> float:
    """Return the processor time of all processes that there are or were (s); `processes`: of these, where not all.

    Who has ended counts with who waited for it: a process of the tree, or the monitor, which takes all orphans.
    """
    ended = os.times()
    ticks = 0
    for process in _processes() if processes is None else processes:
        try:
            with open(f"/proc/{process}/stat", "rb", buffering=0) as stream:
                fields = (stream.read(4096) or b"").rpartition(b")")[2].split()
        except OSError:  # ended meanwhile
            continue
        ticks += sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime: proc(5)
    return ended.children_user + ended.children_system + ticks / _TICKS


def shared_files() -> int:
    """Return the bytes in files of /dev/shm, mapped or not."""
    room = os.statvfs("/dev/shm")  # noqa: S108 - the jail's own
    return (room.f_blocks - room.f_bfree) * room.f_frsize


def _processes() -> Iterator[str]:
    for name in os.listdir("/proc"):
        if name.isdigit() and name != "1":
            yield name


def _fields(path: str, names: tuple[bytes, ...]) -> dict[bytes, int]:
    try:
        with open(path, "rb", buffering=0) as stream:
            text = stream.read(1 << 16) or b""
    except OSError:  # ended meanwhile, or hides
        return {}
    found: dict[bytes, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(b":")
        if name in names:
            found[name] = int(rest.split()[0])
    return found
