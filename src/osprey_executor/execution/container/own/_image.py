"""An image made from the Python of this machine, with no registry: the interpreter, its libraries, chosen packages.

What is copied keeps its place, but for the packages, which become a virtual environment of the image.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from osprey_executor.errors import ConfigurationError
from osprey_executor.execution.container.own._tree import Tree
from osprey_executor.execution.local._interpreter import find_interpreter

_ENVIRONMENT = "/kernels"
NEEDED = ("jupyter-server", "ipykernel")
USUAL = ("numpy", "pandas", "scipy", "matplotlib")
PATH = f"{_ENVIRONMENT}/bin:/usr/local/bin:/usr/bin:/bin"
_LEFT_OUT = re.compile(r"/(tests?|idlelib|tkinter|turtledemo|ensurepip|lib2to3|site-packages|dist-packages)/")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LIBRARY = re.compile(r"(/\S+) \(0x")
_FACTS = """
import sys, sysconfig
print(sys.executable, sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sep="\\n")
"""
_DATA = ("/etc/ld.so.cache", "/usr/lib/locale/C.utf8", "/usr/share/zoneinfo")
_PEOPLE = "root:x:0:0::/:/sbin/nologin\nnobody:x:65534:65534::/tmp:/sbin/nologin\n"
_GROUPS = "root:x:0:\nnogroup:x:65534:\n"


class Recipe:
    """What goes into an image."""

    def __init__(self, environment: Path | None, packages: Iterable[str]) -> None:
        """Collect it.

        Args:
            environment: a Python or a virtual environment; None: that of this process.
            packages: distributions that are taken beside those that every image has, with all that they need.

        Raises:
            ConfigurationError: something is not there, or cannot be copied.
        """
        executable = find_interpreter(environment).executable
        told = subprocess.run([executable, "-I", "-c", _FACTS], capture_output=True, text=True, check=False)
        if told.returncode:
            raise ConfigurationError(f"{executable} does not run: {told.stderr[-300:]}")
        running, library, self._site = told.stdout.splitlines()
        self._executable = Path(running).resolve()
        self._library = Path(library)
        self.packages = _closed(self._site, packages)

    def write(self, stream: IO[bytes]) -> None:
        """Write the image's file system as a tar archive."""
        library = str(self._library)
        modules = [path for path in sorted(self._library.rglob("*")) if path.is_file() and _wanted(str(path), library)]
        packages = [path for one in self.packages.values() for path in _files(one) if _wanted(str(path), self._site)]
        shell = Path("/bin/sh")  # for `subprocess` and `os.system`
        libraries = _libraries([self._executable, shell.resolve(), *modules, *packages])
        with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            tree = Tree(archive)
            tree.folder("/tmp", 0o1777)  # noqa: S108 - of the image
            for place in ("/bin", "/sbin", "/lib", "/lib64"):
                if os.path.islink(place):  # noqa: PTH114
                    target = os.readlink(place)  # noqa: PTH115
                    tree.folder(os.path.join("/", target))  # noqa: PTH118
                    tree.link(place, target)
            for path in (self._executable, shell, *libraries, *modules):
                tree.same_place(path)
            version = self._library.name
            for path in packages:
                inside = os.path.relpath(path, self._site)
                tree.file(path, f"{_ENVIRONMENT}/lib/{version}/site-packages/{inside}")
            for name in ("python", "python3"):
                tree.link(f"{_ENVIRONMENT}/bin/{name}", str(self._executable))
            tree.text(f"{_ENVIRONMENT}/pyvenv.cfg", f"home = {self._executable.parent}\n")
            tree.text("/etc/passwd", _PEOPLE)
            tree.text("/etc/group", _GROUPS)
            for path in (Path(name) for name in _DATA):
                for file in (path, *sorted(path.rglob("*"))):
                    if file.is_file():
                        tree.same_place(file)
            for place in ("/dev", "/proc", "/sys", "/run", "/var/tmp"):  # noqa: S108
                tree.folder(place)


def _closed(site: str, chosen: Iterable[str]) -> dict[str, importlib.metadata.Distribution]:
    """Return by name the distributions that must be there, the usual and the chosen ones, and what they need."""
    there = {_plain(str(one.metadata["Name"])): one for one in importlib.metadata.distributions(path=[site])}
    chosen = [_plain(name) for name in chosen]
    if lacking := [name for name in (*NEEDED, *chosen) if name not in there]:
        raise ConfigurationError(
            f"{site} lacks {', '.join(lacking)}: install it there with pip, or name with --python an environment that "
            f"has it: python3 -m venv kernels; kernels/bin/pip install {' '.join((*NEEDED, *USUAL))}"
        )
    taken: dict[str, importlib.metadata.Distribution] = {}
    waiting = [*NEEDED, *USUAL, *chosen]
    while waiting:
        name = waiting.pop()
        if name in there and name not in taken:
            taken[name] = there[name]
            # What a marker would leave out is not installed, or does no harm.
            needs = (need for need in there[name].requires or () if "extra ==" not in need)
            waiting += [_plain(found[0]) for need in needs if (found := _NAME.match(need))]
    return dict(sorted(taken.items()))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _files(one: importlib.metadata.Distribution) -> Iterator[Path]:
    if one.files is None:
        raise ConfigurationError(
            f"nothing tells which files belong to {one.metadata['Name']}: name with --python a virtual environment "
            "whose packages pip has installed"
        )
    for name in one.files:
        path = Path(str(one.locate_file(name)))
        if ".." not in name.parts and path.is_file():
            yield path


def _wanted(path: str, above: str) -> bool:
    return not path.endswith((".a", ".pth")) and not _LEFT_OUT.search(path.removeprefix(above))


def _libraries(files: Iterable[Path]) -> list[Path]:
    """Return the shared libraries of the system that the files need, as the dynamic loader finds them."""
    binary = [path for path in files if ".so" in path.name or os.access(path, os.X_OK)]
    known = {str(path) for path in binary}
    # One that is not of this machine's kind is told as such, and the others go on.
    told = subprocess.run(["ldd", *map(str, binary)], capture_output=True, text=True, check=False).stdout
    found = {os.path.normpath(path) for path in _LIBRARY.findall(told)}
    return sorted(Path(path) for path in found if path not in known)
