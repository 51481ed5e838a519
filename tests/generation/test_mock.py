"""The scripted generator."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from osprey_executor.errors import ConfigurationError
from osprey_executor.generation import BEHAVIORS, CodeGenerator, MockCodeGenerator
from osprey_executor.models import PythonExecutionRequest

REQUEST = PythonExecutionRequest(user_query="anything")


async def code_of(generator: MockCodeGenerator, *errors: str) -> str:
    return await generator.generate_code(REQUEST, list(errors))


@pytest.mark.parametrize("behavior", BEHAVIORS)
async def test_behaviour(behavior: str) -> None:
    code = await code_of(MockCodeGenerator({"behavior": behavior}))
    if behavior == "syntax_error":
        with pytest.raises(SyntaxError):
            ast.parse(code)
    else:
        ast.parse(code)
    assert ("results" in code) is (behavior != "missing_results")
    assert ("write_channel" in code) is (behavior == "channel_write")


async def test_success_runs() -> None:
    names: dict[str, object] = {}
    exec(await code_of(MockCodeGenerator()), names)
    assert names["results"] == {"mean": pytest.approx(1.0), "spread": pytest.approx(0.1826, abs=1e-4), "count": 10}


async def test_error_aware_mends_after_an_error() -> None:
    generator = MockCodeGenerator({"behavior": "error_aware"})
    first = await code_of(generator)
    assert first == await code_of(generator)
    with pytest.raises(ZeroDivisionError):
        exec(first, {})
    exec(await code_of(generator, "ZeroDivisionError"), {})


async def test_what_it_remembers() -> None:
    generator = MockCodeGenerator()
    await code_of(generator, "one")
    assert (generator.call_count, generator.last_request, generator.last_error_chain) == (1, REQUEST, ["one"])
    generator.set_code("x = 1")
    assert await code_of(generator) == "x = 1"
    generator.reset()
    assert (generator.call_count, generator.last_request, generator.last_error_chain) == (0, None, [])
    assert "mean" in await code_of(generator)


async def test_sequence_ends_with_its_last() -> None:
    generator = MockCodeGenerator()
    generator.set_code_sequence(["a = 1", "b = 2"])
    assert [await code_of(generator) for _ in range(3)] == ["a = 1", "b = 2", "b = 2"]
    with pytest.raises(ValueError, match="at least one"):
        generator.set_code_sequence([])


async def test_script(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text("name = 'Ångström'\nresults = {}\n", encoding="utf-8")
    assert await code_of(MockCodeGenerator({"script": str(script)})) == script.read_text(encoding="utf-8")


async def test_example() -> None:
    code = await code_of(MockCodeGenerator({"example": "orbit_correction"}))
    assert "results" in code
    ast.parse(code)


async def test_channel() -> None:
    code = await code_of(MockCodeGenerator({"behavior": "channel_read", "channel": "it's\n"}))
    ast.parse(code)
    assert repr("it's\n") in code


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"behavior": "succes"}, "known are success, "),
        ({"behaviour": "success"}, "is not a setting of the mock"),
        ({"behavior": "success", "script": "x"}, "one of behavior, script and example"),
        ({"script": "/nowhere/program.py"}, "cannot be read: No such file"),
        ({"script": "a\0b"}, "cannot be read"),
        ({"example": "../../errors"}, "is not an example; shipped are"),
        ({"example": "__init__"}, "is not an example"),
    ],
)
def test_clear_errors(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        MockCodeGenerator(settings)


def test_binary_and_huge_scripts(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        MockCodeGenerator({"script": str(tmp_path / "binary")})
    (tmp_path / "huge").write_bytes(b"#" * (4 * 2**20 + 1))
    with pytest.raises(ConfigurationError, match="larger than 4 MiB"):
        MockCodeGenerator({"script": str(tmp_path / "huge")})


def test_is_a_generator() -> None:
    assert isinstance(MockCodeGenerator(), CodeGenerator)
