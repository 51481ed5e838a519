"""What is sent into a kernel needs nothing there but Python 3.9 and its standard library."""

from __future__ import annotations

import ast
import sys

import pytest

from osprey_executor.execution.container import _bundle

FILES = dict(_bundle._files())
LAZY = {"numpy", "pandas", "matplotlib"}


@pytest.mark.parametrize("name", FILES)
def test_it_is_python_39_of_the_standard_library(name: str) -> None:
    tree = ast.parse(FILES[name], feature_version=(3, 9))
    nodes = list(ast.walk(tree))
    assert not [node for node in nodes if type(node).__name__ in ("Match", "TryStar", "TypeAlias")]
    for node in nodes:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        assert {one.split(".")[0] for one in names} <= sys.stdlib_module_names | LAZY


def test_every_module_that_one_needs_is_sent() -> None:
    for name, content in FILES.items():
        folder = name.rpartition("/")[0]
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                wanted = [node.module] if node.module else [alias.name for alias in node.names]
                lacking = [one for one in wanted if f"{folder}/{one}.py" not in FILES]
                # For type checkers alone.
                assert lacking in ([], ["listening"]), f"{name} needs {lacking}"


def test_the_cell_is_code_and_its_digest_is_stable() -> None:
    ast.parse(_bundle.cell(), feature_version=(3, 9))
    assert len(_bundle.cell()) < 200_000
    assert len(_bundle.digest()) == 64
