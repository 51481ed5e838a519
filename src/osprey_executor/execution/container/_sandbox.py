"""What a `Job` becomes in a kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from osprey_executor.execution.container._kernel import Kernel
from osprey_executor.execution.container._process import KernelProcess
from osprey_executor.execution.local._enforcement import JAIL, RESTRICTED
from osprey_executor.execution.local._environment import code_environment
from osprey_executor.execution.local._limits import cpu_limit, resource_limits
from osprey_executor.execution.local._sandbox import Job, LaunchError
from osprey_executor.models import Limits

ENFORCED = {**RESTRICTED, "cpu_time": JAIL["cpu_time"]}
"""What keeps each limit."""
_TICK = 0.05
_ROOT = "{root}"
_TMP = f"{_ROOT}/tmp"  # noqa: S108 - of the kernel alone
_LIBRARY = f"{_ROOT}/lib"


class KernelSandbox:
    """Begins one job, in one kernel."""

    level = "none"
    enforced = ENFORCED
    mechanisms: tuple[str, ...] = ()
    private_user = False

    def __init__(self, kernel: Kernel, usual: Limits, rebuilt: Path) -> None:
        """Use `kernel`, in which a process for the limits `usual` waits; `rebuilt`: folder for what is left."""
        self._kernel, self._usual, self._rebuilt = kernel, usual, rebuilt
        root = str(kernel.facts.get("root"))
        self.code_path: Path | None = Path(root) / "code.py"
        self.library = f"{root}/lib"
        self.process: KernelProcess | None = None

    def start_quickly(self, job: Job) -> KernelProcess:
        """Begin `job`."""
        spec = None if same_process(job.limits, self._usual) else specification(job.limits)
        self.process = KernelProcess(self._kernel, job, spec, self._rebuilt)
        return self.process

    def start(self, job: Job) -> KernelProcess:
        """Never come to: a kernel is for one program.

        Raises:
            LaunchError: always.
        """
        raise LaunchError("the kernel was lost before the program began")


def same_process(wanted: Limits, usual: Limits) -> bool:
    """Return whether a process that was started for `usual` will do."""
    return specification(wanted) == specification(usual)


def specification(limits: Limits) -> dict[str, Any]:
    """Return what the monitor in the kernel is told; `{root}` stands for the kernel's own folder."""
    environment = code_environment(Path("python"), library=_LIBRARY, home=f"{_ROOT}/home")
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
