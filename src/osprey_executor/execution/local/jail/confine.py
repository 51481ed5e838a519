"""The last steps of the code's own process: it gives up everything, then becomes the target interpreter."""

from __future__ import annotations

import fcntl
import os
import resource

from . import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import JailSpec, Line

RUNTIME = 3
"""Descriptor of the runtime socket in the code's process."""


def become_code(spec: JailSpec, complain: int) -> None:
    """Drop all power and exec the interpreter. Returns never; a failure is written to the descriptor `complain`."""
    try:
        os.setsid()
        complain = arrange_descriptors(spec, complain, owner=spec["code_id"] if spec["identity_map"] else -1)
        set_limits(spec["rlimits"])
        kernel.drop_bounding_set()
        if spec["identity_map"]:
            code = spec["code_id"]
            os.setgroups([])
            os.setresgid(code, code, code)
            os.setresuid(code, code, code)
        kernel.drop_capabilities()
        os.umask(0o022)
        os.chdir(spec["folder"])
        kernel.default_signals()
        kernel.no_new_privileges()
        for program in spec["filters"]:
            kernel.load_filter(program)
        os.execve(spec["executable"], spec["argv"], spec["environment"])  # noqa: S606 - no shell is wanted
    except BaseException as error:
        number = (error.errno or 0) if isinstance(error, OSError) else 0
        os.write(complain, f"{number} {error}".encode(errors="replace"))
    finally:
        os._exit(127)


def set_limits(limits: list[tuple[int, int, int]]) -> None:
    """Set (which, soft, hard), none above what this process has already."""
    for which, soft, hard in limits:
        most = resource.getrlimit(which)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(which, (soft, hard))


def arrange_descriptors(spec: Line, complain: int, owner: int) -> int:
    """Give the exec nothing but 0 to 2, and 3 if there is a runtime socket; return where `complain` is now.

    The output becomes the property of `owner`, unless that is -1.
    """
    complain = fcntl.fcntl(complain, fcntl.F_DUPFD_CLOEXEC, RUNTIME + 1)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    for source, target in ((spec["stdout"], 1), (spec["stderr"], 2)):
        if owner >= 0:  # else /dev/stdout could not be opened by the code's user
            os.fchown(source, owner, owner)
        os.dup2(source, target)
    if spec["runtime"] >= 0:
        if spec["runtime"] != RUNTIME:
            os.dup2(spec["runtime"], RUNTIME)
        os.set_inheritable(RUNTIME, True)
        kernel.close_on_exec_from(RUNTIME + 1)
    else:
        kernel.close_on_exec_from(RUNTIME)
    return complain
