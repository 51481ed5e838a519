"""Which generator a configuration means."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.config import Config, check, config_from, load_config
from osprey_executor.errors import ConfigurationError
from osprey_executor.generation import (
    BasicLLMCodeGenerator,
    CodeGenerator,
    HybridCodeGenerator,
    MockCodeGenerator,
    available_generators,
    create_code_generator,
    generator_label,
)
from osprey_executor.models import PythonExecutionRequest

REQUEST = PythonExecutionRequest(user_query="anything")
MODULE = '''
class Plain:
    """No base class."""

    def __init__(self, model_config=None):
        self.settings = model_config

    async def generate_code(self, request, error_chain):
        return "results = {}"


class Synchronous(Plain):
    def generate_code(self, request, error_chain):
        return "results = {}"


class Nothing:
    pass


class Stubborn(Plain):
    def __init__(self):
        pass


function = lambda model_config: Plain()
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module with generators of somebody else."""
    (tmp_path / "their_generators.py").write_text(MODULE)
    (tmp_path / "their_broken_one.py").write_text("raise RuntimeError('boom\\n\\x1b[2J')")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "their_generators"
    sys.modules.pop("their_generators", None)


def config(name: str | None, **generators: Any) -> Config:
    return config_from({"execution": {"code_generator": name, "generators": generators}})


def test_none_is_configured() -> None:
    with pytest.raises(ConfigurationError, match=r"config init.*basic, claude_code, hybrid, mock"):
        create_code_generator(Config())


@pytest.mark.parametrize("name", ["basik", "my.module", "a:b:c", "../x:Y", "os;system:x"])
def test_unknown_name_lists_what_there_is(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"available are basic, claude_code, hybrid, mock.*module:Class"):
        create_code_generator(config(name))


def test_mock_by_name() -> None:
    made = create_code_generator(config("mock", mock={"behavior": "channel_read"}))
    assert isinstance(made, MockCodeGenerator)


async def test_script_is_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("results = {'mine': 1}")
    file = tmp_path / "config.yml"
    file.write_text("execution: {code_generator: mock, generators: {mock: {script: program.py}}}")
    made = create_code_generator(load_config(file))
    assert await made.generate_code(REQUEST, []) == "results = {'mine': 1}"


async def test_module_and_class(module: str) -> None:
    name = f"{module}:Plain"
    made = create_code_generator(config(name, **{name: {"api_key": "s3cret", "depth": 2}}))
    assert vars(made)["settings"] == {"api_key": "s3cret", "depth": 2}
    assert await made.generate_code(REQUEST, []) == "results = {}"
    assert generator_label(config(name), made) == name


def test_entry_point(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    group = "osprey_executor.generators"
    theirs = (
        EntryPoint("theirs", f"{module}:Plain", group),
        EntryPoint("basic", f"{module}:Plain", group),
        EntryPoint("broken", "their_broken_one:Plain", group),
    )
    monkeypatch.setattr("osprey_executor.generation._registry.entry_points", lambda group: theirs)
    assert available_generators() == ("basic", "broken", "claude_code", "hybrid", "mock", "theirs")
    assert type(create_code_generator(config("theirs"))).__name__ == "Plain"
    with pytest.raises(ConfigurationError, match="which is not in models"):
        create_code_generator(config("basic"))
    with pytest.raises(ConfigurationError, match="broken cannot be loaded: RuntimeError: boom") as caught:
        create_code_generator(config("broken"))
    assert "\x1b" not in str(caught.value)


def test_built_in_ones_need_no_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osprey_executor.generation._registry.entry_points", lambda group: ())
    assert isinstance(create_code_generator(config("mock")), MockCodeGenerator)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("their_broken_one:Plain", "cannot be loaded: RuntimeError: boom"),
        ("their_generators:Missing", "cannot be loaded: AttributeError"),
        ("no_such_module:Plain", "cannot be loaded: ModuleNotFoundError.*; install it, or name the folder"),
        ("their_generators:Nothing", "not a class with the method"),
        ("their_generators:function", "not a class with the method"),
        ("their_generators:Synchronous", "must be `async def`"),
        ("their_generators:Stubborn", "cannot be made with its block"),
    ],
)
def test_broken_plug_in_is_one_sentence(module: str, name: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        create_code_generator(config(name))
    assert "\n" not in str(caught.value)


def test_unset_variable_of_a_plug_in(module: str) -> None:
    name = f"{module}:Plain"
    settings = config(name, **{name: {"token": "${NOT_SET_ANYWHERE}"}})
    with pytest.raises(ConfigurationError, match=r"NOT_SET_ANYWHERE\}, which is not set"):
        create_code_generator(settings)


def basic(text: str, tmp_path: Path, **environ: str) -> BasicLLMCodeGenerator:
    file = tmp_path / "config.yml"
    file.write_text(text)
    made = create_code_generator(load_config(file, environ=environ))
    assert isinstance(made, BasicLLMCodeGenerator)
    return made


MODELS = """
execution: {code_generator: basic%s}
models:
  python_code_generator: {provider: anthropic, model_id: claude-one, temperature: 0.5}
  other: {provider: openai, model_id: gpt-two, api_key: "${THEIR_KEY}"}
"""


def test_basic_takes_the_usual_model(tmp_path: Path) -> None:
    made = basic(MODELS % "", tmp_path, ANTHROPIC_API_KEY="k")
    assert made.model_label == "anthropic/claude-one"
    assert made.model.api_key is not None
    assert made.model.api_key.get_secret_value() == "k"


async def test_basic_takes_a_named_model_and_says_which_variable_lacks(tmp_path: Path) -> None:
    made = basic(MODELS % ", generators: {basic: {model_config_name: other}}", tmp_path)
    assert made.model_label == "openai/gpt-two"
    with pytest.raises(ConfigurationError, match="set THEIR_KEY in the environment"):
        await made.generate_code(REQUEST, [])


def test_inline_settings_go_before_the_named_model(tmp_path: Path) -> None:
    made = basic(MODELS % ", generators: {basic: {temperature: 0.1}}", tmp_path)
    assert (made.model.model_id, made.model.temperature) == ("claude-one", 0.1)


async def test_inline_model(tmp_path: Path) -> None:
    block = "{provider: openai, model_id: gpt-three, api_key: '${INLINE_KEY}'}"
    made = basic(MODELS % f", generators: {{basic: {block}}}", tmp_path)
    assert made.model_label == "openai/gpt-three"
    with pytest.raises(ConfigurationError, match="set INLINE_KEY"):
        await made.generate_code(REQUEST, [])


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("{model_config_name: nope}", r"uses the model nope.*there: other, python_code_generator"),
        ("{temprature: 1}", "did you mean .*temperature"),
        ("{provider: openai, model_id: x, temperature: hot}", "temperature"),
    ],
)
def test_wrong_block_of_basic(tmp_path: Path, block: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        basic(MODELS % f", generators: {{basic: {block}}}", tmp_path)


HYBRID = """
execution:
  code_generator: hybrid
  generators: {basic: {temperature: 0.1}, hybrid: %s}
models:
  python_code_generator: {provider: anthropic, model_id: claude-one}
"""


def hybrid(block: str, tmp_path: Path) -> Config:
    file = tmp_path / "config.yml"
    file.write_text(HYBRID % block)
    return load_config(file, environ={"ANTHROPIC_API_KEY": "k"})


def test_hybrid_of_a_name_and_a_block(tmp_path: Path) -> None:
    block = "{first: basic, then: {generator: basic, provider: anthropic, model_id: two}}"
    made = create_code_generator(hybrid(block, tmp_path))
    assert isinstance(made, HybridCodeGenerator)
    first, then = made.parts
    assert isinstance(first, BasicLLMCodeGenerator)
    assert isinstance(then, BasicLLMCodeGenerator)
    assert (first.model.model_id, first.model.temperature) == ("claude-one", 0.1)
    # An inline model is filled in from what is known of its provider, as that of basic is.
    assert (then.model.model_id, then.model.base_url) == ("two", "https://api.anthropic.com")
    assert then.model.api_key is not None


def test_hybrid_of_ones_own_class(module: str, tmp_path: Path) -> None:
    own = f"{{generator: '{module}:Plain', token: s3cret}}"
    made = create_code_generator(hybrid(f"{{first: mock, then: {own}}}", tmp_path))
    assert isinstance(made, HybridCodeGenerator)
    assert vars(made.parts[1])["settings"] == {"token": "s3cret"}
    assert generator_label("hybrid", made) == "hybrid (mock (scripted), then Plain)"


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("{}", r"generators\.hybrid\.first must be the name of a generator, or a block"),
        ("{first: basic}", r"generators\.hybrid\.then must be"),
        ("{first: hybrid, then: basic}", r"generators\.hybrid\.first must be"),
        ("{first: basic, then: {model_id: x}}", r"generators\.hybrid\.then must be .*generator: NAME"),
        ("{first: basic, then: basik}", "there is no generator basik"),
        ("{first: basic, then: {generator: basic, model_config_name: nope}}", "uses the model nope"),
        ("{first: basic, then: {generator: basic, temprature: 1}}", "did you mean .*temperature"),
        ("{first: basic, then: basic, failures: 0}", "failures must be a whole number from 1"),
        ("{first: basic, then: basic, thenn: basic}", "thenn is unknown; known are first, then and failures"),
    ],
)
def test_wrong_block_of_hybrid(tmp_path: Path, block: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        create_code_generator(hybrid(block, tmp_path))


def test_check_looks_into_the_parts_of_a_hybrid(tmp_path: Path) -> None:
    hybrid("{first: basic, then: {generator: basic, model_config_name: nope}}", tmp_path)
    [problem] = check(tmp_path / "config.yml", environ={}).problems
    assert "uses the model nope" in problem


def test_labels(tmp_path: Path) -> None:
    mock, made = config("mock"), basic(MODELS % "", tmp_path)
    named = load_config(tmp_path / "config.yml", environ={})
    assert generator_label(mock, None) == generator_label(mock, MockCodeGenerator()) == "mock (scripted)"
    assert generator_label(Config(), MockCodeGenerator()) == "mock (scripted)"
    assert generator_label(named, None) == generator_label("basic", made) == "basic (anthropic/claude-one)"


def test_a_mock_is_never_labelled_as_something_else() -> None:
    class Disguised(MockCodeGenerator):
        pass

    assert generator_label("expert", Disguised()) == "mock (scripted)"


def test_conformance_of_a_plain_class() -> None:
    class Theirs:
        async def generate_code(self, request: PythonExecutionRequest, error_chain: list[str]) -> str:
            return "results = {}"

    assert isinstance(Theirs(), CodeGenerator)
    assert not isinstance(object(), CodeGenerator)
    assert generator_label(Config(), Theirs()) == "Theirs"
