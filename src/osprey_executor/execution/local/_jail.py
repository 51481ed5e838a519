"""The jail: what a `Job` becomes as a specification for the launcher."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from osprey_executor.execution.local import _environment as place
from osprey_executor.execution.local._cgroups import ControlGroups
from osprey_executor.execution.local._enforcement import JAIL
from osprey_executor.execution.local._interpreter import Interpreter
from osprey_executor.execution.local._jail_process import JailProcess
from osprey_executor.execution.local._limits import cpu_limit, resource_limits
from osprey_executor.execution.local._network import Network
from osprey_executor.execution.local._paths import SYSTEM, Mounts
from osprey_executor.execution.local._pool import Pool
from osprey_executor.execution.local._relay import Relay
from osprey_executor.execution.local._sandbox import Job
from osprey_executor.execution.local._seccomp import Filters
from osprey_executor.execution.local._server import ForkServer
from osprey_executor.execution.local._server_spec import server_spec
from osprey_executor.execution.local._spare import Spare
from osprey_executor.execution.local.jail import kernel
from osprey_executor.models import Gateways, Limits

if TYPE_CHECKING:
    from osprey_executor.execution.local.jail.spec import JailSpec

_CODE_AS_USER = 1000
_CODE_AS_ROOT = 65534
_MONITOR_AS_ROOT = 65533
_NAMESPACES = {
    "net": kernel.CLONE_NEWNET,
    "ipc": kernel.CLONE_NEWIPC,
    "uts": kernel.CLONE_NEWUTS,
    "cgroup": kernel.CLONE_NEWCGROUP,
}
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_TICK = 0.05


@dataclass(frozen=True)
class Walls:
    """Which walls stand. All of them, but in tests that show that a missing wall is noticed."""

    seccomp: bool = True
    network: bool = True
    no_exec: bool = True
    rlimits: bool = True
    watch: bool = True
    groups: bool = True
    extra_binds: tuple[tuple[Path, str], ...] = ()
    extra_environment: Mapping[str, str] = field(default_factory=dict[str, str])


class JailSandbox:
    """Starts each job in a jail of its own."""

    level = "full"
    code_path: Path | None = Path(place.CODE)
    library = place.LIBRARY
    enforced = JAIL
    mechanisms = (
        "user, process, network, mount, IPC and UTS namespaces",
        "new root on tmpfs, host folders read-only",
        "seccomp allow-list",
        "no capabilities, no_new_privs",
        "rlimits",
        "memory and process watch by the monitor (pid 1)",
        "size-limited working folder and /tmp, both noexec",
    )

    def __init__(
        self,
        interpreter: Interpreter,
        library: Path,
        room: Path,
        filters: Filters,
        walls: Walls | None = None,
        data: Sequence[Path] = (),
        network: Network | None = None,
        gateways: Gateways | None = None,
    ) -> None:
        """Prepare what all jails of this interpreter share.

        Args:
            interpreter: the Python that runs the code.
            library: host folder that appears as the guest library.
            room: host folder with a copy of the package `jail`, for the process that forks.
            filters: seccomp programs.
            walls: None: all.
            data: folders of the host that the code may read.
            network: what the code may reach; None: nothing.
            gateways: what it finds on its own loopback; None: nothing.

        Raises:
            ConfigurationError: such a folder cannot be shown, or an endpoint stands where a gateway does.
        """
        self._interpreter = interpreter
        self._library = library
        self._walls = walls or Walls()
        self._room = room
        self._filters = filters if self._walls.seccomp else None
        self._mounts = Mounts()
        self._mounts.show((*SYSTEM, *interpreter.folders()))
        self._mounts.show_data(data)
        self.groups: ControlGroups | None = None
        """Control groups of the engine, once it has any."""
        self._network = network or Network()
        self._gateways = gateways
        if gateways is not None:
            self._network.keep_clear_of(gateways)
        self.pool: Pool | None = None
        """Jails of a fork server, once there is one."""
        self.fonts: Path | None = None
        """Prebuilt matplotlib font list on the host, copied into each jail."""

    @property
    def private_user(self) -> bool:
        """Whether the code runs as a user who can read no more than everybody can."""
        return os.geteuid() == 0

    @property
    def visible_paths(self) -> list[str]:
        """What of the host the code can read."""
        binds, _ = self._mounts.ordered()
        return [source for source, _ in binds]

    @property
    def top(self) -> list[str]:
        """What stands in the root folder of the jail."""
        binds, links = self._mounts.ordered()
        paths = [path for _, path in binds] + [path for path, _ in links]
        return sorted({"dev", "etc", "proc", "sandbox", "tmp", *(path.split("/")[1] for path in paths)})

    def by_groups_alone(self) -> JailSandbox:
        """Return the same without watchdog and rlimits, to show that control groups hold without them."""
        bare = copy.copy(self)
        bare._walls = replace(self._walls, watch=False, rlimits=False)
        return bare

    def start_quickly(self, job: Job) -> Spare | None:
        """Start `job` in a jail of the fork server, if there is one."""
        spare = self.pool.take(job) if self.pool is not None else None
        if spare is not None and self._network.endpoints:
            spare.open_network(Relay(self._network.endpoints))
        if spare is not None and job.gateways is not None:
            spare.open_gateways(job.gateways)
        return spare

    def start(self, job: Job) -> JailProcess:
        """Start `job` in a jail of its own.

        Raises:
            LaunchError: a process could not be started.
        """
        group = self.groups.take(job.limits) if self.groups is not None else None
        process = JailProcess(self._specification(job), linked=job.script is None, group=group)
        if self._network.endpoints:
            process.open_network(Relay(self._network.endpoints))
        if job.gateways is not None:
            process.open_gateways(job.gateways)
        return process

    def start_own(self, arguments: Sequence[str], limits: Limits) -> JailProcess:
        """Start this interpreter with a program of our own, whose descriptor 3 is the runtime socket.

        Raises:
            LaunchError: a process could not be started.
        """
        spec = self._base(limits)
        spec["argv"] = [spec["executable"], *arguments]
        spec["environment"] = {**spec["environment"], **place.thread_limits("1")}
        return JailProcess(spec, linked=True)

    def start_server(self, limits: Limits, preload: Sequence[str], on_end: Callable[[], None]) -> ForkServer:
        """Start a fork server whose jails all have `limits`.

        Args:
            limits: of each run.
            preload: modules that are imported in advance, where the environment has them.
            on_end: called when the server has ended.

        Raises:
            LaunchError: no process is to be had.
        """
        spec = server_spec(self._base(limits), preload, self._filters, self._room)
        groups = self.groups
        if groups is None:
            return ForkServer(spec, on_end)
        return ForkServer(spec, on_end, lambda: groups.take(limits))

    def _specification(self, job: Job) -> JailSpec:
        spec = self._base(job.limits)
        spec["binds"].append((str(job.files.code), place.CODE))
        spec["binds"] += [(str(source), f"{place.INPUTS}/{name}") for name, source in job.files.inputs.items()]
        spec["argv"] = [spec["executable"], *job.arguments(self.library)]
        if job.script is None:
            spec["environment"] = {**spec["environment"], **place.RUNTIME}
        return spec

    def _base(self, limits: Limits) -> JailSpec:
        """Return what all jails with these limits have in common."""
        walls, gateways = self._walls, self._gateways
        as_root = self.private_user
        binds, links = self._mounts.ordered()
        binds.append((str(self._library), place.LIBRARY))
        binds += [(str(source), target) for source, target in walls.extra_binds]
        code_id = _CODE_AS_ROOT if as_root else _CODE_AS_USER
        copies: list[tuple[str, str]] = []
        if self.fonts is not None and self.fonts.is_file():
            binds.append((str(self.fonts), "/sandbox/fonts.json"))
            copies.append(("/sandbox/fonts.json", f"{place.MATPLOTLIB}/{self.fonts.name}"))
        executable = str(self._interpreter.executable)
        return {
            "parent": -1,
            "control": -1,
            "runtime": -1,
            "stdout": -1,
            "stderr": -1,
            "groups": [],
            "identity_map": as_root,
            "code_id": code_id,
            "monitor_id": _MONITOR_AS_ROOT if as_root else _CODE_AS_USER,
            "namespaces": _namespaces(without=() if walls.network else ("net",)),
            "listen": [(address, port, "tcp") for address, port in self._network.places],
            "gateways": [(one.address, one.port, one.protocol) for one in gateways.places] if gateways else [],
            "binds": binds,
            "devices": [name for name in _DEVICES if Path(name).exists()],
            "links": links,
            "folders": [place.INPUTS],
            "files": _system_files(code_id, self._network.hosts),
            "folder": place.FOLDER,
            "folder_size": limits.folder,
            "folder_files": limits.files,
            "tmp_size": limits.tmp,
            "shm_size": max(limits.memory // 2, 1 << 20),
            "no_exec": walls.no_exec,
            "links_in_folder": [("inputs", "../inputs")],
            "copies": copies,
            "homes": [place.HOME, place.MATPLOTLIB],
            "executable": executable,
            "argv": [],
            "environment": {
                **place.code_environment(self._interpreter.executable),
                **(gateways.environment if gateways else {}),
                **walls.extra_environment,
            },
            "rlimits": resource_limits(limits, own_processes=True, own_user=as_root) if walls.rlimits else [],
            "filters": self._filters.code if self._filters is not None else [],
            "memory": limits.memory if walls.watch else 0,
            "tasks": limits.processes if walls.watch else 0,
            "cpu": cpu_limit(limits) if walls.watch else 0,
            "tick": _TICK,
        }


def _namespaces(without: tuple[str, ...]) -> int:
    flags = 0
    for name, flag in _NAMESPACES.items():
        if name not in without and Path(f"/proc/self/ns/{name}").exists():
            flags |= flag
    return flags


def _system_files(code_id: int, hosts: str) -> list[tuple[str, bytes]]:
    texts = {
        "passwd": f"root:x:0:0:root:/:/bin/false\nsandbox:x:{code_id}:{code_id}:sandbox:{place.HOME}:/bin/sh\n",
        "group": f"root:x:0:\nsandbox:x:{code_id}:\n",
        "hosts": f"{hosts}127.0.0.1 localhost sandbox\n::1 localhost\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        "hostname": "sandbox\n",
    }
    return [(f"/etc/{name}", text.encode()) for name, text in texts.items()]
