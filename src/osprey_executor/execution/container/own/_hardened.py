"""How a container of ours is run: with nothing that programs do not need."""

from __future__ import annotations

import importlib
import importlib.resources
import resource
from pathlib import Path
from typing import Any

from osprey_executor.execution.container.own._record import ContainerLimits

FOLDER = "/run/osprey-executor"
"""Where the folder of the socket is inside."""
NOBODY = 65534
_ULIMITS = (
    ("nofile", resource.RLIMIT_NOFILE, 4096),
    ("nproc", resource.RLIMIT_NPROC, 16384),
    ("core", resource.RLIMIT_CORE, 0),
)
_SMALL_PLACES = "rw,nosuid,nodev,noexec,size=1m,mode=755"
_LABEL = "osprey-executor"


def hardened(limits: ContainerLimits, script: str, argument: str, folder: Path | None = None) -> dict[str, Any]:
    """Return what `containers.run` of the docker SDK is given.

    Args:
        limits: of the container as a whole.
        script: name of a module of `inside`, whose source is run.
        argument: of the script.
        folder: of the host, seen at `FOLDER` inside; None: nothing of the host is seen.
    """
    limit: Any = importlib.import_module("docker.types").Ulimit
    source = importlib.resources.files("osprey_executor.execution.container").joinpath("inside", f"{script}.py")
    return {
        "entrypoint": ["python3", "-I", "-c"],
        "command": [source.read_text(encoding="utf-8"), argument],
        "user": f"{NOBODY}:{NOBODY}",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "network_mode": "none",
        "ipc_mode": "private",
        "mem_limit": limits.memory,
        "memswap_limit": limits.memory,
        "pids_limit": limits.processes,
        # podman would add these with no limit of their own.
        "tmpfs": {
            "/tmp": f"rw,nosuid,nodev,noexec,size={limits.tmp},mode=1777",  # noqa: S108
            "/run": _SMALL_PLACES,
            "/var/tmp": _SMALL_PLACES,  # noqa: S108
        },
        "shm_size": "1m",
        # What a service may not raise for itself it cannot raise for a container, so the defaults may be too high.
        "ulimits": [
            limit(name=name, soft=most, hard=most)
            for name, which, wanted in _ULIMITS
            for most in (_at_most(which, wanted),)
        ],
        "working_dir": "/tmp",  # noqa: S108
        "labels": {_LABEL: script},
        # Z: where SELinux guards files, this one is for that container.
        "volumes": {str(folder): {"bind": FOLDER, "mode": "rw,Z"}} if folder is not None else {},
    }


def _at_most(which: int, wanted: int) -> int:
    most = resource.getrlimit(which)[1]
    return wanted if most == resource.RLIM_INFINITY else min(most, wanted)
