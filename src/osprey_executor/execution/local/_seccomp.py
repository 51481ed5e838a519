"""The seccomp programs of a sandbox, built by libseccomp's binding. The sandbox only loads the bytes.

Two programs, as the kernel obeys the strictest: one says which calls exist, the other guards arguments of those.
"""

from __future__ import annotations

import errno
import functools
import importlib
import os
import socket
import termios
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution.local import _network_calls as network
from osprey_executor.execution.local._syscalls import (
    ALLOWED,
    FAKED,
    FORBIDDEN,
    FORBIDDEN_OUTSIDE,
    FORKING,
    NARROWED,
    NO_ATTRIBUTES,
)

_NEW_NAMESPACES = 0x7E020000
_CLONE_PARENT = 0x8000
"""Makes a child of one's parent, which has other work than to wait for it."""
_NAMESPACE_FLAGS = tuple(1 << bit for bit in range(32) if _NEW_NAMESPACES >> bit & 1)
_TIOCSTI, _TIOCLINUX, _TIOCSETD = 0x5412, 0x541C, 0x5423
_LOW_32 = 0xFFFFFFFF
_MONITOR = 1
"""The monitor's process id inside. It may share the code's user, so calls that would slow or limit it are guarded."""
_FIRST_ARGUMENT_IS_PROCESS = ("prlimit64", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler")


_LEASES = (1024, 1026)
"""F_SETLEASE, F_NOTIFY: of read-only files that the host uses, too, they hold up or tell what it does."""
_TCGETS2 = 0x802C542A
_REQUESTS = (
    *(termios.TCGETS, termios.TIOCGWINSZ, termios.FIONREAD, termios.FIONBIO, termios.FIOCLEX, termios.FIONCLEX),
    _TCGETS2,
)
"""What programs ask of pipes and files. Others change files of the same user, whatever the descriptor may do."""
_PR_SET_DUMPABLE = 4


@dataclass(frozen=True)
class Filters:
    """Programs as raw BPF, in the order in which they must be loaded."""

    code: list[bytes]
    """For the code."""
    forker: list[bytes]
    """For the process from which the code is forked: it can also join a jail and give up power."""
    forked: list[bytes]
    """What a process adds that was forked from that one: with both, it may do what `code` allows."""


def programs() -> Filters:
    """Return the programs for a jail.

    Raises:
        EngineUnavailableError: libseccomp or its binding is missing.
    """
    code, forker, guards, forked = _programs(_allow_list, _forker_allow_list, _guards, _without_forking)
    return Filters([code, guards], [forker, guards], [forked])


def restricted_programs() -> list[bytes]:
    """Return the programs for a process whose paths and process ids are the host's own, see `programs`."""
    return list(_programs(_restricted_allow_list, _guards, _restricted_guards))


@functools.cache
def _programs(*makers: Callable[[Any], bytes]) -> tuple[bytes, ...]:
    try:
        pyseccomp: Any = importlib.import_module("pyseccomp")  # runs ldconfig: not before it is needed
    except (ImportError, RuntimeError, OSError) as error:
        raise EngineUnavailableError(
            f"the local engine needs libseccomp ({error}): install it with the system's package manager "
            "(libseccomp2 on Debian and Ubuntu, libseccomp on Fedora and RHEL) and pip install pyseccomp"
        ) from None
    # Where both refuse, the one loaded last names the error.
    return tuple(make(pyseccomp) for make in makers)


def _allow_list(seccomp: Any) -> bytes:
    return _with_sockets(seccomp, _allowing(seccomp, ALLOWED, FORBIDDEN))


def _forker_allow_list(seccomp: Any) -> bytes:
    forbidden = (name for name in FORBIDDEN if name not in FORKING)
    return _with_sockets(seccomp, _allowing(seccomp, (*ALLOWED, *FORKING), forbidden, _NEW_NAMESPACES))


def _without_forking(seccomp: Any) -> bytes:
    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    for name in FORKING:
        _rule(seccomp, rules, seccomp.ERRNO(errno.EPERM if name in FORBIDDEN else errno.ENOSYS), name)
    parent = seccomp.Arg(0, seccomp.MASKED_EQ, _CLONE_PARENT, _CLONE_PARENT)
    _rule(seccomp, rules, seccomp.ERRNO(errno.ENOSYS), "clone", parent)
    return _export(rules)


def _with_sockets(seccomp: Any, rules: Any) -> bytes:
    for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
        _rule(seccomp, rules, seccomp.ALLOW, "socket", seccomp.Arg(0, seccomp.EQ, family))
    return _export(rules)


def _restricted_allow_list(seccomp: Any) -> bytes:
    other = {*FAKED, *FORBIDDEN_OUTSIDE, *NO_ATTRIBUTES, *NARROWED}
    rules = _allowing(seccomp, (name for name in ALLOWED if name not in other), (*FORBIDDEN, *FORBIDDEN_OUTSIDE))
    for name in FAKED:
        _rule(seccomp, rules, seccomp.ERRNO(0), name)
    for name in NO_ATTRIBUTES:
        _rule(seccomp, rules, seccomp.ERRNO(errno.ENOTSUP), name)
    for request in _REQUESTS:
        _rule(seccomp, rules, seccomp.ALLOW, "ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, _LOW_32, request))
    # Streams only: a datagram socket of a pair can turn to any other socket of this machine.
    for flags in (0, socket.SOCK_CLOEXEC, socket.SOCK_NONBLOCK, socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK):
        pair = (seccomp.Arg(0, seccomp.EQ, socket.AF_UNIX), seccomp.Arg(1, seccomp.EQ, socket.SOCK_STREAM | flags))
        _rule(seccomp, rules, seccomp.ALLOW, "socketpair", *pair)
    return _export(rules)


def _allowing(
    seccomp: Any, allowed: Iterable[str], forbidden: Iterable[str], unclonable: int = _NEW_NAMESPACES | _CLONE_PARENT
) -> Any:
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.ENOSYS))
    for name in allowed:
        _rule(seccomp, rules, seccomp.ALLOW, name)
    for name in forbidden:
        _rule(seccomp, rules, seccomp.ERRNO(errno.EPERM), name)
    # clone3 hides its flags in memory, where no filter sees them; ENOSYS makes libc fall back to clone.
    _rule(seccomp, rules, seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, unclonable, 0))
    for persona in (0, _LOW_32):
        _rule(seccomp, rules, seccomp.ALLOW, "personality", seccomp.Arg(0, seccomp.EQ, persona))
    _rule(seccomp, rules, seccomp.ALLOW, "setpriority", seccomp.Arg(0, seccomp.EQ, os.PRIO_PROCESS))
    _rule(seccomp, rules, seccomp.ALLOW, "prlimit64")
    return rules


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
    for command in _LEASES:
        for name in ("fcntl", "fcntl64"):
            _rule(seccomp, rules, refused, name, seccomp.Arg(1, seccomp.MASKED_EQ, _LOW_32, command))
    _guard_network(seccomp, rules)
    return _export(rules)


def _guard_network(seccomp: Any, rules: Any) -> None:
    refused = seccomp.ERRNO(errno.EPERM)
    # As if this kernel had no such sockets: that it is the filter who refuses can be told from a lack of power.
    unknown = seccomp.ERRNO(errno.ESOCKTNOSUPPORT)
    for family in (socket.AF_INET, socket.AF_INET6):
        for kind in network.REFUSED_TYPES:
            what = seccomp.Arg(1, seccomp.MASKED_EQ, network.TYPE_MASK, int(kind))
            _rule(seccomp, rules, unknown, "socket", seccomp.Arg(0, seccomp.MASKED_EQ, _LOW_32, int(family)), what)
    requests = ((_LOW_32, request) for request in network.REFUSED_REQUESTS)
    for mask, request in (*requests, *network.REFUSED_BLOCKS, network.INTERFACES):
        _rule(seccomp, rules, refused, "ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, mask, request))
    options: list[tuple[int, Any]] = [
        (socket.IPPROTO_IP, seccomp.Arg(2, seccomp.GE, network.NETFILTER)),
        (socket.IPPROTO_IPV6, seccomp.Arg(2, seccomp.GE, network.NETFILTER_IPV6_REST)),
    ]
    for level, names in (
        (socket.SOL_SOCKET, network.DEVICE_OPTIONS),
        (socket.IPPROTO_IP, network.GROUPS),
        (socket.IPPROTO_IPV6, network.GROUPS_IPV6),
    ):
        options += [(level, seccomp.Arg(2, seccomp.MASKED_EQ, _LOW_32, name)) for name in names]
    exact = (seccomp.Arg(2, seccomp.MASKED_EQ, _LOW_32, option) for option in network.NETFILTER_IPV6)
    options += [(socket.IPPROTO_IPV6, option) for option in exact]
    for name in ("setsockopt", "getsockopt"):
        for level, option in options:
            _rule(seccomp, rules, refused, name, seccomp.Arg(1, seccomp.MASKED_EQ, _LOW_32, int(level)), option)


def _restricted_guards(seccomp: Any) -> bytes:
    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    refused = seccomp.ERRNO(errno.EPERM)
    # Every other process of this user is within reach of these: 0 is the caller itself.
    for name in _FIRST_ARGUMENT_IS_PROCESS:
        _rule(seccomp, rules, refused, name, seccomp.Arg(0, seccomp.NE, 0))
    _rule(seccomp, rules, refused, "setpriority", seccomp.Arg(1, seccomp.NE, 0))
    _rule(seccomp, rules, refused, "prctl", seccomp.Arg(0, seccomp.MASKED_EQ, _LOW_32, _PR_SET_DUMPABLE))
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
