"""Tries, from inside, everything that must be refused, and prints what it saw as one line of JSON.

Standard library only, Python 3.9 and newer. The argument is a JSON object: what the service knows and expects.
"""

# A script for the interpreter inside: it tries the dangerous things on purpose, and prefers the plainest calls.
# ruff: noqa: PTH108, PTH109, PTH118, PTH120, PTH123, PTH208, S606

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

KNOWN: dict[str, Any] = json.loads(sys.argv[1])
NUMBERS: dict[str, int] = {
    "x86_64": {"keyctl": 250, "bpf": 321, "memfd_create": 319},
    "aarch64": {"keyctl": 219, "bpf": 280, "memfd_create": 279},
}.get(os.uname().machine, {})
NUMBERS["io_uring_setup"] = 425
LIBC = ctypes.CDLL(None, use_errno=True)
FOUND: list[dict[str, str]] = []
Attempt = Callable[[], str]
# Where process ids are the host's own, the monitor is the parent; else it is the first process.
MONITOR = os.getppid() if KNOWN["shared"] else 1


class Held(Exception):
    """What was tried is not possible; the message is what was seen."""


def attempt(name: str) -> Callable[[Attempt], Attempt]:
    """Try a function that must be refused: by an OSError, or by `Held`. What it returns tells that it was not."""

    def run(function: Attempt) -> Attempt:
        outcome = "failed"
        try:
            detail = function()
        except (OSError, Held) as error:
            outcome, detail = "ok", str(error)
        except Exception as error:
            detail = f"{type(error).__name__}: {error}"
        FOUND.append({"name": name, "outcome": outcome, "detail": detail})
        return function

    return run


def call(result: int, what: str) -> None:
    """Raise what the kernel said if a call of libc failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def exit_code(work: Callable[[], int]) -> int:
    """Return what `work` returns in a child process."""
    child = os.fork()
    if child == 0:
        os._exit(min(work(), 200))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@attempt("read a host file")
def _() -> str:
    with open(KNOWN["file"]) as stream:
        stream.read()
    return f"{KNOWN['file']} could be read"


@attempt("see other folders of the host")
def _() -> str:
    extra = sorted(set(os.listdir("/")) - set(KNOWN["top"]))
    if extra:
        return f"also visible: {', '.join(extra)}"
    raise Held("nothing but " + " ".join("/" + name for name in sorted(KNOWN["top"])))


@attempt("write outside the working folder and /tmp")
def _() -> str:
    refused: list[OSError] = []
    own = (os.path.dirname(sys.executable), os.path.dirname(os.__file__))
    places = ("/", "/etc", "/usr/lib", "/dev", "/sandbox", "/sandbox/lib", "/sandbox/inputs", "inputs/", "..")
    for folder in (*places, *own, *KNOWN["closed"]):
        try:
            with open(os.path.join(folder, "written-by-probe"), "w"):
                return f"{folder} could be written"
        except OSError as error:
            refused.append(error)
    raise refused[0]


@attempt("open a TCP connection to the host")
def _() -> str:
    with socket.create_connection(("127.0.0.1", KNOWN["tcp"]), timeout=2):
        return f"connected to port {KNOWN['tcp']} of the host"


@attempt("reach another machine")
def _() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: it asks for a route only (TEST-NET-1, RFC 5737)
    return "there is a route to 192.0.2.1"


@attempt("ask a name server of the host over UDP")
def _() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(2)
        probe.connect(("127.0.0.1", KNOWN["udp"]))
        probe.send(b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04host\x00\x00\x01\x00\x01")
        probe.recv(512)
    return f"the host answered on UDP port {KNOWN['udp']}"


@attempt("connect to an abstract unix socket of the host")
def _() -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.connect("\0" + KNOWN["abstract"])
    return f"connected to @{KNOWN['abstract']}"


@attempt("open a netlink socket")
def _() -> str:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW):
        return "it could be opened"


def signal_all(processes: tuple[int, ...]) -> str:
    """Signal each of `processes`, all of which exist."""
    refused: list[OSError] = []
    for process in processes:
        try:
            os.kill(process, 0)
        except PermissionError as error:
            refused.append(error)
        else:
            return f"process {process} could be signalled"
    raise refused[0]


@attempt("signal a process of the host")
def _() -> str:
    if KNOWN["shared"]:
        return signal_all((*KNOWN["processes"], MONITOR))
    own = {int(name) for name in os.listdir("/proc") if name.isdigit()}
    for process in KNOWN["processes"]:
        if process not in own:
            os.kill(process, 0)
            return f"process {process} could be signalled"
    raise Held(f"/proc shows {sorted(own)} only")


@attempt("trace a process")
def _() -> str:
    number = exit_code(lambda: 0 if LIBC.ptrace(0, 0, 0, 0) == 0 else ctypes.get_errno())
    if number:
        raise OSError(number, os.strerror(number), "ptrace")
    return "ptrace is allowed"


@attempt("read the monitor's memory or environment")
def _() -> str:
    refused: list[OSError] = []
    for name in ("environ", "mem"):
        try:
            with open(f"/proc/{MONITOR}/{name}", "rb"):
                return f"/proc/{MONITOR}/{name} could be opened"
        except OSError as error:
            refused.append(error)
    raise refused[0]


@attempt("limit or slow the monitor")
def _() -> str:
    import resource

    resource.prlimit(MONITOR, resource.RLIMIT_CPU)
    return "the monitor's limits are within reach"


@attempt("make a user namespace")
def _() -> str:
    number = exit_code(lambda: 0 if LIBC.unshare(0x10000000) == 0 else ctypes.get_errno())
    if number:
        raise OSError(number, os.strerror(number), "unshare")
    return "a nested user namespace could be made"


@attempt("mount a file system")
def _() -> str:
    call(LIBC.mount(b"tmpfs", b"/tmp", b"tmpfs", ctypes.c_ulong(0), None), "mount")
    return "tmpfs could be mounted"


def run_file(folder: str) -> str:
    """Write a program into `folder` and execute it."""
    path = os.path.join(folder, "probe-program")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755), "w") as stream:
        stream.write("#!/bin/sh\nexit 0\n")

    def execute() -> int:
        try:
            os.execv(path, [path])
        except OSError as error:
            return error.errno or 1

    number = exit_code(execute)
    os.unlink(path)
    if number:
        raise OSError(number, os.strerror(number), path)
    return f"{path} could be executed"


@attempt("execute a file of the working folder")
def _() -> str:
    return run_file(os.getcwd())


@attempt("execute a file of /tmp")
def _() -> str:
    return run_file(os.environ["TMPDIR"])


@attempt("become root")
def _() -> str:
    os.setuid(KNOWN["user"])
    return f"setuid({KNOWN['user']}) is allowed"


@attempt("use a capability, or gain one")
def _() -> str:
    held = ctypes.create_string_buffer(24)
    call(LIBC.capget(struct.pack("Ii", 0x20080522, 0), held), "capget")
    # PR_CAPBSET_READ; an ordinary user cannot empty this set, of which no_new_privs lets nothing be used.
    bounding = [number for number in range(64) if LIBC.prctl(23, number, 0, 0, 0) == 1]
    ambient = [number for number in range(64) if LIBC.prctl(47, 1, number, 0, 0) == 1]  # PR_CAP_AMBIENT_IS_SET
    safe = LIBC.prctl(39, 0, 0, 0, 0)  # PR_GET_NO_NEW_PRIVS
    if any(held.raw) or ambient or safe != 1 or (bounding and KNOWN["bounded"]):
        return f"held {held.raw.hex()}, bounding {bounding}, ambient {ambient}, no_new_privs {safe}"
    raise Held("no capability in any set, no_new_privs set" if KNOWN["bounded"] else "none held, no_new_privs set")


def raw(name: str, *arguments: Any) -> str:
    """Make a call of the kernel that libc does not wrap."""
    if name not in NUMBERS:
        raise Held(f"the number of {name} on {os.uname().machine} is not known here; the filter refuses it by name")
    wide = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    call(LIBC.syscall(ctypes.c_long(NUMBERS[name]), *wide), name)
    return f"{name} is allowed"


@attempt("use io_uring")
def _() -> str:
    return raw("io_uring_setup", 1, ctypes.create_string_buffer(120))


@attempt("use the kernel's keyrings")
def _() -> str:
    return raw("keyctl", 0, -3, 0)


@attempt("load a BPF program")
def _() -> str:
    return raw("bpf", 0, ctypes.create_string_buffer(128), 128)


@attempt("make a file that belongs to no folder")
def _() -> str:
    return raw("memfd_create", ctypes.create_string_buffer(b"probe"), 0)


@attempt("find a secret in the environment")
def _() -> str:
    extra = sorted(set(os.environ) - set(KNOWN["environment"]))
    if extra:
        return f"also set: {', '.join(extra)}"
    raise Held(f"only {', '.join(sorted(os.environ))}")


@attempt("take more memory at once than the limit")
def _() -> str:
    with mmap.mmap(-1, KNOWN["too_much"], flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as taken:
        return f"{len(taken)} bytes could be taken"


@attempt("open more files than the limit")
def _() -> str:
    kept: list[int] = []
    try:
        while len(kept) < KNOWN["open_files"] + 8:
            kept.append(os.dup(0))
    except OSError as error:
        if error.errno == errno.EMFILE:
            raise
        return str(error)
    finally:
        for descriptor in kept:
            os.close(descriptor)
    return f"{len(kept)} files could be opened"


sys.stdout.write(json.dumps(FOUND) + "\n")
