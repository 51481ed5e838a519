"""The code's process of a restricted sandbox: it gives up everything, then becomes the target interpreter."""

from __future__ import annotations

import os
import resource

from . import family, kernel, landlock
from .confine import arrange_descriptors, set_limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .restricted_spec import RestrictedSpec

_FIRST_TO_GO = b"800"
"""When memory of the machine runs out, the kernel takes the code before the service."""
_PIECE = 1 << 24
_OTHER_TASKS = 512
"""Room for what else the user starts meanwhile, as the kernel counts all that a user has. The watch knows the own ones;
this is for a flood so fast that the watch does not get a turn."""


def start_code(spec: RestrictedSpec) -> int | None:
    """Start the code and return its process id; None if that failed, which the service is told."""
    hear, complain = os.pipe()
    code = os.fork()
    if code == 0:
        os.close(spec["control"])
        _become_code(spec, complain)
    os.close(complain)
    for descriptor in (spec["runtime"], spec["stdout"], spec["stderr"]):
        if descriptor >= 0:
            os.close(descriptor)
    words = os.read(hear, 4000)  # empty: the exec closed the other end
    os.close(hear)
    if words:
        number, _, text = words.decode(errors="replace").partition(" ")
        message = f"refused {number} {text}"
        os.write(spec["control"], message.encode(errors="replace")[:4000])
        return None
    _let_go_first(code)
    return code


def _become_code(spec: RestrictedSpec, complain: int) -> None:
    what = "start"
    try:
        os.setsid()
        complain = arrange_descriptors(spec, complain, owner=-1)
        user = os.geteuid() if spec["code_id"] < 0 else spec["code_id"]
        most = family.tasks_of(user) + spec["tasks"] + _OTHER_TASKS
        set_limits([*spec["rlimits"], (resource.RLIMIT_NPROC, most, most)])
        # Paths are looked up while this process may still go everywhere.
        ruleset = landlock.ruleset(spec["rules"])
        if os.geteuid() == 0:
            kernel.take(kernel.drop_bounding_set())
            os.setgroups([])
        if spec["code_id"] >= 0:
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        kernel.take(kernel.drop_capabilities())
        kernel.die_with_parent()
        os.umask(0o022)
        what = f"exec {spec['executable']}"
        os.chdir(spec["folder"])
        kernel.default_signals()
        if spec["landlock"]:
            landlock.enter(ruleset)
        filters = [kernel.Filter(program) for program in spec["filters"]]
        kernel.take([step for one in filters for step in one.load()])
        os.execve(spec["executable"], spec["argv"], spec["environment"])  # noqa: S606 - no shell is wanted
    except BaseException as error:
        number = (error.errno or 0) if isinstance(error, OSError) else 0
        told = error.filename if isinstance(error, OSError) and str(error.filename).startswith("landlock") else what
        os.write(complain, f"{number} {told}: {error}".encode(errors="replace"))
    finally:
        os._exit(127)


def copy_files(spec: RestrictedSpec) -> None:
    """Put what the code's user could not reach where it can."""
    for source, target in spec["copies"]:
        taken = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        while os.sendfile(made, taken, None, _PIECE):
            pass
        os.close(taken)
        os.close(made)


def _let_go_first(code: int) -> None:
    try:
        descriptor = os.open(f"/proc/{code}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return  # a courtesy, not a wall
    try:
        os.write(descriptor, _FIRST_TO_GO)
    except OSError:
        pass
    finally:
        os.close(descriptor)
