"""`config`: which file won, what it came to, and a first one."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor.testing.scripted_provider import ScriptedProvider, Step

from .conftest import Cli


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without a configuration."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def test_no_file_is_no_problem(cli: Cli) -> None:
    said = cli("config", "check")
    assert said.code == 0
    assert "defaults" in said.out
    assert "config init" in said.out


def test_check_says_which_file_won(cli: Cli, folder: Path) -> None:
    (folder / "config.yml").write_text("approval: {mode: all_code}")
    said = cli("config", "check")
    assert said.code == 0
    assert "used" in said.out
    assert "./config.yml" in said.out
    assert cli("config", "check", "--json").document["source"] == str(folder / "config.yml")


@pytest.mark.parametrize("text", ["a: [", "approval: {mod: all_code}", "- 1", "\x00", "execution: {timeout: -1}"])
def test_a_wrong_file_is_told_in_a_sentence(cli: Cli, folder: Path, text: str) -> None:
    (folder / "config.yml").write_text(text)
    said = cli("config", "check")
    assert said.code == 2
    assert "config.yml" in said.out
    assert cli("config", "show").code == 2
    assert cli("run", "ok").code in (0, 2)


def test_each_problem_has_a_line_of_its_own(cli: Cli, folder: Path) -> None:
    keys = "".join(f"  colour{number}: red\n" for number in range(7))
    (folder / "config.yml").write_text(f"approval:\n{keys}")
    rows = [row for row in cli("config", "check").out.splitlines() if row.startswith("problem")]
    assert [f"approval.colour{number} is not a key" in row for number, row in enumerate(rows)] == [True] * 7
    assert len(cli("config", "check", "--json").document["problems"]) == 7


def test_the_file_may_be_named_before_the_command(cli: Cli, folder: Path) -> None:
    (folder / "one.yml").write_text("approval: {mode: all_code}")
    (folder / "two.yml").write_text("approval: {mode: disabled}")
    assert cli("--config", "one.yml", "config", "show", "--json").document["approval"]["mode"] == "all_code"
    both = cli("--config", "one.yml", "config", "show", "--json", "--config", "two.yml")
    assert both.document["approval"]["mode"] == "disabled"
    said = cli("--config", "one.yml", "pending")
    assert said.code == 2
    assert "pending takes none: each run has its own configuration" in said.err


def test_secrets_are_masked(cli: Cli, folder: Path) -> None:
    (folder / "config.yml").write_text("models: {m: {provider: openai, model_id: x, api_key: s3cr3t}}")
    for arguments in (["show"], ["show", "--json"], ["check"], ["check", "--json"]):
        said = cli("config", *arguments)
        assert said.code == 0
        assert "s3cr3t" not in said.out + said.err


def test_init_without_a_terminal(cli: Cli, folder: Path) -> None:
    assert "give --provider and --model" in cli("config", "init").err
    assert cli("config", "init", "--provider", "openai", "--model", "gpt-5").code == 0
    assert cli("config", "check").code == 0
    again = cli("config", "init", "--provider", "openai", "--model", "gpt-5")
    assert again.code == 2
    assert "--force" in again.err
    assert cli("config", "init", "--provider", "openai", "--model", "x", "--force").code == 0
    assert '"x"' in (folder / "config.yml").read_text()


def test_a_key_in_place_of_its_variable_is_refused(cli: Cli, folder: Path) -> None:
    said = cli("config", "init", "--provider", "openai", "--model", "x", "--key-variable", "sk-12345-secret")
    assert said.code == 2
    assert "sk-12345" not in said.err
    assert not (folder / "config.yml").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("control_system: {type: epcis}", "control_system.type: there is no 'epcis'; did you mean epics?"),
        ("execution: {code_generator: basci}", "execution.code_generator: there is no 'basci'; did you mean basic?"),
        ("execution: {code_generator: zzz}", "there is no 'zzz'; available: basic, claude_code, hybrid, mock"),
        ("execution: {execution_method: container}\ncontrol_system: {type: epics}", "accept_unproven: true"),
        ("execution: {execution_method: container, isolation: restricted}", "cannot give execution.isolation"),
    ],
)
def test_what_cannot_be_is_found_before_a_run_is(cli: Cli, folder: Path, text: str, told: str) -> None:
    (folder / "config.yml").write_text(text)
    said = cli("config", "check")
    assert said.code == 2
    assert told in said.out
    assert said.out.endswith("The configuration cannot be used: no run would start.\n")
    assert cli("config", "check", "--json").document["ok"] is False
    assert "starting" not in cli("run", "ok").err


CLAUDE = "execution: {code_generator: claude_code}"
HYBRID = "execution: {code_generator: hybrid, generators: {hybrid: {first: mock, then: %s}}}"


@pytest.mark.parametrize(
    ("text", "file", "told"),
    [
        (CLAUDE, "phases: [", "claude_generator_config.yml"),
        (CLAUDE, "profils: {}", "did you mean profiles?"),
        (CLAUDE, "codebase_guidance: {a: {directories: [nowhere]}}", "codebase_guidance.a.directories:"),
        (HYBRID % "zzz", "", "there is no generator zzz; available are basic, claude_code, hybrid, mock"),
        (HYBRID % "claude_code", "profils: {}", "did you mean profiles?"),
        (HYBRID % "mock, failures: 0", "", "failures must be a whole number from 1"),
    ],
)
def test_check_looks_into_what_a_generator_is_made_of(cli: Cli, folder: Path, text: str, file: str, told: str) -> None:
    (folder / "config.yml").write_text(text)
    (folder / "claude_generator_config.yml").write_text(file)
    said = cli("config", "check")
    assert said.code == 2
    assert said.out.count(told) == 1


def test_check_tells_that_claude_code_lacks_its_key(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    (folder / "config.yml").write_text(CLAUDE)
    said = cli("config", "check")
    assert said.code == 0
    assert "there is no key; set ANTHROPIC_API_KEY" in said.out
    monkeypatch.setenv("ANTHROPIC_API_KEY", "s3cr3t")
    assert cli("config", "check").out.endswith("The configuration can be used.\n")


def test_a_class_of_ones_own_may_be_a_generator(cli: Cli, folder: Path) -> None:
    (folder / "config.yml").write_text("execution: {code_generator: 'my.module:Writer'}")
    assert cli("config", "check").code == 0


def test_a_lacking_key_is_named_and_makes_the_last_line_milder(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    cli("config", "init", "--provider", "anthropic", "--model", "claude")
    said = cli("config", "check")
    assert said.code == 0
    assert "ANTHROPIC_API_KEY" in said.out
    assert said.out.endswith("what is lacking fails once it is needed.\n")
    assert "api_key: ${ANTHROPIC_API_KEY} (not set)" in cli("config", "show").out
    assert "starting" not in cli("run", "ok").err
    (folder / "own.py").write_text("x = 1")
    assert "starting" in cli("run", "--code", "own.py").err
    monkeypatch.setenv("ANTHROPIC_API_KEY", "s3cr3t")
    assert cli("config", "check").out.endswith("The configuration can be used.\n")
    assert "********" in cli("config", "show").out


def test_init_says_which_machine_it_chose(cli: Cli) -> None:
    said = cli("config", "init", "--provider", "openai", "--model", "gpt-5")
    assert "Machine: mock" in said.err
    assert "control_system.type" in said.err


def test_a_limits_database_that_cannot_be_read_is_told_and_keeps_no_run_from_starting(cli: Cli, folder: Path) -> None:
    (folder / "config.yml").write_text("control_system: {limits_database: limits.yml}")
    (folder / "own.py").write_text("x = 1")
    for text, told in ((None, "limits.yml: no such file"), ("X:\n  min: 1", "limits.yml line 2: X.min is not a key")):
        if text is not None:
            (folder / "limits.yml").write_text(text)
        said = cli("config", "check")
        assert said.code == 2
        assert told in said.out
        assert said.out.endswith("Runs would start, and every write would be refused.\n")
        assert "starting" in cli("run", "--code", "own.py").err
    (folder / "limits.yml").write_text("X: {min_value: 1}")
    assert cli("config", "check").code == 0


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("{type: epics}", "control_system.epics.address_list is empty"),
        ("{type: pva, pva: {address_list: ['a b']}}", "not an address"),
        ("{preconditions: [{channel: 'A*', condition: '> 1'}]}", "not a channel name"),
    ],
)
def test_a_control_system_that_cannot_be_asked_is_a_problem(cli: Cli, folder: Path, section: str, words: str) -> None:
    (folder / "config.yml").write_text(f"control_system: {section}\n")
    said = cli("config", "check")
    assert said.code == 2
    assert words in " ".join((said.out + said.err).split())


@pytest.mark.parametrize(
    ("step", "code", "told"),
    [
        (Step("Yes"), 0, "answered after"),
        (Step("Ye", stop="length"), 0, "answered after"),
        (Step(status=401), 6, "refused the key; put a valid one into api_key of the model (ANTHROPIC_API_KEY)"),
        (Step(status=404), 6, "does not know the model; mend model_id"),
        (None, 6, "cannot be reached at http://127.0.0.1"),
    ],
    ids=["answer", "cut short", "wrong key", "wrong model", "no route"],
)
def test_online_asks_the_model_once(cli: Cli, folder: Path, step: Step | None, code: int, told: str) -> None:
    with ScriptedProvider() as provider:
        url = provider.url
        model = f"{{provider: anthropic, model_id: claude-1, api_key: s3cr3t, base_url: '{url}'}}"
        (folder / "config.yml").write_text(
            f"execution: {{code_generator: basic}}\nmodels: {{python_code_generator: {model}}}"
        )
        if step is None:
            provider.__exit__(None, None, None)
        else:
            provider.script(step)
        said = cli("config", "check", "--online", "--json")
        assert said.code == code
        [probe] = said.document["online"]
        assert probe["name"] == "basic (anthropic/claude-1)"
        assert told in probe["detail"]
        assert "s3cr3t" not in said.out
        if step is not None:
            assert [asked.body["max_tokens"] for asked in provider.requests] == [16]


def test_online_without_a_model_asks_nobody(cli: Cli, folder: Path) -> None:
    for text, outcome in (
        ("{}", "none is configured"),
        ("execution: {code_generator: mock}", "asks no model"),
        ("execution: {code_generator: basic}\nmodels: {python_code_generator: {provider: openai, model_id: x}}", "set"),
    ):
        (folder / "config.yml").write_text(text)
        assert outcome in cli("config", "check", "--online", "--json").document["online"][0]["detail"]
    assert "OPENAI_API_KEY in the environment" in cli("config", "check", "--online").out


def test_settings_of_claude_code_are_written_once(cli: Cli, folder: Path) -> None:
    assert cli("generate", "claude-config").code == 0
    written = folder / "claude_generator_config.yml"
    assert "codebase_guidance" in written.read_text()
    written.write_text("profiles: {}\n")
    again = cli("generate", "claude-config")
    assert again.code == 2
    assert "exists" in again.err
    assert written.read_text() == "profiles: {}\n"
    (folder / "config.yml").write_text("execution: {code_generator: claude_code}")
    assert cli("config", "check").code == 0
