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
_ADD_SEALS, _SEAL_SHRINK, _SEAL_GROW, _SEAL_WRITE = 1033, 2, 4, 8

_libc = ctypes.CDLL(None, use_errno=True)


def move_memory_into_file(image: int) -> bool:
    """Map `image` in place of this process's private memory, holding the same; False: it cannot be done here.

    The process must have one thread. Between the copy of a part and its mapping no code of Python may run, as its
    writes would be lost. So both are calls of libc that follow each other as linked contexts (makecontext(3)), on
    stacks of their own.

    Args:
        image: descriptor of an empty file in memory; it is sealed, so that nobody can write there, and closed.
    """
    try:
        if os.uname().machine not in _MACHINES or not hasattr(_libc, "makecontext"):
            return False
        _move(image)
    except OSError:
        return False
    finally:
        os.close(image)
    return True


def _move(image: int) -> None:
    parts = _private_parts()
    room = mmap.mmap(-1, (2 * len(parts) + 1) * (_CONTEXT_ROOM + _STACK_ROOM))
    first = ctypes.addressof(ctypes.c_char.from_buffer(room))
    # The room itself stays what it is: it is in use while the calls are made.
    parts = [(start, end) for start, end in parts if not start <= first < end]
    # Its pages are there before the first is needed: a copy that ran out of memory would be mapped as it is.
    os.posix_fallocate(image, 0, sum(end - start for start, end in parts))
    _call_in_turn(first, _calls(image, parts))
    fcntl.fcntl(image, _ADD_SEALS, _SEAL_SHRINK | _SEAL_GROW | _SEAL_WRITE)


def join_libraries() -> None:
    """Make neighbours of one library alike, so that the kernel sees one mapping where it saw two or three.

    What is only read becomes executable beside what is, and writable again what the loader closed when it was done.
    So this is only for a process whose code is not trusted anyway, and could call mprotect as well.
    """
    mappings = _mappings()
    for before, this, after in zip([None, *mappings], mappings, [*mappings[1:], None]):  # noqa: B905 - Python 3.9
        if this.rights != "r--p" or not this.path.startswith("/"):
            continue
        for beside, wanted in ((after, "rw-p"), (before, "r-xp"), (after, "r-xp")):
            if beside is not None and beside.rights == wanted and beside.path == this.path and this.touches(beside):
                extra = mmap.PROT_WRITE if wanted == "rw-p" else mmap.PROT_EXEC
                _libc.mprotect(ctypes.c_void_p(this.start), ctypes.c_size_t(this.size), mmap.PROT_READ | extra)
                break


def _private_parts() -> list[tuple[int, int]]:
    """Return start and end of what this process may write, neighbours as one; not the stack, which is in use."""
    parts: list[tuple[int, int]] = []
    for mapping in _mappings():
        if mapping.rights == "rw-p" and mapping.path != "[stack]":
            if parts and parts[-1][1] == mapping.start:
                parts[-1] = parts[-1][0], mapping.end
            else:
                parts.append((mapping.start, mapping.end))
    return parts


class _Mapping(NamedTuple):
    start: int
    end: int
    rights: str
    path: str

    @property
    def size(self) -> int:
        return self.end - self.start

    def touches(self, other: _Mapping) -> bool:
        return self.end == other.start or other.end == self.start


def _mappings() -> list[_Mapping]:
    found: list[_Mapping] = []
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            ends, rights, _, _, _, *path = line.rstrip("\n").split(maxsplit=5)
            start, end = (int(address, 16) for address in ends.split("-"))
            found.append(_Mapping(start, end, rights, path[0] if path else ""))
    return found


def _calls(image: int, parts: list[tuple[int, int]]) -> list[tuple[int, tuple[int, ...]]]:
    """Return function addresses of libc with their arguments."""
    write, put = (ctypes.cast(function, ctypes.c_void_p).value or 0 for function in (_libc.pwrite, _libc.mmap))
    rights = mmap.PROT_READ | mmap.PROT_WRITE
    calls: list[tuple[int, tuple[int, ...]]] = []
    place = 0
    for start, end in parts:
        size = end - start
        calls.append((write, (image, start, size, place)))
        calls.append((put, (start, size, rights, mmap.MAP_PRIVATE | _MAP_FIXED, image, place)))
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
