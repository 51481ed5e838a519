"""Files of the service that the sandbox shows to the code: the guest library, the program, its inputs."""

from __future__ import annotations

import compileall
import importlib.resources
import os
import py_compile
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from osprey_executor.errors import InvalidRequestError, StorageError
from osprey_executor.models import Program

_READ_ALL, _ENTER_ALL = 0o444, 0o755


@dataclass(frozen=True)
class Staged:
    """Where the files of one run lie on the host. All may be read by any user who is led to them."""

    root: Path
    code: Path
    inputs: Mapping[str, Path]


def stage_guest(root: Path) -> Path:
    """Copy the guest library to `root` and return the folder that goes on `sys.path`.

    A copy, because the package may lie in a zip file, or where the code's user may not read; and compiled, because
    the code may not write there.
    """
    library = root / "lib"
    package = library / "osprey_executor"
    _copy(importlib.resources.files("osprey_executor").joinpath("guest"), package)
    compileall.compile_dir(
        package, quiet=2, stripdir=str(library), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    _open_to_all(library)
    return library


def stage_room(root: Path) -> Path:
    """Copy the package `jail` below `root`, for a Python that may lack this package; return the folder of the copy."""
    room = root / "room"
    _copy(importlib.resources.files(__package__ or "").joinpath("jail"), room / "jail")
    _open_to_all(room)
    return room


def stage_program(root: Path, program: Program, *, private_user: bool) -> Staged:
    """Write the program and its inputs below `root`, which must be new.

    Args:
        root: a folder to be made.
        program: its code is written byte for byte.
        private_user: the code runs as a user who can read no more than everybody can.

    Raises:
        InvalidRequestError: an input is not a readable file.
        StorageError: the disk is full or the folder cannot be written.
    """
    try:
        root.mkdir(mode=0o700)
        code = root / "code.py"
        code.write_bytes(source_of(program))
        code.chmod(_READ_ALL)
        folder = root / "inputs"
        folder.mkdir(mode=_ENTER_ALL)
    except OSError as error:
        raise StorageError(f"cannot prepare the run in {root}: {error.strerror}: free space or set TMPDIR") from error
    inputs = {name: _input(folder, name, value, private_user) for name, value in program.inputs.items()}
    return Staged(root, code, inputs)


def source_of(program: Program) -> bytes:
    """Return the bytes of the code."""
    if isinstance(program.code, bytes):
        return program.code
    # A lone surrogate is no valid source; Python itself then says so, to the code's author.
    return program.code.encode("utf-8", "surrogatepass")


def make_folder(folder: Path) -> None:
    """Make the folder for what a run leaves, and those above it.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"the folder {folder} for what the run leaves cannot be made: {error.strerror}") from error


def _input(folder: Path, name: str, value: Path | bytes, private_user: bool) -> Path:
    if "/" in name or "\0" in name or name in ("", ".", ".."):
        raise InvalidRequestError(f"input {name!r} is not a file name")
    copy = folder / name
    try:
        if isinstance(value, bytes):
            copy.write_bytes(value)
        else:
            value = value.resolve(strict=True)
            mode = value.stat().st_mode
            if not stat.S_ISREG(mode):
                raise InvalidRequestError(f"input {name}: {value} is not a regular file")
            with value.open("rb"):  # readable by the service, else told here and now
                pass
            if mode & stat.S_IROTH or not private_user:
                return value
            shutil.copyfile(value, copy)
        copy.chmod(_READ_ALL)
    except OSError as error:
        raise InvalidRequestError(f"input {name}: {error.strerror}: {error.filename or value}") from error
    return copy


def _copy(source: Traversable, target: Path) -> None:
    target.mkdir(parents=True)
    for item in source.iterdir():
        if item.is_dir():
            if item.name != "__pycache__":
                _copy(item, target / item.name)
        elif item.name.endswith(".py"):
            (target / item.name).write_bytes(item.read_bytes())


def _open_to_all(root: Path) -> None:
    root.chmod(_ENTER_ALL)
    for folder, folders, files in os.walk(root):
        for name in folders:
            (Path(folder) / name).chmod(_ENTER_ALL)
        for name in files:
            (Path(folder) / name).chmod(_READ_ALL)
