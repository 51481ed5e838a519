"""The keys of `claude_code`: Osprey's files load, what is left out is as shipped, and what is wrong is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osprey_executor.config import config_from, load_config
from osprey_executor.errors import ConfigurationError
from osprey_executor.generation import ClaudeCodeGenerator, create_code_generator, generator_label
from osprey_executor.generation.claude_code._settings import Settings, settings_of

# As Osprey's template writes it, cut to its keys.
FROM_OSPREY = """\
api_config:
  provider: "cborg"
  api_key: ${CBORG_API_KEY}
  base_url: "https://api.cborg.lbl.gov"
  anthropic_model: "anthropic/claude-sonnet"
  anthropic_small_fast_model: "anthropic/claude-haiku"
  disable_non_essential_model_calls: true
  disable_telemetry: true
  max_output_tokens: 8192
system_prompt_extensions: |
  CONTROL SYSTEM OPERATIONS: use osprey.runtime.
phases:
  scan:
    agent_name: "code-scanner"
    prompt: Search the codebase.
    tools: ["Read", "Grep", "Glob"]
    max_turns: 3
profiles:
  fast:
    phases: [scan, generate]
    save_prompts: true
    model: "anthropic/claude-haiku"
    max_turns: 3
    max_budget_usd: 0.10
    description: "Fast"
codebase_guidance:
  plotting:
    directories:
      - "_agent_data/example_scripts/plotting/"
    guidance: Use for plots.
"""


def settings(folder: Path, **block: Any) -> Settings:
    return settings_of(block, folder)


def write(folder: Path, text: str) -> None:
    (folder / "claude_generator_config.yml").write_text(text)


def test_a_file_of_osprey_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBORG_API_KEY", "the-key")
    write(tmp_path, FROM_OSPREY)
    made = settings(tmp_path)
    assert [name for name, _ in made.phases] == ["scan", "generate"]
    assert made.phases[0][1].prompt == "Search the codebase."
    assert (made.max_turns, made.max_budget_usd) == (3, 0.10)
    assert made.model.model_id == "anthropic/claude-haiku"
    assert made.model.base_url == "https://api.cborg.lbl.gov"
    assert made.model.api_key is not None
    assert made.model.api_key.get_secret_value() == "the-key"
    assert "the-key" not in repr(made)
    assert made.small_model == "anthropic/claude-haiku"
    assert made.libraries["plotting"].directories == (tmp_path / "_agent_data/example_scripts/plotting",)
    # A profile that the file does not have is as shipped.
    assert [name for name, _ in settings(tmp_path, profile="robust").phases] == ["scan", "plan", "implement"]


def test_the_block_goes_before_the_profile(tmp_path: Path) -> None:
    write(tmp_path, FROM_OSPREY.replace("${CBORG_API_KEY}", "x"))
    made = settings(tmp_path, model="m", max_turns=7, max_budget_usd=2, phases=["generate"])
    assert (made.model.model_id, made.max_turns, made.max_budget_usd) == ("m", 7, 2)
    assert [name for name, _ in made.phases] == ["generate"]


def test_without_reading_there_are_no_tools_and_no_libraries(tmp_path: Path) -> None:
    text = FROM_OSPREY.replace("save_prompts: true", "allow_codebase_reading: false")
    write(tmp_path, text.replace("${CBORG_API_KEY}", "x"))
    made = settings(tmp_path)
    assert made.libraries == {}
    assert {phase.tools for _, phase in made.phases} == {()}


@pytest.mark.parametrize(
    ("text", "block", "words"),
    [
        ("profilez: {}\n", {}, "claude_generator_config.yml line 1: profilez is not a key; did you mean profiles?"),
        ("phases:\n  a: {prompt: x, tool: []}\n", {}, "did you mean phases.a.tools?"),
        (
            "phases:\n  a: {prompt: x, tools: [Bash]}\n",
            {},
            "phases.a.tools.0 should be 'Read', 'Grep' or 'Glob'",
        ),
        ("api_config: {disable_telemetry: false}\n", {}, "api_config.disable_telemetry must be true"),
        ("api_config: {base_url: '${NOWHERE_URL}'}\n", {}, "set NOWHERE_URL"),
        ("api_config: {provider: mine}\n", {"model": "m"}, "set api_config.base_url"),
        ("", {"profile": "robbust"}, "there is no profile robbust; did you mean robust?"),
        ("", {"phases": ["zzz"]}, "there is no phase zzz; there are generate, scan, plan, implement"),
        ("", {"profil": "fast"}, "execution.generators.claude_code: profil is not a key; did you mean profile?"),
        ("", {"claude_config_path": "not-there.yml"}, "not-there.yml"),
    ],
)
def test_mistakes_are_told_with_the_place(tmp_path: Path, text: str, block: dict[str, Any], words: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        settings(tmp_path, **block)
    assert words in str(caught.value)


async def test_the_configuration_names_it(tmp_path: Path) -> None:
    write(tmp_path, FROM_OSPREY)
    (tmp_path / "config.yml").write_text(
        "osprey:\n  execution:\n    code_generator: claude_code\n    generators:\n      claude_code:\n"
        "        profile: robust\n        claude_config_path: claude_generator_config.yml\n"
    )
    config = load_config(tmp_path / "config.yml", environ={})
    made = create_code_generator(config)
    assert isinstance(made, ClaudeCodeGenerator)
    assert generator_label(config, made) == "claude_code (cborg/anthropic/claude-sonnet)"
    assert isinstance(create_code_generator(config_from({"execution": {"code_generator": "claude_code"}})), type(made))
