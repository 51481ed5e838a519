"""`osprey_executor.runtime` outside a run: the same names as inside one, and an error that says how to get there."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from osprey_executor import runtime
from osprey_executor.guest import runtime as inside

FUNCTIONS = [name for name in runtime.__all__ if inspect.isfunction(getattr(runtime, name))]
ONLY_INSIDE = "runtime exists inside a run only: osprey-executor run --code "


def test_the_names_are_those_of_the_sandbox() -> None:
    assert runtime.__all__ == inside.__all__
    assert [name for name in inside.__all__ if inspect.isfunction(getattr(inside, name))] == FUNCTIONS


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_has_the_signature_and_docstring_of_the_sandbox(name: str) -> None:
    outside, real = getattr(runtime, name), getattr(inside, name)
    assert inspect.signature(outside) == inspect.signature(real)
    assert inspect.getdoc(outside) == inspect.getdoc(real)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_says_where_it_works(name: str) -> None:
    function = getattr(runtime, name)
    required = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
    with pytest.raises(RuntimeError, match=ONLY_INSIDE):
        function(*["x"] * len(required))


def test_so_does_the_context() -> None:
    for use in (
        lambda: runtime.context.ring,
        lambda: runtime.context["ring"],
        lambda: list(runtime.context),
        lambda: runtime.context.to_dict(),
        lambda: setattr(runtime.context, "ring", 1),
    ):
        with pytest.raises(RuntimeError, match=ONLY_INSIDE):
            use()
    assert inspect.signature(runtime.Context.to_dict) == inspect.signature(type(inside.context).to_dict)


def test_a_program_that_is_started_without_the_service_is_told_how(tmp_path: Path) -> None:
    program = tmp_path / "orbit.py"
    program.write_text("from osprey_executor import runtime\nruntime.read_channel('SR:C01:HCM1:RB')\n")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"RuntimeError: {ONLY_INSIDE}orbit.py"
