"""What a `Job` becomes in a kernel: with walls of its own in a container of ours, where others run beside it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from osprey_executor.execution.container._kernel import Kernel
from osprey_executor.execution.container._process import KernelProcess
from osprey_executor.execution.local._enforcement import JAIL, RESTRICTED
from osprey_executor.execution.local._environment import code_environment
from osprey_executor.execution.local._limits import cpu_limit, resource_limits
from osprey_executor.execution.local._paths import SYSTEM
from osprey_executor.execution.local._sandbox import Job, LaunchError
from osprey_executor.execution.local._seccomp import restricted_programs
from osprey_executor.execution.local.jail import landlock
from osprey_executor.models import Limits

ENFORCED = {**RESTRICTED, "cpu_time": JAIL["cpu_time"]}
"""What keeps each limit."""
_TICK = 0.05
_ROOT = "{root}"
_TMP = f"{_ROOT}/tmp"  # noqa: S108 - of the kernel alone
_LIBRARY = f"{_ROOT}/lib"
_HOME = f"{_TMP}/home"
_PYTHON = ("{prefix}", "{base}")
_DEVICES = ("null", "zero", "full", "random", "urandom")

Specify = Callable[[Limits], dict[str, Any]]
"""What the monitor in a kernel is told for these limits; `{root}` stands for the kernel's own folder."""


class KernelSandbox:
    """Begins one job, in one kernel."""

    level = "none"  # the engine says it
    enforced = ENFORCED
    mechanisms: tuple[str, ...] = ()
    private_user = False

    def __init__(self, kernel: Kernel, specify: Specify, usual: Limits, rebuilt: Path) -> None:
        """Use `kernel`, in which a process for the limits `usual` waits; `rebuilt`: folder for what is left."""
        self._kernel, self._specify, self._usual, self._rebuilt = kernel, specify, usual, rebuilt
        root = str(kernel.facts.get("root"))
        self.code_path: Path | None = Path(root) / "code.py"
        self.library = f"{root}/lib"
        self.process: KernelProcess | None = None

    def start_quickly(self, job: Job) -> KernelProcess:
        """Begin `job`."""
        spec = self._specify(job.limits)
        waits = spec == self._specify(self._usual)
        self.process = KernelProcess(self._kernel, job, None if waits else spec, self._rebuilt)
        return self.process

    def start(self, job: Job) -> KernelProcess:
        """Never come to: a kernel is for one program.

        Raises:
            LaunchError: always.
        """
        raise LaunchError("the kernel was lost before the program began")


def walled(limits: Limits) -> dict[str, Any]:
    """Return what makes of a program what it is in restricted isolation: none reaches another, or the server."""
    system = [(path, landlock.READ_AND_EXECUTE) for path in (*SYSTEM, *_PYTHON)]
    devices = [(f"/dev/{name}", landlock.READ_AND_WRITE) for name in _DEVICES]
    given = [(f"{_ROOT}/{name}", landlock.READ) for name in ("lib", "inputs", "code.py")]
    own = [(path, landlock.CHANGE) for path in (f"{_ROOT}/out", _TMP)]
    filters = [base64.b64encode(program).decode("ascii") for program in restricted_programs()]
    return {**unwalled(limits), "landlock": True, "rules": [*system, *devices, *given, *own], "filters": filters}


def unwalled(limits: Limits) -> dict[str, Any]:
    """Return what asks nothing of the machine that any user might not have."""
    environment = code_environment(Path("python"), library=_LIBRARY, home=_HOME)
    for name in ("PATH", "USER", "LOGNAME"):  # the kernel's machine knows
        del environment[name]
    return {
        "parent": -1,
        "groups": [],
        "code_id": -1,
        "rules": [],
        "landlock": False,
        "folder": f"{_ROOT}/out",
        "folder_size": limits.folder,
        "folder_files": limits.files + 1,  # with the link to the inputs
        "tmp": _TMP,
        "tmp_size": limits.tmp,
        "copies": [],
        "argv": list(Job(b"", limits).arguments(_LIBRARY)),
        "environment": {**environment, "TMPDIR": _TMP, "OSPREY_RUNTIME_FD": "3"},
        "rlimits": [list(limit) for limit in resource_limits(limits, own_processes=False)],
        "filters": [],
        "watch": True,
        "memory": limits.memory,
        "tasks": limits.processes,
        "cpu": cpu_limit(limits),
        "tick": _TICK,
    }
