"""Sections, keys and values."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.config.conftest import Load

from osprey_executor.config import Config, ExecutionConfig
from osprey_executor.errors import ConfigurationError
from osprey_executor.models import Limits

AS_USERS_KNOW_IT = """
osprey:
  execution:
    code_generator: "basic"        # or "claude_code", "mock", or a name that a plug-in registers
    execution_method: "container"  # or "local"
    generators:
      basic:
        model_config_name: "python_code_generator"
      claude_code:
        profile: "fast"            # fast: one phase; robust: scan, plan, implement
      mock:
        behavior: "success"
    container:
      jupyter_host: "localhost"
      jupyter_port: 8888
"""


def test_file_as_users_know_it(load: Load) -> None:
    config = load(AS_USERS_KNOW_IT)
    assert config.execution.code_generator == "basic"
    assert config.execution.execution_method == "container"
    assert config.execution.container.jupyter_port == 8888
    assert config.execution.generators["claude_code"] == {"profile": "fast"}
    assert config.warnings == ()


def test_sections_in_both_places_mix(load: Load) -> None:
    config = load("osprey: {execution: {timeout: 5}}\napproval: {mode: all_code}\n")
    assert (config.execution.timeout, config.approval.mode) == (5, "all_code")


def test_same_section_in_both_places_is_an_error(load: Load) -> None:
    with pytest.raises(ConfigurationError, match="execution stands both at top level and under osprey"):
        load("osprey: {execution: {timeout: 5}}\nexecution: {isolation: full}\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("execution:\n  izolation: full\n", r"line 2: execution.izolation .* mean execution.isolation\?"),
        ("osprey:\n  execution:\n    isolatoin: full\n", r"line 3: execution.isolatoin .* mean execution.isolation\?"),
        ("execution: {limits: {memroy: 1}}\n", r"mean execution.limits.memory\?"),
        ("models: {m: {provider: openai, model_id: x, temprature: 1}}\n", r"mean models.m.temperature\?"),
        ("control_system: {address_list: []}\n", r"address_list belongs to control_system.epics"),
        ("execution: {max_execution_time: 5}\n", r"mean execution.timeout\?"),
        ("control_system: {enable_writes: true}\n", r"mean control_system.writes_enabled\?"),
        ("approval: {colour: red}\n", r"known here are mode, expiry"),
        ("excution: {}\n", r"did you mean execution\?"),
        ("osprey: {aproval: {}}\n", r"did you mean approval\?"),
    ],
)
def test_unknown_key_names_the_nearest(load: Load, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("execution: {execution_method: docker}", "execution_method should be 'local' or 'container'"),
        ("execution: {isolation: yes}", "isolation should be 'full', 'restricted' or 'none'"),
        ("execution: {timeout: 0}", "timeout should be greater than 0"),
        ("execution: {timeout: .nan}", "timeout"),
        ("execution: {timeout: .inf}", "timeout should be a finite number"),
        ("execution: {limits: {memory: 12 parsecs}}", "limits.memory is not usable: '12 parsecs' is not a size"),
        ("execution: {limits: {memory: 1e400 GiB}}", "limits.memory is not usable: '1e400 GiB' is not a finite size"),
        ("execution: {limits: {memory: 1 GiB, folder: 2000000 GiB}}", "limits.folder should be less than or equal to"),
        (f"execution: {{limits: {{tmp: {2**50 + 1}}}}}", "limits.tmp should be less than or equal to"),
        (f"execution: {{limits: {{output: 1{'0' * 400}}}}}", "limits.output should be less than or equal to"),
        ("execution: {limits: {cpu_time: 1e8}}", "limits.cpu_time should be less than or equal to"),
        ("execution: {limits: {processes: 1000001}}", "limits.processes should be less than or equal to"),
        ("execution: {limits: {open_files: 1000001}}", "limits.open_files should be less than or equal to"),
        ("execution: {limits: {open_files: 3}}", "limits.open_files should be greater than or equal to 32"),
        ("execution: {limits: {files: 1000001}}", "limits.files should be less than or equal to"),
        ("execution: {timeout: 1e300}", "execution.timeout should be less than or equal to"),
        (f"execution: {{timeout: 1{'0' * 400}}}", "execution.timeout should be a valid number"),
        ("approval: {expiry: 1e12}", "approval.expiry should be less than or equal to"),
        ("models: {m: {provider: openai, model_id: x, timeout: 1e12}}", "models.m.timeout should be less than"),
        (
            "models: {m: {provider: openai, model_id: x, max_tokens: 1000001}}",
            "models.m.max_tokens should be less than",
        ),
        ("execution: {max_generation_retries: -1}", "max_generation_retries"),
        ("execution: {container: {jupyter_port: 99999}}", "jupyter_port"),
        ("execution: {generators: {basic: fast}}", "generators.basic must be a mapping"),
        ("approval: {mode: selective}", "approval.mode should be"),
        ("control_system: {writes_enabled: maybe}", "writes_enabled"),
        ("models: {m: {provider: openai}}", "models.m.model_id is missing"),
        ("models: {m: {provider: p, model_id: x, base_url: 'ftp://x'}}", "base_url is not usable: a URL starts"),
        ("models: {m: {provider: p, model_id: x, base_url: 'https://u:p@x'}}", "must not carry a user or password"),
        ("models: [a]", "models must be a mapping"),
    ],
)
def test_wrong_value_names_key_and_remedy(load: Load, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        load(text)
    assert "line 1" in str(caught.value)
    assert "u:p@" not in str(caught.value)


def test_all_problems_are_told_at_once(load: Load) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load("execution: {timeout: 0, isolation: no}\napproval: {mode: never}\n")
    assert all(key in str(caught.value) for key in ("execution.timeout", "execution.isolation", "approval.mode"))


def test_sections_of_others_are_ignored_in_one_line(load: Load) -> None:
    config = load("logging: {a: 1}\ncli: {}\nfacility_special: {x: '${NOT_SET}'}\n")
    assert config.warnings == (
        "3 sections do not concern this service and were ignored: cli, facility_special, logging",
    )


def test_limits_and_timeout_agree(load: Load) -> None:
    assert load("execution: {limits: {timeout: 7, memory: 512 MiB}}").execution.timeout == 7
    config = load("execution: {timeout: 5, limits: {timeout: 7, memory: 512 MiB}}")
    assert config.execution.limits.timeout == config.execution.timeout == 5
    assert config.execution.limits.memory == 512 * 2**20
    assert ExecutionConfig(limits=Limits(timeout=9)).timeout == 9
    assert ExecutionConfig().limits == Limits()


def test_paths_are_those_of_the_file(load: Load, tmp_path: Path) -> None:
    config = load(
        "execution: {python_env_path: venv/bin/python}\ncontrol_system: {limits_database: /abs/limits.json}\n"
    )
    assert config.execution.python_env_path == tmp_path / "venv/bin/python"
    assert config.control_system.limits_database == Path("/abs/limits.json")


def test_address_list_as_epics_writes_it(load: Load) -> None:
    for written in ("'a:5064 b'", "[a:5064, b]", "'a:5064, b'"):
        assert load(f"control_system: {{epics: {{address_list: {written}}}}}").control_system.epics.address_list == (
            "a:5064",
            "b",
        )


def test_providers_fill_in_endpoint_and_key(load: Load) -> None:
    models = load(
        """
        models:
          a: {provider: anthropic, model_id: x}
          b: {provider: openai, model_id: x, base_url: "http://localhost:8000/v1/"}
          c: {provider: ollama, model_id: x}
          d: {provider: my-lab, model_id: x, base_url: https://models.example.org/v1}
          e: {provider: elsewhere, model_id: x}
        """,
        ANTHROPIC_API_KEY="ka",
        MY_LAB_API_KEY="kd",
    ).models
    keys = {name: model.api_key.get_secret_value() if model.api_key else None for name, model in models.items()}
    assert keys == {"a": "ka", "b": None, "c": None, "d": "kd", "e": None}
    assert models["a"].base_url == "https://api.anthropic.com"
    assert models["b"].base_url == "http://localhost:8000/v1"
    assert all(not model.unset for model in models.values())


def test_defaults() -> None:
    config = Config()
    assert config.execution.code_generator is None
    assert (config.approval.mode, config.approval.expiry) == ("control_writes", 86400)
    assert (config.control_system.type, config.control_system.writes_enabled) == ("mock", False)
    assert (config.execution.isolation, config.execution.timeout) == ("full", 600)


@pytest.mark.parametrize("word", ["'yes'", "'true'", "1", "on please", "[]", "'false'"])
@pytest.mark.parametrize(
    "switch", ["control_system: {writes_enabled: @}", "models: {m: {provider: p, model_id: x, streaming: @}}"]
)
def test_a_switch_is_a_real_boolean(load: Load, switch: str, word: str) -> None:
    key = "writes_enabled" if "writes" in switch else "streaming"
    with pytest.raises(ConfigurationError, match=f"line 1: .*{key} must be true or false"):
        load(switch.replace("@", word))
    assert load("control_system: {writes_enabled: yes}").control_system.writes_enabled is True


def test_a_switch_from_a_variable_is_exactly_true_or_false(load: Load) -> None:
    written = "control_system: {writes_enabled: '${WRITES:-false}'}"
    assert load(written).control_system.writes_enabled is False
    config = load(written, WRITES="true")
    assert config.control_system.writes_enabled is True
    assert Config.from_record(config.to_record(), environ={}).control_system.writes_enabled is True
    for word in ("yes", "True", "1", "true "):
        with pytest.raises(ConfigurationError, match=r"control_system\.writes_enabled must be true or false"):
            load(written, WRITES=word)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("execution: {timeout: ten}", "execution.timeout"),
        ("execution: {limits: {timeout: ten}}", "execution.limits.timeout"),
        ("execution: {timeout: ten, limits: {timeout: 5}}", "execution.timeout"),
    ],
)
def test_a_wrong_timeout_is_told_where_it_stands_and_only_there(load: Load, text: str, key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    told = str(caught.value).partition("config.yml")[2]
    assert told.count("timeout") == 1
    assert f": {key} should be" in told


def test_the_container_section_keeps_its_secrets(load: Load) -> None:
    container = "{token: secret-1, headers: {X-Key: secret-2}, base_url: /user/anna/, warm_kernels: 0}"
    config = load(f"execution: {{execution_method: container, container: {container}}}")
    assert config.execution.container.headers["X-Key"].get_secret_value() == "secret-2"
    for shown in (repr(config), str(config.masked()), str(config.to_record())):
        assert "secret-1" not in shown
        assert "secret-2" not in shown
