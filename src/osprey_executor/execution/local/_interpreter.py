"""Which Python runs the code, and which folders of the host it needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from osprey_executor.errors import ConfigurationError

_PARTS = ("bin", "lib", "lib32", "lib64", "libexec", "share", "ssl", "pyvenv.cfg", "conda-meta")
"""What an environment needs of its prefix. The prefix itself may be a project's folder, with secrets beside `bin`."""
_NAMES = ("python", "python3")
_CONDA_PARTS = ("etc",)
_STORES = ("/nix/store", "/gnu/store")
"""Package managers whose programs need siblings of their own prefix."""


@dataclass(frozen=True)
class Interpreter:
    """A Python on the host."""

    executable: Path
    prefixes: tuple[Path, ...]
    """Own prefix first, then that of the Python on which a venv stands."""

    def identity(self) -> dict[str, str]:
        """Return what is the same for every spelling of this Python: `python`, `python3`, by way of a link."""
        return {"prefix": str(self.prefixes[0].resolve()), "binary": str(self.executable.resolve())}

    def folders(self) -> Iterator[Path]:
        """Yield the files and folders of the host that this Python needs, the executable included."""
        yield self.executable
        for prefix in self.prefixes:
            names = _PARTS + _CONDA_PARTS if (prefix / "conda-meta").is_dir() else _PARTS
            yield from (prefix / name for name in names if os.path.lexists(prefix / name))
        real = str(self.executable.resolve())
        yield from (Path(store) for store in _STORES if real.startswith(store + "/"))


def find_interpreter(path: Path | None) -> Interpreter:
    """Return the Python at `path`: a venv, a conda prefix, any prefix with `bin/python`, or the binary itself.

    None is the Python of this process.

    Raises:
        ConfigurationError: there is no Python at `path`.
    """
    if path is None:
        if not sys.executable:
            raise ConfigurationError("this process does not know its own Python: set execution.python_env_path")
        prefixes = dict.fromkeys(Path(text) for text in (sys.prefix, sys.exec_prefix, sys.base_prefix))
        return Interpreter(_own_executable(), tuple(prefixes))
    path = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - the links of a venv must stay
    executable = _executable(path)
    prefix = executable.parent.parent
    prefixes = dict.fromkeys((prefix, *_bases(prefix, executable)))
    return Interpreter(executable, tuple(prefixes))


def _own_executable() -> Path:
    """Return one spelling of this process's Python, whichever of its names this process was started by."""
    running, prefix = Path(sys.executable), Path(sys.prefix)
    for name in (*_NAMES, f"python{sys.version_info[0]}.{sys.version_info[1]}"):
        found = prefix / "bin" / name
        # In a venv all names are the same Python, even where they are copies of the binary.
        if found.is_file() and ((prefix / "pyvenv.cfg").is_file() or found.resolve() == running.resolve()):
            return found
    return running


def _executable(path: Path) -> Path:
    if path.is_file():
        if os.access(path, os.X_OK):
            return path
        raise ConfigurationError(f"execution.python_env_path: {path} cannot be executed")
    for name in _NAMES:
        found = path / "bin" / name
        if found.is_file():
            return found
    what = "holds no bin/python" if path.is_dir() else "does not exist"
    raise ConfigurationError(
        f"execution.python_env_path: {path} {what}: give a venv, a conda prefix or a Python binary"
    )


def _bases(prefix: Path, executable: Path) -> Iterator[Path]:
    yield executable.resolve().parent.parent
    try:
        lines = (prefix / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() == "home" and value.strip():
            yield Path(value.strip()).parent
