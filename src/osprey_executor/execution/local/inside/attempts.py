"""Tries, from inside, everything that must be refused, and prints what it saw as one line of JSON.

Standard library only, Python 3.9 and newer. The argument is a JSON object: what the service knows and expects.
"""

import ctypes
import errno
import json
import os
import socket
import sys

KNOWN = json.loads(sys.argv[1])
NUMBERS = {
    "x86_64": {"keyctl": 250, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "memfd_create": 319},
    "aarch64": {"keyctl": 219, "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "memfd_create": 279},
}.get(os.uname().machine, {})
NUMBERS["io_uring_setup"] = 425
LIBC = ctypes.CDLL(None, use_errno=True)
FOUND = []


class Held(Exception):
    """What was tried is not possible; the message is what was seen."""


def call(result, what):
    """Raise what the kernel said if a call of libc failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def attempt(name):
    """Register a function that must be refused: by an OSError, or by `Held`."""

    def run(function):
        try:
            got = function()
        except (OSError, Held) as error:
            FOUND.append({"name": name, "outcome": "ok", "detail": str(error)})
        except Exception as error:
            FOUND.append({"name": name, "outcome": "failed", "detail": "%s: %s" % (type(error).__name__, error)})
        else:
            if got is not NotImplemented:
                FOUND.append({"name": name, "outcome": "failed", "detail": str(got)})
        return function

    return run


@attempt("read a host file")
def _():
    with open(KNOWN["file"]) as stream:
        stream.read()
    return "%s could be read" % KNOWN["file"]


@attempt("see other folders of the host")
def _():
    extra = sorted(set(os.listdir("/")) - set(KNOWN["top"]))
    if extra:
        return "also visible: %s" % ", ".join(extra)
    raise Held("nothing but %s" % " ".join("/" + name for name in sorted(KNOWN["top"])))


@attempt("write outside the working folder and /tmp")
def _():
    refused = []
    for folder in ("/", "/etc", "/usr/lib", "/dev", "/sandbox", "/sandbox/lib", "/sandbox/inputs", sys.prefix):
        try:
            with open(os.path.join(folder, "written-by-probe"), "w"):
                return "%s could be written" % folder
        except OSError as error:
            refused.append(error)
    raise refused[0]


@attempt("open a TCP connection to the host")
def _():
    with socket.create_connection(("127.0.0.1", KNOWN["tcp"]), timeout=2):
        return "connected to port %d of the host" % KNOWN["tcp"]


@attempt("reach another machine")
def _():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # no packet is sent: this asks for a route only (TEST-NET-1, RFC 5737)
    return "there is a route to 192.0.2.1"


@attempt("ask a name server of the host over UDP")
def _():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(2)
        probe.connect(("127.0.0.1", KNOWN["udp"]))
        probe.send(b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04host\x00\x00\x01\x00\x01")
        probe.recv(512)
    return "the host answered on UDP port %d" % KNOWN["udp"]


@attempt("connect to an abstract unix socket of the host")
def _():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.connect("\0" + KNOWN["abstract"])
    return "connected to @%s" % KNOWN["abstract"]


@attempt("open a packet or netlink socket")
def _():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW):
        return "a netlink socket could be opened"


@attempt("signal a process of the host")
def _():
    own = {int(name) for name in os.listdir("/proc") if name.isdigit()}
    for process in KNOWN["processes"]:
        if process not in own:
            os.kill(process, 0)
            return "process %d could be signalled" % process
    raise Held("/proc shows %s only" % sorted(own))


@attempt("trace a process")
def _():
    call(LIBC.ptrace(0, 0, 0, 0), "ptrace")
    return "ptrace is allowed"


@attempt("read the monitor's memory or environment")
def _():
    refused = []
    for name in ("environ", "mem", "fd"):
        try:
            os.listdir("/proc/1/fd") if name == "fd" else open("/proc/1/" + name, "rb").close()
            return "/proc/1/%s could be opened" % name
        except OSError as error:
            refused.append(error)
    raise refused[0]


@attempt("limit or slow the monitor")
def _():
    import resource

    resource.prlimit(1, resource.RLIMIT_CPU)
    return "the monitor's limits could be read"


@attempt("make a user namespace")
def _():
    child = os.fork()
    if child == 0:
        os._exit(0 if LIBC.unshare(0x10000000) == 0 else min(ctypes.get_errno(), 200))
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if number:
        raise OSError(number, os.strerror(number), "unshare")
    return "a nested user namespace could be made"


@attempt("mount a file system")
def _():
    call(LIBC.mount(b"tmpfs", b"/tmp", b"tmpfs", ctypes.c_ulong(0), None), "mount")
    return "tmpfs could be mounted"


def run_file(folder):
    """Write a program into `folder` and execute it."""
    path = os.path.join(folder, "probe-program")
    with open(path, "w") as stream:
        stream.write("#!/bin/sh\nexit 0\n")
    os.chmod(path, 0o755)
    child = os.fork()
    if child == 0:
        try:
            os.execv(path, [path])
        except OSError as error:
            os._exit(min(error.errno or 1, 200))
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.unlink(path)
    if number:
        raise OSError(number, os.strerror(number), path)
    return "%s could be executed" % path


@attempt("execute a file of the working folder")
def _():
    return run_file(os.getcwd())


@attempt("execute a file of /tmp")
def _():
    return run_file("/tmp")


@attempt("become root")
def _():
    os.setuid(0)
    return "setuid(0) is allowed"


def status_of_this_process():
    """Return /proc/self/status as a dictionary."""
    with open("/proc/self/status") as stream:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in stream)}


@attempt("use a capability, or gain one")
def _():
    status = status_of_this_process()
    held = {key: status[key] for key in ("CapEff", "CapPrm", "CapBnd", "CapAmb") if int(status[key], 16)}
    if held or status.get("NoNewPrivs") != "1":
        return "%s, no_new_privs %s" % (held, status.get("NoNewPrivs"))
    raise Held("no capability in any set, no_new_privs set")


def raw(name, *arguments):
    """Make a call of the kernel that libc does not wrap."""
    if name not in NUMBERS:
        return NotImplemented
    wide = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    call(LIBC.syscall(ctypes.c_long(NUMBERS[name]), *wide), name)
    return "%s is allowed" % name


@attempt("use io_uring")
def _():
    return raw("io_uring_setup", 1, ctypes.create_string_buffer(120))


@attempt("use the kernel's keyrings")
def _():
    return raw("keyctl", 0, -3, 0)


@attempt("load a BPF program")
def _():
    return raw("bpf", 0, ctypes.create_string_buffer(128), 128)


@attempt("make a file that belongs to no folder")
def _():
    return raw("memfd_create", ctypes.create_string_buffer(b"probe"), 0)


@attempt("find a secret in the environment")
def _():
    extra = sorted(set(os.environ) - set(KNOWN["environment"]))
    if extra:
        return "also set: %s" % ", ".join(extra)
    raise Held("only %s" % ", ".join(sorted(os.environ)))


@attempt("take more memory at once than the limit")
def _():
    try:
        taken = bytearray(KNOWN["too_much"])
    except MemoryError:
        raise Held("MemoryError") from None
    return "%d bytes could be taken" % len(taken)


@attempt("open more files than the limit")
def _():
    kept = []
    try:
        for _ in range(KNOWN["open_files"] + 8):
            kept.append(os.dup(0))
    except OSError as error:
        if error.errno == errno.EMFILE:
            raise
        return str(error)
    finally:
        for descriptor in kept:
            os.close(descriptor)
    return "%d files could be opened" % len(kept)


def packages():
    """Return the distributions in the environment, name to version, by the names of their metadata folders."""
    import site

    found = {}
    for folder in [*site.getsitepackages(KNOWN["prefixes"]), *KNOWN["site_folders"]]:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            stem, dot, kind = name.rpartition(".")
            if dot and kind in ("dist-info", "egg-info"):
                package, _, version = stem.partition("-")
                found.setdefault(package.lower().replace("_", "-"), version.partition("-py")[0])
    return found


told = {
    "probes": FOUND,
    "python": "%d.%d.%d" % sys.version_info[:3],
    "implementation": sys.implementation.name,
    "packages": packages(),
}
sys.stdout.write(json.dumps(told) + "\n")
