"""A deployment of Osprey 0.9 moves here with its file as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.config.conftest import Load

from osprey_executor.config import load_config
from osprey_executor.errors import ConfigurationError

TEMPLATE = Path(__file__).parent / "data" / "osprey09.yml"


def test_template() -> None:
    config = load_config(TEMPLATE, environ={"LAB_GATEWAY_KEY": "k"})
    execution, model, control = config.execution, config.models["python_code_generator"], config.control_system
    assert execution.code_generator == "basic"
    assert (execution.max_generation_retries, execution.max_execution_retries) == (2, 4)
    assert execution.timeout == execution.limits.timeout == 120
    assert execution.python_env_path == Path("/srv/ring/venv/bin/python")
    assert (model.provider, model.base_url) == ("lab-gateway", "https://models.example.org/v1")
    assert model.api_key is not None
    assert model.api_key.get_secret_value() == "k"
    assert config.models["classifier"].base_url == "https://generativelanguage.googleapis.com/v1beta/openai"
    assert config.unset("models") == {
        "orchestrator.api_key": "ANTHROPIC_API_KEY",
        "classifier.api_key": "GOOGLE_API_KEY",
    }
    assert config.execution.save_prompts is True
    assert config.approval.mode == "control_writes"
    assert (control.type, control.writes_enabled) == ("epics", False)
    assert control.limits_database == TEMPLATE.parent / "src/ring/data/channel_limits.json"
    assert (control.allow_unlisted_channels, control.on_violation) == (False, "skip")
    assert control.epics.address_list == ("gateway.example.org:5064",)
    assert config.archiver.type == "epics_archiver"


def test_template_warns_of_what_changed() -> None:
    told = "\n".join(load_config(TEMPLATE, environ={}).warnings)
    for words in (
        "legacy is called basic now",
        "epics_writes is called control_writes now",
        "execution.modes has no effect here",
        "control_system.patterns is called analysis.patterns now",
        "execution_control.epics.writes_enabled is called control_system.writes_enabled now",
        "sections do not concern this service and were ignored",
    ):
        assert told.count(words) == 1, words


@pytest.mark.parametrize(
    ("approval", "mode"),
    [
        ("{global_mode: disabled}", "disabled"),
        ("{global_mode: all_capabilities}", "all_code"),
        ("{global_mode: selective}", "control_writes"),
        ("{global_mode: selective, capabilities: {python_execution: {enabled: false, mode: all_code}}}", "disabled"),
        ("{global_mode: selective, capabilities: {python_execution: {enabled: true}}}", "all_code"),
        ("{capabilities: {python_execution: {mode: disabled}}}", "disabled"),
        ("{capabilities: {python_execution: {mode: epics_writes}}}", "control_writes"),
        ("{capabilities: {python_execution: {mode: control_writes}}}", "control_writes"),
        ("{capabilities: {python_execution: {mode: all_code}}}", "all_code"),
        ("{global_mode: all_capabilities, capabilities: {python_execution: {mode: disabled}}}", "all_code"),
        ("{capabilities: {memory: {enabled: true}}}", "control_writes"),
        ("{mode: epics_writes}", "control_writes"),
        ("{mode: all_code, global_mode: all_capabilities}", "all_code"),
    ],
)
def test_approval(load: Load, approval: str, mode: str) -> None:
    assert load(f"approval: {approval}").approval.mode == mode


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("approval: {mode: all_code, global_mode: disabled}", "approval.mode and approval.global_mode say different"),
        ("approval: {global_mode: sometimes}", "global_mode must be disabled, selective or all_capabilities"),
        (
            "approval: {capabilities: {python_execution: {mode: sometimes}}}",
            "approval.capabilities.python_execution.mode should be",
        ),
        ("approval: {capabilities: {python_execution: {enabled: 'perhaps'}}}", "must be true or false"),
        ("approval: {capabilities: {python_execution: {mode: '${X}'}}}", r"uses \$\{X\}, which is not set"),
        ("approval: {capabilities: [python_execution]}", "approval"),
        (
            "python_executor: {execution_timeout_seconds: 5}\nexecution: {timeout: 6}",
            "execution.timeout and python_executor.execution_timeout_seconds say different things",
        ),
        ("python_executor: {execution_timeout_seconds: soon}", "python_executor.execution_timeout_seconds should be"),
        (
            "execution_control: {epics: {writes_enabled: true}}\ncontrol_system: {writes_enabled: false}",
            "say different things",
        ),
        (
            "control_system: {limits_checking: {enabled: true}}",
            "database_path is empty while limits_checking is enabled",
        ),
        (
            "control_system: {writes_enabled: true, write_verification: {enabled: true, default_level: readback}}",
            "readback is asked for in the limits database",
        ),
        (
            "control_system: {connector: {epics: {gateways: {read_only: {address: '${GATE}'}}}}}",
            r"uses \$\{GATE\}, which is not set",
        ),
    ],
)
def test_what_disagrees_or_would_weaken_a_protection_is_an_error(load: Load, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load(text)


@pytest.mark.parametrize("section", ["python_executor", "execution"])
def test_executor_keys_under_either_name(load: Load, section: str) -> None:
    keys = "{max_generation_retries: 1, max_execution_retries: 2, execution_timeout_seconds: 30}"
    execution = load(f"{section}: {keys}").execution
    assert (execution.max_generation_retries, execution.max_execution_retries, execution.timeout) == (1, 2, 30)


def test_writes_take_the_gateway_that_lets_them_through(load: Load) -> None:
    gateways = "{read_only: {address: r, port: 1}, write_access: {address: w, port: 2, use_name_server: true}}"
    text = f"control_system: {{writes_enabled: %s, connector: {{epics: {{gateways: {gateways}}}}}}}"
    assert load(text % "false").control_system.epics.address_list == ("r:1",)
    writing = load(text % "true").control_system.epics
    assert (writing.address_list, writing.name_servers) == ((), ("w:2",))


def test_gateways_of_the_execution_section(load: Load) -> None:
    config = load("execution: {epics: {gateways: {read_only: {address: old, port: 5064}}}}")
    assert config.control_system.epics.address_list == ("old:5064",)


def test_limits_that_are_off_are_not_used(load: Load) -> None:
    config = load("control_system: {limits_checking: {enabled: false, database_path: limits.json}}")
    assert config.control_system.limits_database is None
    assert "is not used, as limits_checking is not enabled" in config.warnings[0]


def test_disabled_approval_is_told(load: Load) -> None:
    assert "no write reaches a real machine" in load("approval: {global_mode: disabled}").warnings[0]


def test_own_settings_of_a_model_go_before_those_of_its_provider(load: Load) -> None:
    text = """
        models: {m: {provider: anthropic, model_id: x, base_url: "https://mine.example.org"}}
        api: {providers: {anthropic: {api_key: theirs, base_url: "https://theirs.example.org"}}}
        """
    model = load(text).models["m"]
    assert model.base_url == "https://mine.example.org"
    assert model.api_key is not None


def test_the_archiver_has_ospreys_keys(load: Load) -> None:
    told = "archiver: {type: epics_archiver, epics_archiver: {url: 'https://archiver.lab.gov:8443/', timeout: 90}}"
    archiver = load(told).archiver
    assert archiver.type == "epics_archiver"
    assert (archiver.epics_archiver.url, archiver.epics_archiver.timeout) == ("https://archiver.lab.gov:8443", 90)
    config = load("archiver: {type: mock_archiver, mock_archiver: {sample_rate_hz: 1.0}}")
    assert any("archiver.mock_archiver has no effect here" in warning for warning in config.warnings)
    with pytest.raises(ConfigurationError, match=r"did you mean archiver\.epics_archiver\.timeout"):
        load("archiver: {epics_archiver: {timeuot: 90}}")
    with pytest.raises(ConfigurationError, match="must not carry a user or password"):
        load("archiver: {epics_archiver: {url: 'http://me:secret@archiver.lab.gov'}}")
