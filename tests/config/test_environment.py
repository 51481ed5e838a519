"""`${NAME}`, `.env` and secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.config.conftest import Load

from osprey_executor.config import Config, check, is_secret_name, load_config
from osprey_executor.config._environment import BadReference, expand_text
from osprey_executor.errors import ConfigurationError

SECRET = "sk-do-not-show-me"
WITH_SECRETS = f"""
execution:
  container: {{token: {SECRET}-token}}
  generators:
    mine:service: {{api_key: {SECRET}-plug, nested: {{db_password: {SECRET}-nested}}, depth: 2}}
models:
  written: {{provider: openai, model_id: a, api_key: {SECRET}-written}}
  named: {{provider: openai, model_id: b, api_key: "${{MY_KEY}}"}}
"""


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${A}", "1"),
        ("x${A}y${A}", "x1y1"),
        ("${NONE:-two}", "two"),
        ("${EMPTY:-two}", "two"),
        ("${EMPTY}", ""),
        ("${NONE:-}", ""),
        ("${NONE:-${A}}", "1"),
        ("${NONE:-${ALSO_NONE:-${A}}}/x", "1/x"),
        ("$${A}", "${A}"),
        ("$A", "$A"),
        ("${NONE:-http://x:1/}", "http://x:1/"),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert expand_text(text, {"A": "1", "EMPTY": ""}) == expanded


@pytest.mark.parametrize("text", ["${", "${}", "${A", "${1A}", "${A B}", "${A:-${B}", "${A-x}"])
def test_bad_reference(text: str) -> None:
    with pytest.raises(BadReference):
        expand_text(text, {})


def test_a_value_never_changes_the_structure(load: Load) -> None:
    config = load("models: {m: {provider: openai, model_id: '${M}'}}", M="x\nadmin: true\n${B}")
    assert config.models["m"].model_id == "x\nadmin: true\n${B}"


def test_numbers_and_flags_expand(load: Load) -> None:
    text = "execution: {timeout: '${T}'}\ncontrol_system: {writes_enabled: '${W}'}"
    config = load(text, T="12.5", W="true")
    assert (config.execution.timeout, config.control_system.writes_enabled) == (12.5, True)


def test_unset_where_it_is_needed(load: Load) -> None:
    with pytest.raises(ConfigurationError, match=r"line 1: execution.timeout uses \$\{T\}, which is not set: set T"):
        load("execution: {timeout: '${T}'}")
    with pytest.raises(ConfigurationError, match=r"execution.timeout `\$\{` has no closing"):
        load("execution: {timeout: '${T'}")


def test_unset_where_it_may_never_be_needed(load: Load) -> None:
    config = load(
        """
        models: {m: {provider: "${P}", model_id: "${M}", api_key: "${K}", temperature: "${T}"}}
        execution: {generators: {mine: {token: "${TOKEN}", list: ["${L}"]}}}
        """
    )
    assert dict(config.models["m"].unset) == {"provider": "P", "model_id": "M", "api_key": "K", "temperature": "T"}
    assert config.unset("execution", "generators", "mine") == {"token": "TOKEN", "list.0": "L"}


def test_dot_env_beside_the_file(load: Load, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# keys\nexport A='from file'\nB=from file\nC\n= what\n", encoding="utf-8")
    config = load("models: {m: {provider: '${A}', model_id: '${B}'}}", B="from process")
    assert (config.models["m"].provider, config.models["m"].model_id) == ("from file", "from process")
    assert config.warnings == (f"{tmp_path / '.env'} line 5: is not NAME=value and was left out",)


@pytest.mark.parametrize("raw", [b"\xff\xfeA=1", b"A=" + b"x" * 2**18])
def test_dot_env_that_is_none(load: Load, tmp_path: Path, raw: bytes) -> None:
    (tmp_path / ".env").write_bytes(raw)
    with pytest.raises(ConfigurationError, match=r"\.env: is"):
        load("execution: {}")


def test_dot_env_folder_is_no_file(load: Load, tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert load("execution: {}").warnings == ()


def test_secrets_are_in_no_print_and_no_record(load: Load, tmp_path: Path) -> None:
    config = load(WITH_SECRETS, MY_KEY=f"{SECRET}-named")
    assert config.models["named"].api_key is not None
    assert config.models["named"].api_key.get_secret_value() == f"{SECRET}-named"
    report = check(tmp_path / "config.yml", environ={"MY_KEY": f"{SECRET}-named"})
    shown = (
        repr(config),
        str(config),
        str(config.execution),
        json.dumps(config.masked()),
        json.dumps(config.to_record()),
    )
    for text in (*shown, str(report), report.model_dump_json(), config.model_dump_json()):
        assert SECRET not in text
    assert config.masked()["models"]["written"]["api_key"] == "********"


def test_secrets_are_in_no_error(load: Load) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(f"models: {{m: {{provider: openai, model_id: x, api_key: [{SECRET}], api_kye: {SECRET}}}}}")
    assert SECRET not in str(caught.value)


SECRETS = [
    "key",
    "api_key",
    "apiKey",
    "APIKey",
    "APIKEY",
    "api-key",
    "x-api-key",
    "accessToken",
    "access_tokens",
    "db.password",
    "PWD",
    "passphrase",
    "client_secret",
    "clientSecret",
    "Authorization",
]
OTHERS = ["max_tokens", "maxOutputTokens", "token_count", "monkey", "keyboard", "secretary", "host"]


def test_a_secret_is_known_by_its_name() -> None:
    assert [name for name in (*SECRETS, *OTHERS) if is_secret_name(name)] == SECRETS


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("base_url: 'http://127.0.0.1:99999'", "base_url.* port from 1 to 65535"),
        ("base_url: 'http://127.0.0.1:abc'", "base_url.* port from 1 to 65535"),
        ("base_url: 'http://[::1'", "base_url.* a host"),
        ("base_url: 'http://exa mple'", "base_url.* no blanks"),
        ('base_url: "http://h\\0st"', "base_url.* no control characters"),
        (f'api_key: "{SECRET}\\nX: y"', "api_key.* a key is one line"),
        ('api_key: "${MY_KEY}"', "api_key.* a key is one line"),
        (f'api_key: " {SECRET}"', "api_key.* a blank at one of its ends"),
        (f'api_key: "{SECRET}\u00fc"', "api_key.* of ASCII characters"),
    ],
)
def test_what_no_request_can_be_made_with_is_told_at_load(load: Load, fields: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"models\.m\.{words}") as caught:
        load(f"models: {{m: {{provider: openai, model_id: x, {fields}}}}}", MY_KEY=f"{SECRET}\n")
    assert SECRET not in str(caught.value)


def test_record_round_trip(load: Load) -> None:
    config = load(WITH_SECRETS, MY_KEY="first")
    record = json.loads(json.dumps(config.to_record()))
    assert record["settings"]["models"]["named"]["api_key"] == "${MY_KEY}"
    again = Config.from_record(record, environ={"MY_KEY": "second"})
    assert again.models["named"].api_key is not None
    assert again.models["named"].api_key.get_secret_value() == "second"
    assert again.execution == config.execution
    assert again.models["written"] == config.models["written"]
    assert again.source == config.source
    assert again.to_record() == record


def test_record_outlives_its_file(load: Load, tmp_path: Path) -> None:
    record = load(WITH_SECRETS, MY_KEY="first").to_record()
    (tmp_path / "config.yml").unlink()
    again = Config.from_record(record, environ={})
    assert again.models["written"].api_key is None
    assert again.unset("models") == {"named.api_key": "MY_KEY", "written.api_key": "OPENAI_API_KEY"}


def test_record_pins_the_rules_of_a_run(load: Load) -> None:
    """The environment of the process that resumes a run changes neither approval nor machine."""
    text = "approval: {mode: '${MODE}'}\ncontrol_system: {type: '${T:-mock}', writes_enabled: '${W:-false}'}"
    record = load(text, MODE="all_code").to_record()
    again = Config.from_record(record, environ={"MODE": "disabled", "T": "epics", "W": "true"})
    assert again.approval.mode == "all_code"
    assert (again.control_system.type, again.control_system.writes_enabled) == ("mock", False)


def test_record_of_a_changed_configuration_is_of_the_change(load: Load) -> None:
    config = load("models: {m: {provider: openai, model_id: '${M}'}}", M="a")
    changed = config.model_copy(update={"models": {"m": config.models["m"].model_copy(update={"model_id": "${b}"})}})
    assert Config.from_record(changed.to_record(), environ={"M": "z"}).models["m"].model_id == "${b}"
    assert Config.from_record(config.to_record(), environ={"M": "z"}).models["m"].model_id == "z"


def test_record_of_defaults_and_of_nonsense() -> None:
    assert Config.from_record(Config().to_record(), environ={}) == Config()
    for record in ({}, {"format": 99, "settings": {}}, {"format": 1, "settings": []}):
        with pytest.raises(ConfigurationError, match="not the record"):
            Config.from_record(record)


def test_process_environment_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    (tmp_path / ".env").write_text("LANGSMITH_TRACING=true\nONLY_HERE=1\n")
    (tmp_path / "config.yml").write_text("execution: {}")
    before = dict(os.environ)
    load_config(tmp_path / "config.yml")
    assert dict(os.environ) == before


def test_the_settings_of_a_connector_travel_without_their_secrets(load: Load) -> None:
    text = "control_system: {type: line, connectors: {line: {host: a, password: '${MY_PASSWORD}'}}}"
    record = load(text, MY_PASSWORD="first").to_record()
    assert "first" not in json.dumps(record)
    again = Config.from_record(record, environ={"MY_PASSWORD": "second"}).control_system.connectors["line"]
    assert (again["host"], again["password"].get_secret_value()) == ("a", "second")
