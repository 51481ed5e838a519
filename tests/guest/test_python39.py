"""The guest is made for Python 3.9 and newer, of the standard library alone, and depends on nothing of ours."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import osprey_executor

FILES = sorted((Path(osprey_executor.__file__).parent / "guest").glob("*.py"))
LAZY = {"numpy", "pandas", "matplotlib"}
NEWER = {"itertools.batched", "itertools.pairwise", "math.cbrt", "statistics.correlation", "bisect.key", "tomllib"}


def tree_of(path):
    return ast.parse(path.read_bytes(), filename=str(path), feature_version=(3, 9))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_syntax_is_that_of_python_39(path):
    tree = tree_of(path)
    assert not [node for node in ast.walk(tree) if type(node).__name__ in ("Match", "TryStar", "TypeAlias")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_annotations_are_not_evaluated(path):
    """`X | None` in an annotation is fine before Python 3.10 as long as nobody evaluates it."""
    tree = tree_of(path)
    annotated = any(isinstance(node, ast.AnnAssign | ast.arg | ast.FunctionDef) for node in ast.walk(tree))
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert futures or not annotated


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_imports_are_relative_or_of_the_standard_library(path):
    tree = tree_of(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
            assert not {f"{node.module}.{alias.name}" for alias in node.names} & NEWER
        else:
            assert not isinstance(node, ast.ImportFrom) or node.level == 1, "no import from above the guest"
            continue
        top = {name.split(".")[0] for name in names}
        assert top <= sys.stdlib_module_names | LAZY
        assert not (top & LAZY and node in tree.body), "what may be missing is imported where it is used"


PROGRAM = """
import dataclasses, datetime, decimal
from osprey_executor.runtime import context, publish, progress
progress(0.5, 'half')
publish({'a': 1})
results = {'c': context.a.b, 'wave': context.wave, 'd': decimal.Decimal('1.5'), 'nan': float('nan'),
    'when': datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)}
"""


def _pythons() -> list[str]:
    """The interpreter of the tests, and every other one that this machine has."""
    named = [shutil.which(f"python3.{minor}") for minor in range(9, 16)]
    found = [
        python
        for python in named
        if python and subprocess.run([python, "-c", ""], capture_output=True, timeout=60).returncode == 0
    ]
    return [sys.executable, *found]


@pytest.mark.parametrize("python", _pythons())
async def test_a_program_runs_under_every_python_at_hand(run, python):
    import numpy as np

    ran = await run(PROGRAM, context={"a": {"b": 1}, "wave": np.arange(3.0)}, python=python)
    assert ran.stderr == ""
    assert ran.report.error is None
    assert ran.report.results["c"] == 1
    assert list(ran.report.results["wave"]) == [0, 1, 2]
