"""What the core brings into a bare environment: how many packages, how many bytes, and does it start."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from _report import Line

ROOT = Path(__file__).parent.parent


def install() -> list[Line]:
    """Install the core, without any extra, at the pinned versions into an environment that is thrown away.

    Raises:
        subprocess.CalledProcessError: the install failed, or the core does not start without the extras.
    """
    with tempfile.TemporaryDirectory(prefix="bench-install-") as temporary:
        folder = Path(temporary)
        pins = (ROOT / "requirements" / "dev.txt").read_text()
        # The wheel of this project has no hash, and pip takes hashes for all or for none: the versions must do.
        versions = re.findall(r"^[A-Za-z0-9._-]+==[^\s;]+(?: *;[^\\\n]+)?", pins, re.MULTILINE)
        constraints = folder / "constraints.txt"
        constraints.write_text("\n".join(versions) + "\n")
        _run(sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation", "-w", folder, ROOT)
        (wheel,) = folder.glob("osprey_executor-*.whl")
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        packages = next((folder / "venv" / "lib").glob("python3.*")) / "site-packages"
        empty, bare = size(packages), names(packages)
        _run(python, "-m", "pip", "install", "-qq", "--no-compile", "-c", constraints, wheel)
        _run(python, "-c", "from osprey_executor import PythonExecutorService, PythonExecutionRequest")
        _run(folder / "venv" / "bin" / "osprey-executor", "--help")
        return [
            Line("install", "packages of the core", len(names(packages) - bare), "packages", goal=80),
            Line("install", "size of the core", (size(packages) - empty) / 1e6, "MB", goal=300),
        ]


def _run(*arguments: str | Path) -> None:
    subprocess.run([str(part) for part in arguments], check=True, stdout=subprocess.DEVNULL)


def names(packages: Path) -> set[str]:
    """Return the distributions in a folder of packages, each with its version."""
    return {folder.name for folder in packages.glob("*.dist-info")}


def size(packages: Path) -> int:
    """Return the bytes of a folder of packages without what Python compiled."""
    return sum(file.stat().st_size for file in packages.rglob("*") if file.is_file() and file.suffix != ".pyc")
