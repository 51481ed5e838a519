"""The promises of the project's own files: nothing of one machine, everything pinned, one version, a gentle setup."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import tomllib
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Put together here, so that this file does not find itself.
_MACHINE_PATH = re.compile(f"/(?:{'|'.join(('root', 'work', 'home/[a-z]+', 'opt/[a-z]+', 'Users'))})/")
_REGISTRY = re.compile(rf"(?:{'|'.join(('pypi', 'pythonhosted', 'npmjs', 'debian', 'anaconda'))})\.(?:org|com)")
_INDEX_OPTION = re.compile(rf"--(?:{'|'.join(('extra-index-url', 'index-url', 'find-links', 'trusted-host'))})[ =]\S")
_DOWNLOAD = re.compile(r"https?://\S+\.(?:whl|tar\.gz|zip|deb|sh|exe)\b")


def tracked() -> list[Path]:
    """Every text file that git knows, committed or about to be."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached"], cwd=ROOT, capture_output=True, check=True)
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [file for file in files if file.is_file() and b"\0" not in file.read_bytes()[:8000]]


@pytest.mark.parametrize("pattern", [_MACHINE_PATH, _REGISTRY, _INDEX_OPTION, _DOWNLOAD], ids=lambda p: p.pattern[:24])
def test_files_name_no_machine_registry_or_download(pattern: re.Pattern[str]) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git work tree, so nobody knows which files belong to the project")
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for file in tracked()
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def requirement_names(requirements: list[str]) -> set[str]:
    """Names of distributions, as the pins spell them."""
    names = {re.split(r"[^A-Za-z0-9._-]", item, maxsplit=1)[0] for item in requirements}
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


def test_every_dependency_is_pinned_by_hash() -> None:
    text = (ROOT / "requirements" / "dev.txt").read_text()
    pins = re.findall(r"^([A-Za-z0-9._-]+)==[^\\\n]+\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    lines = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(pins) == len(lines), "a line of the pins has no version or no hash"
    wanted = [*PROJECT["project"]["dependencies"]]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        wanted += extra
    assert requirement_names(wanted) - {"osprey-executor"} - requirement_names(pins) == set()
    assert "osprey-executor @" not in text


def test_the_version_stands_in_one_place() -> None:
    version = PROJECT["project"]["version"]
    assert importlib.metadata.version("osprey-executor") == version, "run `make setup`"
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()
    source = (ROOT / "src" / "osprey_executor").rglob("*.py")
    assert [file for file in source if re.search(r"^__version__ *= *[\"']", file.read_text(), re.MULTILINE)] == []


def test_types_are_shipped() -> None:
    assert resources.files("osprey_executor").joinpath("py.typed").is_file()


def test_decisions_are_numbered_once_and_have_three_parts() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    numbers = [file.name[:4] for file in decisions]
    assert len(set(numbers)) == len(numbers), "two decisions share a number"
    for file in decisions:
        parts = re.findall(r"^## (.+)$", file.read_text(), re.MULTILINE)
        assert [part for part in ("Context", "Decision", "Consequences") if part not in parts] == [], file.name


def test_the_index_lists_every_decision() -> None:
    index = (ROOT / "docs" / "decisions" / "index.md").read_text()
    assert ":glob:" in index
    assert "[0-9]*" in index


@pytest.fixture
def newcomer(tmp_path: Path) -> Path:
    """A copy of what `make setup` reads, and commands that only note how they were called."""
    clone = tmp_path / "clone"
    for name in ("Makefile", "pyproject.toml", "tools/setup.sh", "requirements/dev.txt"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    for name in ("sudo", "apt-get"):
        command(clone, name, f'echo "{name} $*" >> "{clone}/called"; exit 1')
    command(clone, "podman", "exit 0")
    return clone


def command(clone: Path, name: str, body: str) -> None:
    """Put a command in front of the system's own."""
    file = clone / "bin" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def make(clone: Path, target: str) -> subprocess.CompletedProcess[str]:
    """Run `make TARGET` with the commands of this newcomer."""
    path = f"{clone / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", target, "PYTHON=its-python"],
        cwd=clone,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


NO_LIBRARY = 'case "$*" in *find_library*) exit 1 ;; esac'


def test_setup_without_root_prints_the_one_line_and_never_calls_sudo(newcomer: Path) -> None:
    command(newcomer, "its-python", NO_LIBRARY)
    command(newcomer, "id", "echo 1000")
    done = make(newcomer, "setup")
    assert done.returncode == 2
    assert done.stdout.strip() == "apt-get install -y libseccomp2"
    assert "libseccomp" in done.stderr
    assert not (newcomer / "called").exists()
    assert not (newcomer / ".venv").exists()


def test_setup_as_root_installs_what_is_missing(newcomer: Path) -> None:
    command(newcomer, "its-python", NO_LIBRARY)
    command(newcomer, "id", "echo 0")
    done = make(newcomer, "setup")
    assert done.returncode == 2
    assert "install libseccomp by hand" in done.stderr
    assert (newcomer / "called").read_text().splitlines() == ["apt-get install -y libseccomp2", "apt-get update"]


def test_setup_refuses_an_old_python(newcomer: Path) -> None:
    command(newcomer, "its-python", "exit 1")
    done = make(newcomer, "setup")
    assert done.returncode == 2
    assert "its-python is not Python 3.11 or newer" in done.stderr


def test_setup_names_the_package_of_a_missing_venv_module(newcomer: Path) -> None:
    command(newcomer, "its-python", 'case "$*" in *ensurepip*) exit 1 ;; esac')
    done = make(newcomer, "setup")
    assert done.returncode == 2
    assert "python3-venv" in done.stderr


# Stands for the interpreter of a new environment: its pip says what the real one says, and fails where a test asks it.
ITS_PIP = """case "$*" in
*--require-hashes*)
    for number in $(seq 60); do echo "Collecting a-package==$number"; done
    echo "Installing collected packages: a-package"
    test ! -e pip-fails || { echo "no space left on device" >&2; exit 1; } ;;
esac"""


def with_venv(clone: Path) -> None:
    """Give a newcomer an interpreter that makes environments."""
    command(clone, "its-python", "exit 0")
    command(clone, "make-python", ITS_PIP)
    (clone / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(clone / "bin" / "make-python", clone / ".venv" / "bin" / "python")


def test_setup_tells_how_far_it_is_and_what_comes_next(newcomer: Path) -> None:
    with_venv(newcomer)
    done = make(newcomer, "setup")
    assert done.returncode == 0, done.stderr
    pins = len(re.findall("^[A-Za-z0-9].*==", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE))
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"make setup: installing {pins} pinned packages")
    assert lines[1:3] == [f"make setup: {seen} of {pins} found" for seen in (25, 50)]
    assert lines[-1] == f"make setup: done, {pins} packages are in .venv; now: make demo, or . .venv/bin/activate"
    assert "Nothing to be done" in make(newcomer, "setup").stdout


@pytest.mark.parametrize("user", [0, 1000])
def test_the_programs_of_tests_are_got_where_that_may_be_or_the_line_is_told(newcomer: Path, user: int) -> None:
    shutil.copy(ROOT / "tools" / "programs.sh", newcomer / "tools")
    for name in ("id", "sh"):
        (newcomer / "bin" / name).unlink(missing_ok=True)
    command(newcomer, "id", f"echo {user}")
    (newcomer / "bin" / "podman").unlink()
    line = "apt-get install -y --no-install-recommends chromium podman runc"
    done = subprocess.run(
        ["/bin/sh", "tools/programs.sh"],
        cwd=newcomer,
        env={"PATH": str(newcomer / "bin")},  # where none of them is
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2  # the package manager of a newcomer gets nothing
    called = newcomer / "called"
    if user == 0:
        assert called.read_text().splitlines() == [line, "apt-get update"]
        assert "install chromium podman runc by hand" in done.stderr
    else:
        assert not called.exists()
        assert done.stdout == f"{line}\n"
        assert "Run this line as root" in done.stderr


def test_setup_ends_where_pip_fails(newcomer: Path) -> None:
    with_venv(newcomer)
    (newcomer / "pip-fails").touch()
    done = make(newcomer, "setup")
    assert done.returncode == 2
    assert "no space left on device\nmake setup: pip could not install the pinned packages" in done.stderr
    assert "done" not in done.stdout
    assert not (newcomer / ".venv" / ".made-by-setup").exists()


@pytest.mark.parametrize("code", [0, 3, 4, 8, 130])
def test_a_decided_or_pending_demo_is_no_error_of_make(newcomer: Path, code: int) -> None:
    done = demo_that_ends_with(newcomer, code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("code", [1, 2, 5, 6, 7])
def test_a_failed_demo_fails_make(newcomer: Path, code: int) -> None:
    done = demo_that_ends_with(newcomer, code)
    assert done.returncode == 2
    assert f"Error {code}" in done.stderr


def demo_that_ends_with(clone: Path, code: int) -> subprocess.CompletedProcess[str]:
    with_venv(clone)
    (clone / ".venv" / ".made-by-setup").touch()
    command(clone, "osprey-executor", f"exit {code}")
    shutil.copy(clone / "bin" / "osprey-executor", clone / ".venv" / "bin")
    return make(clone, "demo")


def test_drawings_fit_on_a_page() -> None:
    """A page of the documentation at 1200 px cuts what is wider, and a terminal wraps it."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    wide = [
        f"{page.relative_to(ROOT)}: {line}"
        for page in pages
        if "_build" not in page.parts
        for drawing in re.findall(r"^```text\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        for line in drawing.splitlines()
        if len(line) > 90
    ]
    assert wide == []
