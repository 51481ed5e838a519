"""Why this machine forbids a sandbox, and the exact remedies. Nothing is ever downgraded instead."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from osprey_executor.execution.local._environment import FOLDER

_PROFILE = (
    "abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile osprey-executor {python} flags=(unconfined) {{ userns, }}\\n"
)
_APPARMOR = (
    "this system's AppArmor takes the power away from unprivileged user namespaces. Either allow them for this Python, "
    "as root:\n"
    f"    printf '{_PROFILE}' > /etc/apparmor.d/osprey-executor\n"
    "    apparmor_parser -r /etc/apparmor.d/osprey-executor\n"
    "  or allow them for all: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
)
_LIMITED = {FOLDER: "limits.folder or limits.files", "/tmp": "limits.tmp", "/dev/shm": "limits.memory"}  # noqa: S108
"""The file systems of the jail that hold what the code writes, and what gives them their size."""
_OTHER_CHOICE = (
    "Or write execution.isolation: restricted into the configuration: it needs no namespaces, but Linux 6.12 or newer "
    "with Landlock, and has neither gateways nor a network of its own."
)
_LANDLOCK_OFF = (
    "Landlock is part of this kernel but not in use: add landlock to the list lsm=... on the kernel's command line "
    "(the present list is in /sys/kernel/security/lsm) and restart the machine"
)
_LAST_RESORT = (
    "If no containment is wanted, write execution.isolation: none into the configuration; it is never taken by itself."
)


def explain(number: int, what: str, python: str) -> str:
    """Return cause and remedies for a call `what` of the launcher that failed with the error `number`."""
    seen = f"{what} failed with {errno.errorcode.get(number, number)} ({os.strerror(number)})"
    causes = list(_causes(number, what, python))
    told = "\n".join(f"- {cause}" for cause in causes) or "- no known cause; the kernel's log may tell more"
    return f"this machine does not allow the jail of the local engine: {seen}\n{told}\n{_OTHER_CHOICE}\n{_LAST_RESORT}"


def explain_restricted(number: int, what: str) -> str:
    """Return cause and remedies for a call `what` of the monitor of a restricted sandbox that failed with `number`."""
    seen = f"{what} failed with {errno.errorcode.get(number, number)} ({os.strerror(number)})"
    causes = list(_restricted_causes(number, what))
    told = "\n".join(f"- {cause}" for cause in causes) or "- no known cause; the kernel's log may tell more"
    return f"this machine does not allow restricted isolation: {seen}\n{told}\n{_LAST_RESORT}"


def _restricted_causes(number: int, what: str) -> Iterator[str]:
    if what.startswith("exec "):
        yield from _exec_causes(number, what.removeprefix("exec ").partition(":")[0])
    elif what == "sched_setscheduler":
        yield (
            "programs would run as root, whose processes the kernel does not limit, and their monitor may not come "
            "first: make this Python, its packages and TMPDIR readable for all (chmod -R a+rX, and all folders above), "
            "so that programs get a user of their own, or run the service as an ordinary user"
        )
    elif what.endswith("/children"):
        yield f"the kernel {os.uname().release} does not tell the children of a process: it needs CONFIG_PROC_CHILDREN"
    elif what.startswith("landlock of version"):
        yield (
            f"the kernel {os.uname().release} has {what}; version 6 is needed, as it keeps signals of the code inside: "
            "use Linux 6.12 or newer, or allow namespaces and set execution.isolation: full"
        )
    elif what.startswith("landlock") and number == errno.EOPNOTSUPP:
        yield _LANDLOCK_OFF
    elif what.startswith("landlock") and _filtered():
        yield (
            "this process runs under a seccomp filter, as in a container, that forbids Landlock: use a container "
            "runtime whose default profile allows it, or start the container with --security-opt seccomp=unconfined"
        )
    elif what.startswith("landlock") and number == errno.ENOSYS:
        yield f"the kernel {os.uname().release} has no Landlock: use Linux 6.12 or newer with CONFIG_SECURITY_LANDLOCK"


def _causes(number: int, what: str, python: str) -> Iterator[str]:
    if what.startswith("exec "):
        yield from _exec_causes(number, what.removeprefix("exec ").partition(":")[0])
        return
    if what.startswith("listen on "):
        yield (
            f"execution.network has an endpoint at {what.removeprefix('listen on ')}, which this kernel gives no jail; "
            "an IPv6 address needs IPv6 (sysctl net.ipv6.conf.all.disable_ipv6): remove it from the list"
        )
        return
    if number == errno.ENOSYS and what.startswith(("mount_setattr", "open_tree", "move_mount", "close_range")):
        yield (
            f"the kernel {os.uname().release} lacks {what.split()[0]}; the jail needs Linux 5.12 or newer, or a "
            "container runtime whose seccomp profile knows this call: update the kernel or the runtime"
        )
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1" and os.geteuid() != 0:
        yield _APPARMOR.format(python=python)
    if _setting("kernel/unprivileged_userns_clone") == "0" and os.geteuid() != 0:
        yield "user namespaces are off for ordinary users: as root, sysctl -w kernel.unprivileged_userns_clone=1"
    if _setting("user/max_user_namespaces") == "0":
        yield "user namespaces are off: as root, sysctl -w user.max_user_namespaces=15000"
    if number == errno.ENOSPC and what.startswith("unshare"):
        yield "the number of namespaces is used up: as root, raise user.max_user_namespaces and its siblings by sysctl"
    if number in (errno.ENOSPC, errno.EINVAL, errno.ENOMEM) and what.startswith(("mount ", "open_tree", "move_mount")):
        yield from _mount_causes(number, what.removeprefix("mount "))
    if what.startswith("mount /proc") and number == errno.EPERM:
        yield (
            "parts of /proc are covered, as container runtimes do, so no new /proc may be mounted: start the container "
            "with --security-opt systempaths=unconfined (Docker) or --security-opt unmask=ALL (Podman)"
        )
    if number in (errno.EPERM, errno.EACCES, errno.ENOSYS) and _filtered():
        yield (
            "this process runs under a seccomp filter, as in a container, that forbids namespaces: start the container "
            "with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined (Podman: unmask=ALL instead of the last), "
            "or run the service outside the container"
        )
    if what.startswith("uid_map"):
        yield "this user's ids cannot be mapped: run the service as an ordinary user, or as root outside a container"


def _mount_causes(number: int, target: str) -> Iterator[str]:
    limit = _LIMITED.get(target)
    if limit is not None:
        yield f"{target} cannot have the size that the limits give it: set {limit} of the configuration to a usual size"
    if number == errno.ENOSPC:
        yield "the number of mounts is used up: as root, raise it with sysctl -w fs.mount-max=100000"


def _exec_causes(number: int, executable: str) -> Iterator[str]:
    if number == errno.EACCES:
        yield (
            f"inside, the code's user may not read or execute {executable}: make the Python and its packages readable "
            "for all (chmod -R a+rX), or choose another with execution.python_env_path"
        )
    elif number == errno.ENOENT:
        yield (
            f"inside, {executable} or the loader it names does not exist: it needs folders outside its own prefix; "
            "choose another Python with execution.python_env_path"
        )


def _setting(name: str) -> str | None:
    try:
        return (Path("/proc/sys") / name).read_text(encoding="ascii").strip()
    except OSError:
        return None


def _filtered() -> bool:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.split() == ["Seccomp:", "2"] for line in lines)
