"""The keys of `claude_generator_config.yml`, as Osprey has them, and of the block `claude_code` in `config.yml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from osprey_executor.config import Key, Section, Switch, Url
from osprey_executor.models.limits import Count, Seconds

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Dollars = Annotated[float, Field(gt=0)]


def _off(value: bool) -> bool:
    if not value:
        raise ValueError("must be true: the CLI sends nothing beside the task; remove it")
    return value


Off = Annotated[Switch, AfterValidator(_off)]


class PhaseConfig(Section):
    """One part of the conversation."""

    prompt: str
    tools: tuple[Literal["Read", "Grep", "Glob"], ...] = ()
    max_turns: Count = 3
    """Answers in which the model may use tools."""
    agent_name: str = ""
    """Osprey's label of the phase; shown nowhere."""


class ProfileConfig(Section):
    """Which phases there are, and what they may take together."""

    phases: Annotated[tuple[Name, ...], Field(min_length=1, max_length=16)]
    model: str | None = None
    max_turns: Count = 20
    """Answers of all phases together."""
    max_budget_usd: Dollars = 1.0
    allow_codebase_reading: Switch = True
    description: str = ""
    save_prompts: Switch = False
    """Said once for all generators: `execution.save_prompts` of config.yml decides."""


class ApiConfig(Section):
    """Where the model is. The server speaks the protocol of Anthropic Messages."""

    provider: str = "anthropic"
    base_url: Url | None = None
    api_key: Key | None = None
    anthropic_model: str | None = None
    """The model where a profile names none."""
    anthropic_small_fast_model: str | None = None
    """What the CLI uses beside it; None: the same."""
    max_output_tokens: Count | None = None
    disable_telemetry: Off = True
    disable_non_essential_model_calls: Off = True


class LibraryConfig(Section):
    """Scripts to learn from."""

    directories: tuple[Path, ...]
    guidance: str = ""
    """When to look there."""


class FileConfig(Section):
    """All of `claude_generator_config.yml`."""

    api_config: ApiConfig = ApiConfig()
    system_prompt: str | None = None
    """In place of the rules of the answer."""
    system_prompt_extensions: str = ""
    """After them."""
    phases: dict[Name, PhaseConfig] = Field(default_factory=dict[str, PhaseConfig])
    profiles: dict[Name, ProfileConfig] = Field(default_factory=dict[str, ProfileConfig])
    codebase_guidance: dict[Name, LibraryConfig] = Field(default_factory=dict[str, LibraryConfig])


class BlockConfig(Section):
    """The block `execution.generators.claude_code`. What it says goes before the profile."""

    profile: Name = "fast"
    claude_config_path: Path | None = None
    """None: `claude_generator_config.yml` beside the configuration, if there is one."""
    api_config: ApiConfig | None = None
    phases: tuple[Name, ...] | None = None
    model: str | None = None
    max_turns: Count | None = None
    max_budget_usd: Dollars | None = None
    timeout: Seconds = 300.0
    """For one program, all phases and tries together."""
    containment: Literal["auto", "required"] = "auto"
    """Whether to go on where the kernel cannot confine the CLI, as `auto` does; `required` refuses."""
    keep_scratch: Switch = False
    """Whether the folder of the CLI stays, for looking into it."""
    cli_path: Path | None = None
    """A Claude Code of one's own; None: the one that comes with the SDK."""
