"""What `config init` writes can be loaded, and never holds a key."""

from __future__ import annotations

import pytest
from tests.config.conftest import Load

from osprey_executor.config.init import detect, render
from osprey_executor.errors import ConfigurationError


def test_detect_puts_first_what_is_set() -> None:
    assert [choice.provider for choice in detect({})] == ["anthropic", "openai", "cborg", "ollama"]
    first = detect({"OPENAI_API_KEY": "k"})[0]
    assert (first.provider, first.key_is_set, first.key_variable) == ("openai", True, "OPENAI_API_KEY")
    assert not any(choice.key_is_set for choice in detect({"OPENAI_API_KEY": ""}))


@pytest.mark.parametrize("choice", detect({}), ids=lambda choice: choice.provider)
def test_every_choice_can_be_loaded(load: Load, choice: object) -> None:
    from osprey_executor.config.init import Choice

    assert isinstance(choice, Choice)
    environ = {choice.key_variable: "the key"} if choice.key_variable else {}
    text = render(choice.provider, choice.model_id, key_variable=choice.key_variable, base_url=choice.base_url)
    config = load(text, **environ)
    model = config.models["python_code_generator"]
    assert (model.provider, model.model_id) == (choice.provider, choice.model_id)
    assert (model.api_key is not None) is bool(choice.key_variable)
    assert config.execution.code_generator == "basic"
    assert config.warnings == ()
    assert not config.unset()


def test_hostile_answers_stay_values(load: Load) -> None:
    model = load(render("my: lab\n#", 'x" \n${HOME}', base_url="http://localhost:1/v1")).models["python_code_generator"]
    assert (model.provider, model.model_id) == ("my: lab\n#", 'x" \n${HOME}')


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"provider_name": "openai", "model_id": "x", "key_variable": "sk-abc/123"}, "not the key itself"),
        ({"provider_name": "lab", "model_id": "x"}, "needs a base URL"),
        ({"provider_name": "lab", "model_id": "x", "base_url": "localhost:1"}, "must start with http"),
        ({"provider_name": "openai", "model_id": " "}, "a provider and a model are needed"),
    ],
)
def test_what_cannot_be_meant(arguments: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        render(**arguments)
