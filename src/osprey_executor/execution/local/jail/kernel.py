"""The kernel's calls that the standard library lacks, by ctypes. The numbers are the same on every architecture."""

from __future__ import annotations

import ctypes
import os
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18
CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SYS_PTRACE = 2, 5, 19
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, ATTR_NOEXEC = 1, 2, 4, 8

_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_CLOSE_RANGE, _SYS_MOUNT_SETATTR = 428, 429, 436, 442
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH, _MNT_DETACH, _CLOSE_RANGE_CLOEXEC = 1, 4, 2, 4
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 24, 38
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 8, 47, 4
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_SIGINT, _SIGKILL, _SIGPIPE, _SIGXFSZ = 2, 9, 13, 25

_libc = ctypes.CDLL(None, use_errno=True)


def _done(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def syscall(number: int, what: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char]) -> int:
    """Make a call that libc does not wrap, and raise what the kernel says; `what` names it in the error."""
    wide = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    return _done(_libc.syscall(ctypes.c_long(number), *wide), what)


def _prctl(what: str, option: int, *arguments: int) -> None:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    _done(_libc.prctl(option, *[ctypes.c_ulong(item) for item in padded]), what)


def unshare(flags: int) -> None:
    """Leave the namespaces of `flags` for new ones."""
    _done(_libc.unshare(flags), "unshare")


def mount(kind: str, target: str, flags: int, options: str = "", shown: str = "") -> None:
    """Mount a new file system of `kind`, or with an empty kind change the flags of the mounts at `target`.

    An error calls the target `shown`, where that is told.
    """
    name, what = kind.encode() or None, f"mount {shown or target}"
    _done(_libc.mount(name, target.encode(), name, ctypes.c_ulong(flags), options.encode() or None), what)


def clone_tree(source: str, attributes: int) -> int:
    """Return a descriptor of a detached copy of the mounts at `source` that has `attributes` in every part.

    The copy is restricted before it is visible anywhere (Linux 5.12: mount_setattr).
    """
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    tree = syscall(_SYS_OPEN_TREE, f"open_tree {source}", _AT_FDCWD, os.fsencode(source), flags)
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


def pivot_root_here() -> None:
    """Make the current directory the root of this mount namespace and let go of the old root.

    Source: pivot_root(2), "pivot_root(".", ".")".
    """
    _done(_libc.pivot_root(b".", b"."), "pivot_root")
    _done(_libc.umount2(b".", _MNT_DETACH), "umount the old root")
    os.chdir("/")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends. A change of user undoes it."""
    _prctl("die with the parent", _PR_SET_PDEATHSIG, _SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every process below this one that loses its own."""
    _prctl("child subreaper", _PR_SET_CHILD_SUBREAPER, 1)


def hide_memory() -> None:
    """Deny this process's memory, descriptors and environment to others of the same user."""
    _prctl("not dumpable", _PR_SET_DUMPABLE, 0)


def no_new_privileges() -> None:
    """Let no exec of this process or its children ever gain anything."""
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)


def load_filter(program: bytes) -> None:
    """Load one seccomp program of raw BPF instructions (8 bytes each) for this process and its children."""
    instructions = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(instructions)), 16)
    _prctl("seccomp", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(header))


def drop_bounding_set() -> None:
    """Take every capability out of reach of later execs. Needs CAP_SETPCAP."""
    for capability in range(64):
        try:
            _prctl("bounding set", _PR_CAPBSET_DROP, capability)
        except OSError:  # beyond the kernel's last capability
            break
    _prctl("ambient set", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)


def keep_capabilities() -> None:
    """Let what this process may hold survive the next change of user."""
    _prctl("keep capabilities", _PR_SET_KEEPCAPS, 1)


def drop_capabilities(*keep: int) -> None:
    """Give up every capability that this process holds, but those of the numbers `keep`, below 32."""
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    kept = sum(1 << number for number in keep)
    _done(_libc.capset(header, struct.pack("6I", kept, kept, 0, 0, 0, 0)), "capset")


def close_on_exec_from(first: int) -> None:
    """Mark every descriptor from `first` on so that the next exec closes it."""
    syscall(_SYS_CLOSE_RANGE, "close_range", first, 0x7FFFFFFF, _CLOSE_RANGE_CLOEXEC)


def forget_interrupt() -> None:
    """Undo Python's own SIGINT handler: a handler would let the code signal pid 1 of its namespace."""
    _libc.signal(_SIGINT, ctypes.c_void_p(0))


def default_signals() -> None:
    """Undo what Python ignores, which would live on through exec."""
    for number in (_SIGINT, _SIGPIPE, _SIGXFSZ):
        _libc.signal(number, ctypes.c_void_p(0))
