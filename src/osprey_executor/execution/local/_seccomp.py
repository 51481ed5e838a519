"""The seccomp programs of a jail, built by libseccomp's binding. The jail only loads the bytes.

Two programs, as the kernel obeys the strictest: one says which calls exist, the other guards arguments of those.
"""

from __future__ import annotations

import errno
import functools
import importlib
import os
import socket
from dataclasses import dataclass
from typing import Any

from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution.local._syscalls import ALLOWED, FORBIDDEN, FORKING

_NEW_NAMESPACES = 0x7E020000
_NAMESPACE_FLAGS = tuple(1 << bit for bit in range(32) if _NEW_NAMESPACES >> bit & 1)
_TIOCSTI, _TIOCLINUX, _TIOCSETD = 0x5412, 0x541C, 0x5423
_LOW_32 = 0xFFFFFFFF
_MONITOR = 1
"""The monitor's process id inside. It may share the code's user, so calls that would slow or limit it are guarded."""
_FIRST_ARGUMENT_IS_PROCESS = ("prlimit64", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler")


@dataclass(frozen=True)
class Filters:
    """Programs as raw BPF, in the order in which they must be loaded."""

    code: list[bytes]
    """For the code."""
    forker: list[bytes]
    """For the process from which the code is forked: it can also join a jail and give up power."""


def programs() -> Filters:
    """Return the filters.

    Raises:
        EngineUnavailableError: libseccomp or its binding is missing.
    """
    code, forker, guards = _programs()
    return Filters([code, guards], [forker, guards])


@functools.cache
def _programs() -> tuple[bytes, ...]:
    try:
        pyseccomp: Any = importlib.import_module("pyseccomp")  # runs ldconfig: not before it is needed
    except (ImportError, RuntimeError, OSError) as error:
        raise EngineUnavailableError(
            f"the local engine needs libseccomp ({error}): install it with the system's package manager "
            "(libseccomp2 on Debian and Ubuntu, libseccomp on Fedora and RHEL) and pip install pyseccomp"
        ) from None
    # Where both refuse, the one loaded last names the error.
    return _allow_list(pyseccomp), _allow_list(pyseccomp, FORKING), _guards(pyseccomp)


def _allow_list(seccomp: Any, more: tuple[str, ...] = ()) -> bytes:
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.ENOSYS))
    for name in (*ALLOWED, *more):
        _rule(seccomp, rules, seccomp.ALLOW, name)
    for name in set(FORBIDDEN) - set(more):
        _rule(seccomp, rules, seccomp.ERRNO(errno.EPERM), name)
    # clone3 hides its flags in memory, where no filter sees them; ENOSYS makes libc fall back to clone.
    _rule(seccomp, rules, seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, _NEW_NAMESPACES, 0))
    for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
        _rule(seccomp, rules, seccomp.ALLOW, "socket", seccomp.Arg(0, seccomp.EQ, family))
    for persona in (0, _LOW_32):
        _rule(seccomp, rules, seccomp.ALLOW, "personality", seccomp.Arg(0, seccomp.EQ, persona))
    _rule(seccomp, rules, seccomp.ALLOW, "setpriority", seccomp.Arg(0, seccomp.EQ, os.PRIO_PROCESS))
    _rule(seccomp, rules, seccomp.ALLOW, "prlimit64")
    return _export(rules)


def _guards(seccomp: Any) -> bytes:
    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    refused = seccomp.ERRNO(errno.EPERM)
    for flag in _NAMESPACE_FLAGS:
        _rule(seccomp, rules, refused, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    for request in (_TIOCSTI, _TIOCLINUX, _TIOCSETD):
        _rule(seccomp, rules, refused, "ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, _LOW_32, request))
    for name in _FIRST_ARGUMENT_IS_PROCESS:
        _rule(seccomp, rules, refused, name, seccomp.Arg(0, seccomp.MASKED_EQ, _LOW_32, _MONITOR))
    _rule(seccomp, rules, refused, "setpriority", seccomp.Arg(1, seccomp.MASKED_EQ, _LOW_32, _MONITOR))
    for family in (socket.AF_NETLINK, socket.AF_PACKET, socket.AF_ALG, socket.AF_VSOCK):
        rules.add_rule(
            seccomp.ERRNO(errno.EAFNOSUPPORT), "socket", seccomp.Arg(0, seccomp.MASKED_EQ, _LOW_32, int(family))
        )
    return _export(rules)


def _rule(seccomp: Any, rules: Any, action: Any, name: str, *arguments: Any) -> None:
    try:
        number = seccomp.resolve_syscall(seccomp.system_arch(), name)
    except (OSError, ValueError):  # older libseccomp: a call that it does not know stays ENOSYS
        return
    if number >= 0:  # negative: not a call of this architecture
        rules.add_rule(action, number, *arguments)


def _export(rules: Any) -> bytes:
    descriptor = os.memfd_create("filter")
    with os.fdopen(descriptor, "w+b", buffering=0) as stream:
        rules.export_bpf(stream)
        stream.seek(0)
        return stream.read()
