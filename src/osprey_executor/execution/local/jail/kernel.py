"""The kernel's calls that the standard library lacks, by ctypes; numbers but one are the same on every architecture."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Step = tuple[str, Callable[..., Any], tuple[Any, ...]]
    """A call that is made later: what an error is called, the call, which returns nothing or 0, and its arguments."""

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

NAMESPACES = {
    "net": CLONE_NEWNET,
    "user": CLONE_NEWUSER,
    "pid": CLONE_NEWPID,
    "mnt": CLONE_NEWNS,
    "ipc": CLONE_NEWIPC,
    "uts": CLONE_NEWUTS,
    "cgroup": CLONE_NEWCGROUP,
}
"""By their names below /proc/self/ns, in the order of joining: that for users gives the power to join those after it,
and takes the power to join a network of the keeper's."""

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SYS_PTRACE, CAP_SYS_ADMIN = 2, 5, 19, 21
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, ATTR_NOEXEC = 1, 2, 4, 8

_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_CLOSE_RANGE, _SYS_MOUNT_SETATTR = 428, 429, 436, 442
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH, _MNT_DETACH, _CLOSE_RANGE_CLOEXEC = 1, 4, 2, 4
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 8, 47, 2, 4
_PR_GET_TID_ADDRESS = 40
_CLONE_PARENT, _CLONE_CHILD_CLEARTID, _CLONE_CHILD_SETTID, _SIGCHLD = 0x8000, 0x200000, 0x1000000, 17
_CLONE = {"x86_64": (56, 3), "aarch64": (220, 4)}
"""Number of clone(2), which libc wraps only for a new stack, and the place of the child's thread id among arguments."""
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_SIGINT, _SIGKILL, _SIGPIPE, _SIGXFSZ = 2, 9, 13, 25

_libc = ctypes.CDLL(None, use_errno=True)
# Looked up here: what the forker has at hand, its children need not make for themselves.
_capset, _mount, _pivot_root, _setns = _libc.capset, _libc.mount, _libc.pivot_root, _libc.setns
_signal, _syscall, _umount2, _unshare = _libc.signal, _libc.syscall, _libc.umount2, _libc.unshare
_prctl_call, _fork_call = _libc.prctl, ctypes.PyDLL(None, use_errno=True).syscall
_prctl_call.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)


def _done(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def syscall(number: int, what: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char]) -> int:
    """Make a call that libc does not wrap, and raise what the kernel says; `what` names it in the error."""
    wide = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    return _done(_syscall(ctypes.c_long(number), *wide), what)


def _prctl(what: str, option: int, *arguments: int) -> None:
    _done(_prctl_call(option, *arguments, *[0] * (4 - len(arguments))), what)


def take(steps: Iterable[Step]) -> None:
    """Make calls that were prepared.

    A process that was just forked copies each page in which it touches an object for the first time: a loop over
    calls whose arguments are ready touches a fifth of what as many functions do.
    """
    for what, call, arguments in steps:
        if call(*arguments):
            _done(-1, what)


def unshare(flags: int) -> None:
    """Leave the namespaces of `flags` for new ones."""
    _done(_unshare(flags), "unshare")


def join(namespace: int, kind: int) -> None:
    """Enter the namespace behind a descriptor; into one for processes, only children to come will be born."""
    _done(_setns(namespace, kind), "setns")


def cloning(flags: int = 0, *, as_sibling: bool = False) -> Callable[[], int]:
    """Return what forks this process of one thread, with more flags; `as_sibling`: as a child of its own parent.

    libc is told the child's thread id the way its own fork tells it, by the address that it gave to the kernel. What
    modules registered to run before and after a fork is not run, in neither process: it holds or repairs what other
    threads use, and there are none.

    Raises:
        OSError: on this architecture or kernel it cannot be done; of the call: the kernel refused.
    """
    number, place = _CLONE.get(os.uname().machine, (0, 0))
    if not number:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), "clone")
    wanted = flags | _CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID | _SIGCHLD | (_CLONE_PARENT if as_sibling else 0)
    arguments = [number, wanted, 0, 0, 0, 0]
    arguments[1 + place] = _thread_id_address()
    ready = [ctypes.c_long(argument) for argument in arguments]

    def clone() -> int:
        child = _fork_call(*ready)
        return child if child >= 0 else _done(child, "clone")

    return clone


def _thread_id_address() -> int:
    address = ctypes.c_void_p()
    _prctl("thread id address", _PR_GET_TID_ADDRESS, ctypes.addressof(address))
    if not address.value:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), "thread id address")
    return address.value


def mount(kind: str, target: str, flags: int, options: str = "") -> None:
    """Mount a new file system of `kind`, or with an empty kind change the flags of the mounts at `target`."""
    take(mounted(kind, target, flags, options))


def mounted(kind: str, target: str, flags: int, options: str = "", shown: str = "") -> list[Step]:
    """Return what does the same; an error calls the target `shown`, where that is told."""
    name = kind.encode() or None
    arguments = (name, target.encode(), name, ctypes.c_ulong(flags), options.encode() or None)
    return [(f"mount {shown or target}", _mount, arguments)]


def cover(target: str, source: str) -> None:
    """Show `source` in place of `target`, as it is."""
    _done(_mount(source.encode(), target.encode(), None, ctypes.c_ulong(MS_BIND), None), f"mount {target}")


def clone_tree(source: str, attributes: int) -> int:
    """Return a descriptor of a detached copy of the mounts at `source` that has `attributes` in every part.

    The copy is restricted before it is visible anywhere (Linux 5.12: mount_setattr).
    """
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    tree = syscall(_SYS_OPEN_TREE, f"open_tree {source}", _AT_FDCWD, os.fsencode(source), flags)
    if not attributes:
        return tree
    wanted = ctypes.create_string_buffer(struct.pack("QQQQ", attributes, 0, 0, 0), 32)
    where = _AT_EMPTY_PATH | _AT_RECURSIVE
    syscall(_SYS_MOUNT_SETATTR, f"mount_setattr {source}", tree, b"", where, wanted, 32)
    return tree


def attach_tree(tree: int, target: str) -> None:
    """Attach the detached mounts of `tree` at `target`, and close the descriptor."""
    what = f"move_mount {target}"
    syscall(_SYS_MOVE_MOUNT, what, tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)
    os.close(tree)


def make_read_only(target: str) -> None:
    """Make the one mount at `target` read-only."""
    wanted = ctypes.create_string_buffer(struct.pack("QQQQ", ATTR_RDONLY, 0, 0, 0), 32)
    syscall(_SYS_MOUNT_SETATTR, f"mount_setattr {target}", _AT_FDCWD, os.fsencode(target), 0, wanted, 32)


def unmount(target: str) -> None:
    """Take the mount at `target` away; descriptors of it stay good."""
    _done(_umount2(target.encode(), _MNT_DETACH), f"umount {target}")


def pivot_root_here() -> None:
    """Make the current directory the root of this mount namespace and let go of the old root.

    Source: pivot_root(2), "pivot_root(".", ".")".
    """
    _done(_pivot_root(b".", b"."), "pivot_root")
    _done(_umount2(b".", _MNT_DETACH), "umount the old root")
    os.chdir("/")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends. A change of user undoes it."""
    take(dying_with_parent())


def dying_with_parent() -> list[Step]:
    """Return what does the same."""
    return [("die with the parent", _prctl_call, (_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0))]


def adopt_orphans() -> None:
    """Become the parent of every process below this one that loses its own."""
    _prctl("child subreaper", _PR_SET_CHILD_SUBREAPER, 1)


def hide_memory() -> None:
    """Deny this process's memory, descriptors and environment to others of the same user."""
    take(memory_hidden())


def memory_hidden() -> list[Step]:
    """Return what does the same."""
    return [("not dumpable", _prctl_call, (_PR_SET_DUMPABLE, 0, 0, 0, 0))]


def show_memory() -> list[Step]:
    """Return what lets this process see its own /proc entries again after a change of user, as an exec would."""
    return [("dumpable", _prctl_call, (_PR_SET_DUMPABLE, 1, 0, 0, 0))]


def no_new_privileges() -> list[Step]:
    """Return what lets no exec of this process or its children ever gain anything."""
    return [("no_new_privs", _prctl_call, (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))]


class Filter:
    """A seccomp program of raw BPF instructions (8 bytes each), laid out as the kernel wants it."""

    def __init__(self, program: bytes) -> None:
        self._instructions = ctypes.create_string_buffer(program, len(program))
        header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(self._instructions))
        self._header = ctypes.create_string_buffer(header, len(header))
        self._address = ctypes.addressof(self._header)

    def load(self) -> list[Step]:
        """Return what loads it for a process and its children. It must live as long."""
        return [("seccomp", _prctl_call, (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, self._address, 0, 0))]


def drop_bounding_set(keep: int | None = None) -> list[Step]:
    """Return what takes every capability, but the one of number `keep`, out of reach of later execs.

    Needs CAP_SETPCAP.
    """
    known = [number for number in range(64) if _prctl_call(_PR_CAPBSET_READ, number, 0, 0, 0) >= 0]
    return [
        *(("bounding set", _prctl_call, (_PR_CAPBSET_DROP, number, 0, 0, 0)) for number in known if number != keep),
        ("ambient set", _prctl_call, (_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)),
    ]


def keep_capabilities() -> None:
    """Let what this process may hold survive the next change of user."""
    take(capabilities_kept())


def capabilities_kept() -> list[Step]:
    """Return what does the same."""
    return [("keep capabilities", _prctl_call, (_PR_SET_KEEPCAPS, 1, 0, 0, 0))]


def drop_capabilities(*keep: int, through_exec: bool = False) -> list[Step]:
    """Return what gives up every capability that a process holds, but those of the numbers `keep`, below 32.

    `through_exec`: those also outlive the next exec.
    """
    kept = sum(1 << number for number in keep)
    inherited = kept if through_exec else 0
    sets = struct.pack("6I", kept, kept, inherited, 0, 0, 0)
    raised = keep if through_exec else ()
    return [
        ("capset", _capset, (struct.pack("Ii", _CAPABILITY_VERSION_3, 0), sets)),
        *(("ambient set", _prctl_call, (_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number, 0, 0)) for number in raised),
    ]


def close_on_exec_from(first: int) -> None:
    """Mark every descriptor from `first` on so that the next exec closes it."""
    syscall(_SYS_CLOSE_RANGE, "close_range", first, 0x7FFFFFFF, _CLOSE_RANGE_CLOEXEC)


def close_from(first: int) -> list[Step]:
    """Return what closes every descriptor from `first` on."""
    return [("close_range", _syscall, tuple(map(ctypes.c_long, (_SYS_CLOSE_RANGE, first, 0x7FFFFFFF, 0))))]


def close_all_but(kept: list[int]) -> None:
    """Close every descriptor above 2 but those."""
    first = 3
    for one in sorted(kept):
        if one > first:
            _done(_syscall(*map(ctypes.c_long, (_SYS_CLOSE_RANGE, first, one - 1, 0))), "close_range")
        first = one + 1
    take(close_from(first))


def forget_interrupt() -> None:
    """Undo Python's own SIGINT handler: a handler would let the code signal pid 1 of its namespace."""
    _signal(_SIGINT, ctypes.c_void_p(0))


def default_signals() -> None:
    """Undo what Python ignores, which would live on through exec."""
    for number in (_SIGINT, _SIGPIPE, _SIGXFSZ):
        _signal(number, ctypes.c_void_p(0))
