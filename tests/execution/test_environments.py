"""Other Pythons: a venv with links in its path, one below /tmp, the system's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from osprey_executor.errors import ConfigurationError
from osprey_executor.execution import Program, open_engine
from osprey_executor.execution.local._interpreter import find_interpreter
from osprey_executor.execution.local._paths import Mounts
from osprey_executor.models import RunStatus

CODE = """
import json, os, sys
print(json.dumps([sys.prefix, sys.executable]))
import only_here
results = {"value": only_here.value, "secret": os.path.exists(os.path.join(sys.prefix, ".env"))}
"""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A venv with a module of its own, a secret beside it, reached through a link."""
    folder = tmp_path / "project"
    venv.create(folder, with_pip=False, symlinks=True)
    (folder / ".env").write_text("KEY=secret")
    site = next(folder.glob("lib/python3*/site-packages"))
    (site / "only_here.py").write_text("value = 11")
    (site / "only_here-1.5.dist-info").mkdir()
    (site / "evil.pth").write_text("import os; os.environ['FROM_PTH'] = '1'\n")
    link = tmp_path / "link"
    link.symlink_to("project")
    return link


async def test_code_runs_in_a_venv(environment: Path) -> None:
    for path in (environment, environment / "bin" / "python"):
        async with open_engine("local", {"python_env_path": str(path)}) as engine:
            outcome = await engine.run(Program(code=CODE))
            identity = await engine.identity()
        assert outcome.status is RunStatus.SUCCEEDED, outcome.error
        assert json.loads(outcome.stdout) == [str(environment), str(environment / "bin" / "python")]
        assert outcome.results == {"value": 11, "secret": False}
        assert identity["interpreter"]["packages"] == {"only-here": "1.5"}


async def test_code_runs_in_a_bare_interpreter(tmp_path: Path) -> None:
    """A Python that is not the service's own: the system's where there is one, else the base of this one."""
    system = Path("/usr/bin/python3")
    base = system if system.exists() else Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}"
    wanted = subprocess.check_output([base, "-c", "import sys; print(sys.prefix)"], text=True).strip()
    async with open_engine("local", {"python_env_path": str(base)}) as engine:
        outcome = await engine.run(Program(code="import sys\nresults = {'prefix': sys.prefix, 'v': (1, 2)}"))
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    assert outcome.results == {"prefix": wanted, "v": (1, 2)}


def test_links_are_made_again_and_folders_bound_once(tmp_path: Path) -> None:
    real = tmp_path / "real"
    (real / "deep").mkdir(parents=True)
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to(real)
    (tmp_path / "loop").symlink_to("loop")
    mounts = Mounts()
    mounts.show([tmp_path / "a" / "deep", real, tmp_path / "missing", tmp_path / "loop"])
    binds, links = mounts.ordered()
    assert binds == [(os.path.realpath(real), os.path.realpath(real))]
    assert links == [(str(tmp_path / "a"), "b"), (str(tmp_path / "b"), str(real))]


@pytest.mark.parametrize("path", ["/", str(Path.home())])
def test_a_home_is_never_shown(path: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be shown"):
        Mounts().show([path])


def test_the_own_interpreter_is_the_default() -> None:
    found = find_interpreter(None)
    assert found.executable.samefile(sys.executable)
    assert Path(sys.prefix) in found.prefixes


@pytest.mark.parametrize("copies", [False, True], ids=["links", "copies"])
async def test_every_spelling_of_the_own_interpreter_has_one_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: bool
) -> None:
    """An approval binds the identity: a run that waits from one process must be approvable from another."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=not copies)
    (tmp_path / "link").symlink_to("env")
    identities: list[dict[str, object]] = []
    for name in ("python", "python3", f"python3.{sys.version_info[1]}"):
        monkeypatch.setattr(sys, "executable", str(tmp_path / "env" / "bin" / name))
        monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
        async with open_engine("local", {"isolation": "none"}) as engine:
            identities.append(await engine.identity())
    for path in ("env", "env/bin/python", "link"):
        async with open_engine("local", {"isolation": "none", "python_env_path": str(tmp_path / path)}) as engine:
            identities.append(await engine.identity())
    assert all(identity == identities[0] for identity in identities)


async def test_the_identity_in_a_jail_does_not_tell_spellings_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    identities: list[dict[str, object]] = []
    for name in ("python", "python3"):
        monkeypatch.setattr(sys, "executable", str(Path(sys.prefix) / "bin" / name))
        async with open_engine("local") as engine:
            identities.append(await engine.identity())
    assert identities[0] == identities[1]
