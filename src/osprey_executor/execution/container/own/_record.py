"""What `container up` wrote down of the container of a state folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from osprey_executor.errors import StorageError
from osprey_executor.models.limits import Count, Size

_FOLDER = "container"
_RECORD = "record.json"
_SOCKET = "jupyter.sock"
_LONGEST = 107
"""Bytes of a path that a unix socket can have."""


class ContainerLimits(BaseModel):
    """What all kernels and programs of one container may use together. Sizes are in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory: Size = 4 * 2**30
    """Temporary files included."""
    processes: Count = 2048
    """Processes and threads; a kernel alone has about 20."""
    tmp: Size = 2**30
    """Temporary files: of programs their working folders, too."""


class Record(BaseModel):
    """A container that was started."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    engine: Literal["docker", "podman"]
    image: str
    """Id of the image."""
    folder: Path
    """Where its socket is."""
    limits: ContainerLimits

    @property
    def socket(self) -> Path:
        """Where its Jupyter server listens."""
        return self.folder / _SOCKET


def read_record(home: Path) -> Record | None:
    """Return what is written down in the state folder `home`; None: no container was started there.

    Raises:
        StorageError: it cannot be read.
    """
    path = home / _FOLDER / _RECORD
    try:
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise StorageError(
            f"{path} cannot be read ({type(error).__name__}): `osprey-executor container down` removes it"
        ) from error


def write_record(home: Path, record: Record) -> None:
    """Write it down.

    Raises:
        StorageError: it cannot be written.
    """
    path = home / _FOLDER / _RECORD
    try:
        waiting = path.with_suffix(".new")
        waiting.write_text(record.model_dump_json(), encoding="utf-8")
        waiting.replace(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error


def make_folder(home: Path, name: str) -> Path:
    """Make and return the folder for the socket of a container, which the container's user may write for now.

    Raises:
        StorageError: it cannot be made.
    """
    folder = home / _FOLDER / name
    if len(bytes(folder / _SOCKET)) > _LONGEST:
        raise StorageError(
            f"the path of the state folder {home} is too long for a socket in it: set OSPREY_EXECUTOR_HOME to a "
            f"shorter one, of at most {_LONGEST - len(bytes(folder / _SOCKET)) + len(bytes(home))} characters"
        )
    try:
        forget(home)
        # Nobody else of this machine comes past the first one.
        folder.parent.mkdir(mode=0o700, parents=True)
        folder.mkdir()
        folder.chmod(0o777)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}") from error
    return folder


def shut_folder(folder: Path) -> None:
    """Let nobody make another file where the socket is."""
    folder.chmod(0o711)


def forget(home: Path) -> None:
    """Remove what is left of a container that is gone."""
    shutil.rmtree(home / _FOLDER, ignore_errors=True)
