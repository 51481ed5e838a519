"""The arrows between the rooms: the linter that keeps them is on, and what it cannot see is kept here."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
AGAINST = {
    "analysis": [
        "from osprey_executor import results",
        "from osprey_executor import service",
        "import langgraph",
    ],
    "execution": ["from osprey_executor import guest", "import pytest"],
    "client": ["from osprey_executor import desk"],
    "guest": ["from osprey_executor import errors"],
    "interfaces": ["from osprey_executor import pipeline"],
    "testing": ["from osprey_executor.execution import local"],
}
# Which part of which room may import a package, also by name at its first use.
AT_HOME = {
    "at": "control/simulator/",
    "claude_agent_sdk": "generation/claude_code/",
    "epicscorelibs": "control/connectors/",
    "langchain_anthropic": "generation/_provider.py",
    "langchain_openai": "generation/_provider.py",
    "p4p": ("control/connectors/", "control/gateways/"),
    "softioc": "control/simulator/",
}


def imported(source: str) -> set[str]:
    """Return the packages that a source imports: by statement, or by a call that has `import` in its name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found |= {name.name for name in names}
            case ast.ImportFrom(module=str(module), level=0):
                found.add(module)
            case ast.Call(
                func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(value=str(name)), *_]
            ):
                if "import" in called:
                    found.add(name)
            case _:
                pass
    return {name.partition(".")[0] for name in found}


def test_heavy_packages_stay_in_one_place_each() -> None:
    package = ROOT / "src" / "osprey_executor"
    strays = [
        f"{file.relative_to(package)} imports {name}"
        for file in sorted(package.rglob("*.py"))
        for name in imported(file.read_text()) & set(AT_HOME)
        if not file.relative_to(package).as_posix().startswith(AT_HOME[name])
    ]
    assert strays == []


def test_an_import_by_name_is_seen() -> None:
    assert imported("import a.b\nfrom c.d import e\nimport_module('f.g')\n_import('h', 'extra')\nprint('i')") == set(
        "acfh"
    )


def test_every_contract_is_broken_by_an_import_against_it(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room, lines in AGAINST.items():
        (tmp_path / "src" / "osprey_executor" / room / "wrong.py").write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert [contract["name"] for contract in contracts if f"{contract['name']} BROKEN" not in done.stdout] == []
