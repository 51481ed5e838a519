"""Which file wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor.config import Config, check, config_from, load_config, state_folder, user_config_file
from osprey_executor.errors import ConfigurationError


def write(path: Path, seconds: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"execution: {{timeout: {seconds}}}")
    return path


def test_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert load_config(environ={}) == Config()
    assert load_config(environ={}).source is None
    user = write(user_config_file(), 1)
    assert (load_config(environ={}).source, load_config(environ={}).execution.timeout) == (user, 1)
    here = write(Path.cwd() / "config.yml", 2)
    assert load_config(environ={}).source == here
    named = write(tmp_path / "named.yml", 3)
    environ = {"OSPREY_EXECUTOR_CONFIG": str(named)}
    assert load_config(environ=environ).source == named
    given = write(tmp_path / "given.yml", 4)
    assert load_config(given, environ=environ).source == given
    assert load_config(Path("../given.yml"), environ=environ).source is not None


def test_named_file_that_is_not_there_does_not_fall_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "config.yml", 2)
    with pytest.raises(ConfigurationError, match=r"\$OSPREY_EXECUTOR_CONFIG names .*none.yml, which does not exist"):
        load_config(environ={"OSPREY_EXECUTOR_CONFIG": str(tmp_path / "none.yml")})


def test_check_says_which_won(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = write(tmp_path / "config.yml", 2)
    report = check(environ={})
    assert report.ok
    assert report.source == here
    assert [(name, exists) for name, _, exists in report.searched] == [
        ("./config.yml", True),
        ("the user's configuration folder", False),
    ]
    assert report.sections["execution"]["timeout"] == 2


def test_check_tells_problems_and_what_is_lacking(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text("execution: {code_generator: basic}\nmodels: {other: {provider: openai, model_id: x}}")
    report = check(path, environ={})
    assert not report.ok
    assert "uses the model python_code_generator" in report.problems[0]
    assert report.lacking == ("models.other.api_key uses ${OPENAI_API_KEY}, which is not set",)
    path.write_text("execution: {timeout: never}")
    assert "timeout" in check(path, environ={}).problems[0]
    assert check(tmp_path / "none.yml", environ={}).problems


def test_config_from_anything(tmp_path: Path) -> None:
    path = write(tmp_path / "config.yml", 7)
    config = load_config(path, environ={})
    assert config_from(config) is config
    assert config_from(str(path)).execution.timeout == config_from(path).execution.timeout == 7
    assert config_from({"osprey": {"execution": {"timeout": 8}}}).execution.timeout == 8
    assert config_from({"control_system": {"limits_database": tmp_path / "x"}}).control_system.limits_database
    with pytest.raises(ConfigurationError, match="did you mean execution"):
        config_from({"excution": {}})


def test_mapping_is_not_changed() -> None:
    given = {"execution": {"code_generator": "legacy"}, "api": {"providers": {}}}
    config_from(given)
    assert given == {"execution": {"code_generator": "legacy"}, "api": {"providers": {}}}


def test_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state_folder({"OSPREY_EXECUTOR_HOME": str(tmp_path)}) == tmp_path
    monkeypatch.chdir(tmp_path)
    assert state_folder({"OSPREY_EXECUTOR_HOME": "state"}) == tmp_path / "state"
    assert state_folder({}).name == "osprey-executor"
    assert state_folder({}).is_absolute()
