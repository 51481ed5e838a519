"""Restricted isolation, where namespaces are forbidden: what a `Job` becomes for its monitor.

Landlock and seccomp take from an ordinary process what a jail would not have. Paths and process ids are the host's own.
"""

from __future__ import annotations

import copy
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from osprey_executor.execution.local._cgroups import ControlGroups
from osprey_executor.execution.local._enforcement import RESTRICTED
from osprey_executor.execution.local._environment import code_environment
from osprey_executor.execution.local._interpreter import Interpreter
from osprey_executor.execution.local._limits import resource_limits
from osprey_executor.execution.local._paths import SYSTEM, Mounts
from osprey_executor.execution.local._restricted_process import RestrictedProcess
from osprey_executor.execution.local._sandbox import Job, LaunchError
from osprey_executor.execution.local.jail import landlock

if TYPE_CHECKING:
    from osprey_executor.execution.local.jail.restricted_spec import RestrictedSpec

_CODE_AS_ROOT = 65534
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_TICK = 0.05
_HOME = "home"


@dataclass(frozen=True)
class RestrictedWalls:
    """Which walls stand. All of them, but in tests that show that a missing wall is noticed."""

    landlock: bool = True
    seccomp: bool = True
    rlimits: bool = True
    watch: bool = True
    groups: bool = True
    extra_rules: tuple[tuple[str, int], ...] = ()
    extra_environment: Mapping[str, str] = field(default_factory=dict[str, str])


class RestrictedSandbox:
    """Starts each job as a process that Landlock and seccomp confine."""

    level = "restricted"
    enforced = RESTRICTED
    code_path: Path | None = None

    def __init__(
        self,
        interpreter: Interpreter,
        library: Path,
        root: Path,
        filters: list[bytes],
        walls: RestrictedWalls | None = None,
        data: Sequence[Path] = (),
    ) -> None:
        """Prepare what all jobs share.

        Args:
            interpreter: the Python that runs the code.
            library: folder of the guest library.
            root: temporary folder of the engine, below which jobs are staged.
            filters: seccomp programs, in the order of loading.
            walls: None: all.
            data: folders of the host that the code may read.
        """
        self._interpreter, self._root = interpreter, root
        self.library = str(library)
        self._walls = walls or RestrictedWalls()
        self._filters = filters if self._walls.seccomp else []
        mounts = Mounts()
        mounts.show((*SYSTEM, *interpreter.folders()))
        mounts.show_data(data)
        self.visible_paths = [source for source, _ in mounts.ordered()[0]]
        """What of the host the code can read and execute."""
        self.private_user = os.geteuid() == 0 and all(map(_open_to_all, (*self.visible_paths, root.parent)))
        """Whether the code runs as a user of its own: only as root, and only where that user can reach its Python."""
        if self.private_user:
            _let_enter(root)
        self.groups: ControlGroups | None = None
        """Control groups of the engine, once it has any."""
        self.fonts: Path | None = None
        """Prebuilt matplotlib font list, copied into each job's home."""

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What contains the code, in words."""
        user = f"user {_CODE_AS_ROOT}" if self.private_user else "the service's own user"
        return (
            "Landlock: nothing of the host but system folders and Python, no TCP, no signals to others",
            "seccomp allow-list without sockets",
            f"{user}, no capabilities, no_new_privs",
            "rlimits",
            "memory, process and folder watch by the monitor",
        )

    def by_groups_alone(self) -> RestrictedSandbox:
        """Return the same without watchdog and rlimits, to show that control groups hold without them."""
        bare = copy.copy(self)
        bare._walls = replace(self._walls, watch=False, rlimits=False)
        return bare

    def start_quickly(self, job: Job) -> None:
        """There is no quicker way."""

    def start(self, job: Job) -> RestrictedProcess:
        """Start `job`.

        Raises:
            LaunchError: a process could not be started.
        """
        root = job.files.root
        try:
            for name in ("out", "tmp", f"tmp/{_HOME}", f"tmp/{_HOME}/.matplotlib"):
                (root / name).mkdir()
                if self.private_user:
                    os.chown(root / name, _CODE_AS_ROOT, _CODE_AS_ROOT)
            if self.private_user:
                for folder in (root, *root.parents[: len(root.relative_to(self._root).parts) - 1]):
                    _let_enter(folder)
            (root / "out" / "inputs").symlink_to("../inputs")
            copies = list(self._copies(job))
            spec = self._specification(job, copies)
            group = self.groups.take(job.limits) if self.groups is not None else None
            return RestrictedProcess(spec, linked=job.script is None, group=group)
        except OSError as error:
            raise LaunchError(f"the sandbox cannot be prepared in {root}: {error}") from error

    def _copies(self, job: Job) -> Iterator[tuple[str, str]]:
        root = job.files.root
        for name, source in job.files.inputs.items():
            if source.parent == root / "inputs":
                continue
            if self.private_user and not _open_to_all(source):
                yield str(source), str(root / "inputs" / name)
            else:
                (root / "inputs" / name).symlink_to(source)
        if self.fonts is not None and self.fonts.is_file():
            yield str(self.fonts), str(root / "tmp" / _HOME / ".matplotlib" / self.fonts.name)

    def _specification(self, job: Job, copies: list[tuple[str, str]]) -> RestrictedSpec:
        root, limits, walls = job.files.root, job.limits, self._walls
        executable = str(self._interpreter.executable)
        tmp = root / "tmp"
        environment = code_environment(self._interpreter.executable, library=self.library, home=str(tmp / _HOME))
        environment |= {"TMPDIR": str(tmp), **walls.extra_environment}
        if job.script is None:
            environment["OSPREY_RUNTIME_FD"] = "3"
        given = (self.library, job.files.code, root / "inputs", *job.files.inputs.values())
        return {
            "parent": -1,
            "control": -1,
            "runtime": -1,
            "stdout": -1,
            "stderr": -1,
            "groups": [],
            "code_id": _CODE_AS_ROOT if self.private_user else -1,
            "rules": [
                *((path, landlock.READ_AND_EXECUTE) for path in self.visible_paths),
                *((str(path), landlock.READ) for path in given),
                *((path, landlock.READ_AND_WRITE) for path in _DEVICES if Path(path).exists()),
                *((str(path), landlock.CHANGE) for path in (root / "out", tmp)),
                *walls.extra_rules,
            ],
            "landlock": walls.landlock,
            "folder": str(root / "out"),
            "folder_size": limits.folder,
            "folder_files": limits.files + 1,  # with the link to the inputs
            "tmp": str(tmp),
            "tmp_size": limits.tmp,
            "copies": copies,
            "executable": executable,
            "argv": [executable, *job.arguments(self.library)],
            "environment": environment,
            "rlimits": resource_limits(limits, own_processes=False) if walls.rlimits else [],
            "filters": self._filters,
            "watch": walls.watch,
            "memory": limits.memory,
            "tasks": limits.processes,
            "tick": _TICK,
        }


def _let_enter(folder: Path) -> None:
    """Let the code's user pass through a folder of root, without seeing what else is there."""
    os.chown(folder, -1, _CODE_AS_ROOT)
    folder.chmod(0o710)


def _open_to_all(path: str | Path) -> bool:
    """Return whether everybody can come to `path`, a real path, and read it."""
    path = Path(path)
    mode = path.stat().st_mode
    wanted = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
    return mode & wanted == wanted and all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
