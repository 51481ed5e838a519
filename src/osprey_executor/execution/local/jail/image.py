"""Moves what a process holds in memory into a file: a fork then copies no page table for it, and frees none.

Of private memory the kernel copies every entry at a fork and takes every entry down at the end. Of a file that is
mapped privately it does so only for the pages that a process touched since.
"""

# pathlib costs an import, which every server would pay.
# ruff: noqa: PTH123

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
from typing import NamedTuple

_MACHINES = ("x86_64", "aarch64")
"""Where the head of ucontext_t is as below: flags and link, then the stack's address, flags and size, a word each."""
_LINK, _STACK, _STACK_SIZE = 8, 16, 32
_CONTEXT_ROOM, _STACK_ROOM = 1 << 13, 1 << 14
_MAP_FIXED = 0x10
_WRITABLE, _OF_LIBRARIES = ("rw-p",), ("r--p", "r-xp", "rw-p", "rwxp")
_MOST_OF_LIBRARY = 5 << 20
"""Python's own library has some bytes less; those that have more would take more memory than they save time."""
_MOST_IDLE = 16
"""A larger piece of memory of which less than one part in so many is in use stays, too, such as OpenBLAS's."""
_ADD_SEALS, _SEAL_SHRINK, _SEAL_GROW, _SEAL_WRITE = 1033, 2, 4, 8

_libc = ctypes.CDLL(None, use_errno=True)


def move_memory_into_file(image: int, *, libraries: bool = False) -> bool:
    """Map `image` in place of this process's private memory, holding the same; False: it cannot be done here.

    The process must have one thread. Between the copy of a part and its mapping no code of Python may run, as its
    writes would be lost. So both are calls of libc that follow each other as linked contexts (makecontext(3)), on
    stacks of their own.

    Args:
        image: descriptor of an empty file in memory; it is sealed, so that nobody can write there, and closed.
        libraries: whether small libraries move as a whole, too, code and all, and what lies side by side then becomes
            one mapping. All of it can be written and run, so this is only for a process whose code is not trusted
            anyway, and could call mprotect as well.
    """
    try:
        if os.uname().machine not in _MACHINES or not hasattr(_libc, "makecontext"):
            return False
        _move(image, libraries)
    except OSError:
        return False
    finally:
        os.close(image)
    return True


def _move(image: int, libraries: bool) -> None:
    parts = _parts(libraries)
    # Its pages are there before the first is needed: a copy that ran out of memory would be mapped as it is.
    os.posix_fallocate(image, 0, sum(part[-1].end - part[0].start for part in parts))
    calls = _calls(image, parts)
    # Shared, and so none of the parts: it is in use while the calls are made.
    with mmap.mmap(-1, (len(calls) + 1) * (_CONTEXT_ROOM + _STACK_ROOM)) as room:
        _call_in_turn(ctypes.addressof(ctypes.c_char.from_buffer(room)), calls)
    fcntl.fcntl(image, _ADD_SEALS, _SEAL_SHRINK | _SEAL_GROW | _SEAL_WRITE)


def _parts(libraries: bool) -> list[list[_Mapping]]:
    """Return what is to be moved, neighbours together; not the stack, which is in use."""
    mappings = _mappings()
    sizes: dict[str, int] = {}
    for one in mappings:
        sizes[one.path] = sizes.get(one.path, 0) + one.size
    parts: list[list[_Mapping]] = []
    for one in mappings:
        whole = libraries and one.path.startswith("/") and sizes[one.path] <= _MOST_OF_LIBRARY
        idle = not one.path and one.size > _MOST_OF_LIBRARY and one.resident < one.size // _MOST_IDLE
        if one.rights not in (_OF_LIBRARIES if whole else _WRITABLE) or one.path == "[stack]" or idle:
            continue
        if parts and parts[-1][-1].end == one.start:
            parts[-1].append(one)
        else:
            parts.append([one])
    return parts


class _Mapping(NamedTuple):
    start: int
    end: int
    rights: str
    path: str
    resident: int

    @property
    def size(self) -> int:
        return self.end - self.start


def _mappings() -> list[_Mapping]:
    found: list[_Mapping] = []
    with open("/proc/self/smaps", encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            first, *rest = line.rstrip("\n").split(maxsplit=5)
            if first == "Rss:":
                found[-1] = found[-1]._replace(resident=int(rest[0]) * 1024)
            elif not first.endswith(":"):
                start, end = (int(address, 16) for address in first.split("-"))
                found.append(_Mapping(start, end, rest[0], rest[4] if len(rest) > 4 else "", 0))
    return found


def _calls(image: int, parts: list[list[_Mapping]]) -> list[tuple[int, tuple[int, ...]]]:
    """Return function addresses of libc with their arguments."""
    write, put = (ctypes.cast(function, ctypes.c_void_p).value or 0 for function in (_libc.pwrite, _libc.mmap))
    flags = mmap.MAP_PRIVATE | _MAP_FIXED
    calls: list[tuple[int, tuple[int, ...]]] = []
    place = 0
    for part in parts:
        start, size = part[0].start, part[-1].end - part[0].start
        calls += [(write, (image, one.start, one.size, place + one.start - start)) for one in part]
        rights = mmap.PROT_READ | mmap.PROT_WRITE
        if any("x" in one.rights for one in part):
            rights |= mmap.PROT_EXEC
        calls.append((put, (start, size, rights, flags, image, place)))
        place += size
    return calls


def _call_in_turn(room: int, calls: list[tuple[int, tuple[int, ...]]]) -> None:
    """Make the calls, one directly after the other, in contexts that are laid out in `room`."""
    contexts = [ctypes.c_void_p(room + number * (_CONTEXT_ROOM + _STACK_ROOM)) for number in range(len(calls) + 1)]
    for number, (function, arguments) in enumerate(calls):
        at = contexts[number].value or 0
        if _libc.getcontext(contexts[number]) != 0:
            raise OSError(ctypes.get_errno(), "getcontext")
        _word(at + _LINK).value = contexts[number + 1].value or 0
        _word(at + _STACK).value = at + _CONTEXT_ROOM
        _word(at + _STACK_SIZE).value = _STACK_ROOM
        _libc.makecontext(contexts[number], ctypes.c_void_p(function), len(arguments), *map(ctypes.c_long, arguments))
    if calls and _libc.swapcontext(contexts[-1], contexts[0]) != 0:
        raise OSError(ctypes.get_errno(), "swapcontext")


def _word(address: int) -> ctypes.c_uint64:
    return ctypes.c_uint64.from_address(address)
