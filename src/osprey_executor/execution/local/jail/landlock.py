"""Landlock, by ctypes: what a process and its children may still do with files, TCP and other processes.

Source: Linux, Documentation/userspace-api/landlock.rst. A right that is handled and not granted is refused.
"""

from __future__ import annotations

import errno
import os
import struct

from . import kernel

OLDEST = 6
"""Linux 6.12. Before it nothing but seccomp could keep signals inside, and programs need signals for their children."""

_SYS_CREATE_RULESET, _SYS_ADD_RULE, _SYS_RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION, _RULE_PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REG, _MAKE_FIFO, _MAKE_SYM, _REFER, _TRUNCATE = (1 << bit for bit in (7, 8, 10, 12, 13, 14))
_ALL_OF_FILES, _ALL_OF_TCP, _ALL_SCOPES, _SCOPE_SIGNAL = (1 << 16) - 1, 3, 3, 2
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE

READ = _READ_FILE | _READ_DIR
READ_AND_EXECUTE = READ | _EXECUTE
READ_AND_WRITE = READ | _WRITE_FILE | _TRUNCATE
CHANGE = READ_AND_WRITE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_FIFO | _MAKE_SYM | _REFER


def require() -> None:
    """Raise OSError if this kernel has no Landlock, does not use it, or has one that is too old."""
    found = kernel.syscall(_SYS_CREATE_RULESET, "landlock_create_ruleset", 0, 0, _CREATE_RULESET_VERSION)
    if found < OLDEST:
        raise OSError(errno.EOPNOTSUPP, f"version {found}", f"landlock of version {found}")


def keep_signals_inside() -> None:
    """Let this process and its children signal nobody but each other, even by `kill(-1)`. Needs no_new_privs."""
    made = _ruleset(_REFER, 0, _SCOPE_SIGNAL)
    _add(made, "/", _REFER)  # moving files between folders is the one right that is refused where nobody speaks of it
    enter(made)


def ruleset(rules: list[tuple[str, int]]) -> int:
    """Return the descriptor of a ruleset that handles all there is and grants `rules`: (path, rights below it)."""
    made = _ruleset(_ALL_OF_FILES, _ALL_OF_TCP, _ALL_SCOPES)
    for path, rights in rules:
        _add(made, path, rights)
    return made


def enter(made: int) -> None:
    """Restrict this process and all its children to come to the ruleset `made`, and close it."""
    kernel.syscall(_SYS_RESTRICT_SELF, "landlock_restrict_self", made, 0)
    os.close(made)


def _add(made: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    if os.fstat(place).st_mode & 0o170000 != 0o040000:
        rights &= _OF_A_FILE
    rule = struct.pack("=Qi", rights, place)
    kernel.syscall(_SYS_ADD_RULE, f"landlock_add_rule {path}", made, _RULE_PATH_BENEATH, rule, 0)
    os.close(place)


def _ruleset(files: int, tcp: int, scopes: int) -> int:
    wanted = struct.pack("QQQ", files, tcp, scopes)
    return kernel.syscall(_SYS_CREATE_RULESET, "landlock_create_ruleset", wanted, len(wanted), 0)
