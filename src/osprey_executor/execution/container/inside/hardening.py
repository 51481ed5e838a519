"""Looks, from inside a container, whether each hardening holds, by trying what it forbids. Python 3.9 and newer.

It is run by itself in a container that is there for nothing else, and in a kernel, outside of the walls of programs.
"""

# A script for the interpreter inside: it tries the dangerous things on purpose, and prefers the plainest calls.
# ruff: noqa: PTH108, PTH112, PTH116, PTH118, PTH123, PTH208, S108

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from typing import Any

_NOBODY = 65534
_SYS_ADMIN = 1 << 21
_SIGKILL = 9
_HARMLESS = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}
_ENGINES = ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock")
_NOT_FILES = {"proc", "sysfs", "devpts", "devtmpfs", "mqueue", "cgroup", "cgroup2"}
_UNLIMITED = 1 << 60
MISCONFIGURED = ("use a capability", "reach the container engine", "change files of the host")
"""What makes any container none, whoever started it."""


class Held(Exception):
    """What was tried is not possible; the message is what was seen."""


def look(known: dict[str, Any]) -> list[dict[str, str]]:
    """Return what was seen, as `Probe` has it; `known` is what the service knows and expects."""
    return _seen("container", _LOOKS, known)


def try_limits(known: dict[str, Any]) -> list[dict[str, str]]:
    """Pass the limits of the container itself, which has no other purpose."""
    return _seen("container, for trial", _TRIALS, known)


def _seen(
    where: str, attempts: dict[str, Callable[[dict[str, Any]], str]], known: dict[str, Any]
) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for name, attempt in attempts.items():
        outcome = "failed"
        try:
            detail = attempt(known)
        except (OSError, Held) as error:
            outcome, detail = "ok", str(error)
        except Exception as error:
            detail = f"{type(error).__name__}: {error}"
        found.append({"name": f"{where}: {name}", "outcome": outcome, "detail": detail})
    return found


def _status(process: str) -> dict[str, str]:
    with open(f"/proc/{process}/status") as stream:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in stream)}


def _privileges(known: dict[str, Any]) -> str:
    told = {process: _status(process).get("NoNewPrivs") for process in ("1", "self")}
    if set(told.values()) == {"1"}:
        raise Held("no_new_privs is set from the first process on")
    return f"no_new_privs is not set: {told}"


def _capabilities(known: dict[str, Any]) -> str:
    for process in ("1", "self"):
        held = {name: int(value, 16) for name, value in _status(process).items() if name.startswith("Cap")}
        if any(held.values()):
            what = "it is privileged" if held["CapBnd"] & _SYS_ADMIN else "there are capabilities"
            return f"{what}: " + ", ".join(f"{name} {value:x}" for name, value in held.items() if value)
    raise Held("no capability in any set")


def _user(known: dict[str, Any]) -> str:
    ids = {*os.getresuid(), *os.getresgid(), *os.getgroups()}
    if ids - {_NOBODY}:
        return f"users and groups {sorted(ids)}, not {_NOBODY} alone"
    os.setuid(0)
    return "it could become root"


def _root(known: dict[str, Any]) -> str:
    if not os.statvfs("/").f_flag & os.ST_RDONLY:
        return "the root file system is mounted writable"
    for folder in ("/", "/etc", "/usr", "/opt"):
        try:
            with open(os.path.join(folder, "written-by-probe"), "w"):
                return f"{folder} could be written"
        except OSError as error:
            refused = error
    raise refused


def _mounts() -> Iterator[tuple[str, str, bool]]:
    """Yield (place, kind of file system, whether it is writable), the last one mounted at a place alone."""
    found: dict[str, tuple[str, bool]] = {}
    with open("/proc/self/mountinfo") as stream:
        for line in stream:
            fields, _, more = line.partition(" - ")
            place, options = fields.split()[4].encode().decode("unicode_escape"), fields.split()[5]
            kind, _, rest = more.partition(" ")
            found[place] = kind, "ro" not in options.split(",") and "ro" not in rest.split()[-1].split(",")
    for place, (kind, writable) in found.items():
        yield place, kind, writable


def _writable(place: str) -> bool:
    return os.access(place, os.W_OK)


def _host_files(known: dict[str, Any]) -> str:
    if "file" in known:
        try:
            with open(known["file"]):
                return f"{known['file']} of the host could be read"
        except OSError:
            pass
    own = known.get("folder")
    for place, kind, writable in _mounts():
        if not writable or kind == "tmpfs" or kind in _NOT_FILES:
            continue
        # The folder of our socket is shut once the socket is there.
        if _writable(place) or (place != own and os.path.isdir(place)):
            return f"{place} is mounted writable from the host ({kind})"
    raise Held("nothing of the host is mounted that could be written")


def _engine(known: dict[str, Any]) -> str:
    places = [place for place, _, _ in _mounts()]
    for place in (*_ENGINES, *places):
        try:
            if stat.S_ISSOCK(os.stat(place).st_mode):
                return f"a socket of the host is mounted at {place}: who speaks to it may own the host"
        except OSError:
            continue
    raise Held("no socket of a container engine is there")


def _devices(known: dict[str, Any]) -> str:
    for name in sorted(set(os.listdir("/dev")) - _HARMLESS):
        path = os.path.join("/dev", name)
        mode = os.lstat(path).st_mode
        if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
            return f"{path} is there"
    raise Held("nothing but " + " ".join(sorted(os.listdir("/dev"))))


def _filter(known: dict[str, Any]) -> str:
    modes = {process: _status(process).get("Seccomp") for process in ("1", "self")}
    if set(modes.values()) == {"2"}:
        raise Held("a seccomp filter is loaded from the first process on")
    return f"no seccomp filter is loaded: {modes}"


def _network(known: dict[str, Any]) -> str:
    others = sorted(set(os.listdir("/sys/class/net")) - {"lo"})
    if others:
        return f"there are network interfaces: {', '.join(others)}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it asks for a route only (TEST-NET-1, RFC 5737)
            return "there is a route to 192.0.2.1"
        except OSError as error:
            refused = error
    if "tcp" in known:
        try:
            with socket.create_connection(("127.0.0.1", known["tcp"]), timeout=2):
                return f"port {known['tcp']} of the host answers"
        except OSError as error:
            refused = error
    if "abstract" in known:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.connect("\0" + known["abstract"])
            return "an abstract socket of the host answers"
        except OSError as error:
            refused = error
    raise refused


def _temporary(known: dict[str, Any]) -> str:
    sizes: list[str] = []
    for place, kind, writable in _mounts():
        if kind == "tmpfs" and writable and os.path.isdir(place) and _writable(place):
            told = os.statvfs(place)
            size = told.f_blocks * told.f_frsize
            sizes.append(f"{place} {size >> 20} MiB")
            if size > known["tmp"]:
                return f"{place} has no limit of its own ({size >> 20} MiB)"
    raise Held(", ".join(sizes))


def _group(names: tuple[str, ...], most: int) -> str:
    for name in names:
        try:
            with open(f"/sys/fs/cgroup/{name}") as stream:
                word = stream.read().strip()
        except OSError:
            continue
        limit = _UNLIMITED if word == "max" else int(word)
        if limit > most:
            return f"{name} is {word}, and should be {most}"
        raise Held(f"{name} is {word}")
    return f"none of {', '.join(names)} is there"


def _memory(known: dict[str, Any]) -> str:
    return _group(("memory.max", "memory/memory.limit_in_bytes"), known["memory"])


def _processes(known: dict[str, Any]) -> str:
    return _group(("pids.max", "pids/pids.max"), known["processes"])


def _take_memory(known: dict[str, Any]) -> str:
    child = os.fork()
    if child == 0:
        with open("/proc/self/oom_score_adj", "w") as stream:
            stream.write("1000")  # this one is taken, and not the first process
        os._exit(len(bytearray(b"x") * (2 * known["memory"])) & 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == -_SIGKILL:
        raise Held(f"killed at {known['memory'] >> 20} MiB")
    return f"{2 * known['memory'] >> 20} MiB could be taken, it ended with {code}"


def _start_processes(known: dict[str, Any]) -> str:
    waiting, end = os.pipe()
    started: list[int] = []
    try:
        for _ in range(2 * known["processes"]):
            child = os.fork()
            if child == 0:
                os.close(end)
                os.read(waiting, 1)
                os._exit(0)
            started.append(child)
        return f"{len(started)} processes could be started"
    finally:
        os.close(end)
        os.close(waiting)
        for child in started:
            os.waitpid(child, 0)


def _fill(known: dict[str, Any]) -> str:
    path = "/tmp/filled-by-probe"
    try:
        with open(path, "wb") as stream:
            for _ in range(2 * known["tmp"] >> 20):
                stream.write(bytes(1 << 20))
                stream.flush()
        return f"{2 * known['tmp'] >> 20} MiB could be written"
    finally:
        os.unlink(path)


_LOOKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "gain a privilege": _privileges,
    MISCONFIGURED[0]: _capabilities,
    "be another user than nobody": _user,
    "change the root file system": _root,
    MISCONFIGURED[2]: _host_files,
    MISCONFIGURED[1]: _engine,
    "find a device": _devices,
    "be without a seccomp filter": _filter,
    "find a network": _network,
    "write where nothing is limited": _temporary,
    "have more memory than the limit": _memory,
    "have more processes than the limit": _processes,
}
_TRIALS: dict[str, Callable[[dict[str, Any]], str]] = {
    "take more memory than the limit": _take_memory,
    "start more processes than the limit": _start_processes,
    "fill the temporary folder past its limit": _fill,
}


def told(known: dict[str, Any]) -> str:
    """Return as JSON what was seen; with `trial`, the limits are tried as well."""
    return json.dumps([*look(known), *(try_limits(known) if known.get("trial") else ())])
