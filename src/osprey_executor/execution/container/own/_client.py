"""Docker or podman, through the docker SDK on the socket of either."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from osprey_executor.errors import EngineUnavailableError, MissingExtraError
from osprey_executor.text import one_line

EngineName = Literal["docker", "podman"]
_PATIENCE = 600
_UP = 30.0
_V1 = Path("/sys/fs/cgroup/memory")


@dataclass(frozen=True)
class Reached:
    """Docker or podman."""

    name: EngineName
    client: Any
    """Of the docker SDK."""
    errors: Any
    """What the SDK raises."""


@contextmanager
def container_engine(wanted: EngineName | None = None) -> Generator[Reached]:
    """Yield docker or podman.

    Args:
        wanted: None: the first one that answers.

    Raises:
        EngineUnavailableError: none does, or what it was asked it did not do.
        MissingExtraError: the docker SDK is not installed.
    """
    try:
        docker: Any = importlib.import_module("docker")
    except ImportError as error:
        raise MissingExtraError("osprey-executor container", "container") from error
    with contextlib.ExitStack() as life:
        found = _found(docker, wanted, life)
        if found is None:
            names = wanted or "docker or podman"
            raise EngineUnavailableError(
                f"{names} cannot be reached: install one of them (Debian, Ubuntu: apt-get install podman; Fedora: dnf "
                "install podman), or start the docker service and see that this user may use it"
            )
        try:
            yield Reached(found[0], found[1], docker.errors)
        except docker.errors.DockerException as error:
            why = one_line(str(getattr(error, "explanation", None) or error), 600)
            raise EngineUnavailableError(f"{found[0]} could not do it: {why}") from error


def _found(docker: Any, wanted: EngineName | None, life: contextlib.ExitStack) -> tuple[EngineName, Any] | None:
    for url in _sockets():
        client = life.enter_context(contextlib.closing(docker.DockerClient(base_url=url, timeout=_PATIENCE)))
        name = _name(docker, client)
        if name is not None and wanted in (None, name):
            return name, client
    if wanted != "docker" and (podman := shutil.which("podman")) is not None:
        url = life.enter_context(_podman_service(podman))
        client = life.enter_context(contextlib.closing(docker.DockerClient(base_url=url, timeout=_PATIENCE)))
        until = time.monotonic() + _UP
        while _name(docker, client) is None and time.monotonic() < until:
            time.sleep(0.05)
        return "podman", client
    return None


def _sockets() -> list[str]:
    """Return where docker and podman may listen. Only on this machine: a socket is shared with the container."""
    named = os.environ.get("DOCKER_HOST", "")
    own = os.environ.get("XDG_RUNTIME_DIR")
    places = [f"{own}/docker.sock", f"{own}/podman/podman.sock"] if own else []
    places = ["/var/run/docker.sock", *places, "/run/podman/podman.sock"]
    found = [f"unix://{place}" for place in places if os.access(place, os.W_OK)]
    return [named, *found] if named.startswith("unix://") else found


def _name(docker: Any, client: Any) -> EngineName | None:
    try:
        parts = client.version().get("Components") or ()
    except (docker.errors.DockerException, OSError):
        return None
    return "podman" if any("podman" in str(part.get("Name")).lower() for part in parts) else "docker"


@contextmanager
def _podman_service(podman: str) -> Generator[str]:
    """Have podman listen for as long as this takes; what it has started goes on without it."""
    with tempfile.TemporaryDirectory(prefix="osprey-podman-") as folder:
        url = f"unix://{folder}/s"
        # crun, its first choice, cannot limit anything in the first version of control groups.
        runtime = ["--runtime", "runc"] if _V1.is_dir() and shutil.which("runc") else []
        with (Path(folder) / "log").open("wb") as log:
            service = subprocess.Popen(
                [podman, *runtime, "system", "service", "--time", "0", url],
                cwd=folder,  # where its monitors of containers leave a file when memory runs out
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            until = time.monotonic() + _UP
            while not (Path(folder) / "s").exists():
                if service.poll() is not None or time.monotonic() > until:
                    said = (Path(folder) / "log").read_text(errors="replace")
                    raise EngineUnavailableError(f"`podman system service` does not start: {one_line(said, 500)}")
                time.sleep(0.02)
            yield url
        finally:
            service.terminate()
            service.wait()
