"""The last steps of the code's own process: it gives up everything, then becomes the target interpreter."""

from __future__ import annotations

import fcntl
import os
import resource

from . import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import JailSpec, Line, Power, ServerSpec

RUNTIME, GATE = 3, 4
"""Descriptors in the code's process: the runtime socket, and where a forked one waits until it may begin."""
FORKER_LINE, FORKER_ORDERS, FORKER_IMAGE = 5, 6, 7
"""Descriptors of the process that forks. At the two before, its line stands in for what each run has there."""
OF_EACH_RUN = (resource.RLIMIT_CPU, resource.RLIMIT_NPROC)
"""Limits that a forked process does not have from the one that forks, where time and processes of all runs add up."""


def become_code(spec: JailSpec, complain: int) -> None:
    """Drop all power and exec the interpreter. Returns never; a failure is written to the descriptor `complain`."""
    try:
        os.setsid()
        complain = arrange_descriptors(spec, complain, owner=output_owner(spec))
        kernel.default_signals()
        os.umask(0o022)
        filters = [kernel.Filter(program) for program in spec["filters"]]
        kernel.take(power_given_up(spec, filters))
        os.execve(spec["executable"], spec["argv"], spec["environment"])  # noqa: S606 - no shell is wanted
    except BaseException as error:
        number = (error.errno or 0) if isinstance(error, OSError) else 0
        os.write(complain, f"{number} {error}".encode(errors="replace"))
    finally:
        os._exit(127)


def become_forker(spec: ServerSpec, line: int) -> None:
    """Exec the Python that forks, confined like the code but for the power to join jails. Returns never."""
    try:
        os.setsid()
        orders = os.memfd_create("orders")
        os.write(orders, spec["orders"])
        os.lseek(orders, 0, os.SEEK_SET)
        null = os.open("/dev/null", os.O_RDWR)
        for target in (0, 1, 2):
            os.dup2(null, target)
        # The forker's own filters forbid to make one: what is written there can be run.
        image = os.memfd_create("image", os.MFD_ALLOW_SEALING)
        keep_only([line, line, line, orders, image])
        line = FORKER_LINE
        set_limits([limit for limit in spec["rlimits"] if limit[0] not in OF_EACH_RUN])
        kernel.take(kernel.drop_bounding_set(keep=kernel.CAP_SYS_ADMIN))
        if spec["identity_map"]:
            kernel.keep_capabilities()
            change_user(spec["forker_id"])
        kernel.take(kernel.drop_capabilities(kernel.CAP_SYS_ADMIN, through_exec=True))
        os.umask(0o022)
        os.chdir("/")
        kernel.default_signals()
        kernel.take(kernel.no_new_privileges())
        filters = [kernel.Filter(program) for program in spec["forker_filters"]]
        kernel.take([step for one in filters for step in one.load()])
        os.execve(spec["executable"], spec["argv"], spec["environment"])  # noqa: S606 - no shell is wanted
    except BaseException as error:
        number = (error.errno or 0) if isinstance(error, OSError) else 0
        os.write(line, f"refused {number} exec {spec['executable']}: {error}".encode(errors="replace")[:4000])
    finally:
        os._exit(127)


def keep_only(descriptors: list[int]) -> None:
    """Move the descriptors to 3 and following, inheritable, in this order, and close every other above 2."""
    waiting = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 64) for descriptor in descriptors]
    for number, descriptor in enumerate(waiting, 3):
        os.dup2(descriptor, number)
    kernel.take(kernel.close_from(3 + len(waiting)))


def power_given_up(spec: Power, filters: list[kernel.Filter]) -> list[kernel.Step]:
    """Return what leaves a process, this one or a child of it, no more than the code may have.

    It needs every capability in its user namespace. The filters must live as long as the steps.
    """
    return [
        *_limits_set(spec["rlimits"]),
        *kernel.drop_bounding_set(),
        *(user_changed(spec["code_id"]) if spec["identity_map"] else ()),
        *kernel.drop_capabilities(),
        ("chdir", os.chdir, (spec["folder"],)),
        *kernel.no_new_privileges(),
        *(step for one in filters for step in one.load()),
    ]


def watching_power_alone(spec: JailSpec) -> list[kernel.Step]:
    """Return what leaves a monitor no more than it needs to watch."""
    return [
        *([*kernel.capabilities_kept(), *user_changed(spec["monitor_id"])] if spec["identity_map"] else ()),
        # Enough to see how much memory a process of another user shares, and one that hides from its own.
        *kernel.drop_capabilities(kernel.CAP_SYS_PTRACE),
        *kernel.memory_hidden(),
        *kernel.dying_with_parent(),
    ]


def change_user(number: int) -> None:
    """Become a user and group of this number, with no other groups."""
    kernel.take(user_changed(number))


def set_limits(limits: list[tuple[int, int, int]]) -> None:
    """Set (which, soft, hard), none above what this process has already."""
    kernel.take(_limits_set(limits))


def user_changed(number: int) -> list[kernel.Step]:
    """Return what does the same."""
    ids = (number, number, number)
    return [("user", os.setgroups, ([],)), ("user", os.setresgid, ids), ("user", os.setresuid, ids)]


def _limits_set(limits: list[tuple[int, int, int]]) -> list[kernel.Step]:
    steps: list[kernel.Step] = []
    for which, soft, hard in limits:
        most = resource.getrlimit(which)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        steps.append(("setrlimit", resource.setrlimit, (which, (soft, hard))))
    return steps


def output_owner(spec: Power) -> int:
    """Return who must own the output, or else could not open /dev/stdout; -1: it may stay as it is."""
    return spec["code_id"] if spec["identity_map"] else -1


def redirect_output(owner: int, stdout: int, stderr: int) -> None:
    """Make two pipes the standard output and error of this process, and give them to `owner` unless that is -1."""
    for source, target in ((stdout, 1), (stderr, 2)):
        if owner >= 0:
            os.fchown(source, owner, owner)
        os.dup2(source, target)


def arrange_descriptors(spec: Line, complain: int, owner: int) -> int:
    """Give the exec nothing but 0 to 2, and 3 if there is a runtime socket; return where `complain` is now.

    The output becomes the property of `owner`, unless that is -1.
    """
    complain = fcntl.fcntl(complain, fcntl.F_DUPFD_CLOEXEC, RUNTIME + 1)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    redirect_output(owner, spec["stdout"], spec["stderr"])
    if spec["runtime"] >= 0:
        if spec["runtime"] != RUNTIME:
            os.dup2(spec["runtime"], RUNTIME)
        os.set_inheritable(RUNTIME, True)
        kernel.close_on_exec_from(RUNTIME + 1)
    else:
        kernel.close_on_exec_from(RUNTIME)
    return complain
