"""What one generator works with: the block, the file and what is shipped, put together and checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from osprey_executor.config import ModelConfig, provider, typed, typed_file, variables_for
from osprey_executor.errors import ConfigurationError
from osprey_executor.generation.claude_code._schema import (
    ApiConfig,
    BlockConfig,
    FileConfig,
    LibraryConfig,
    PhaseConfig,
    ProfileConfig,
)
from osprey_executor.text import one_line

SHIPPED = Path(__file__).with_name("claude_generator_config.yml")
_BLOCK = "execution.generators.claude_code"


@dataclass(frozen=True)
class Settings:
    """All that a generator needs to know."""

    profile: str
    phases: tuple[tuple[str, PhaseConfig], ...]
    model: ModelConfig
    """Its `timeout` holds for all phases together."""
    small_model: str
    max_turns: int
    max_budget_usd: float
    libraries: Mapping[str, LibraryConfig]
    """Their directories are absolute."""
    rules: str | None
    """In place of the rules of the answer, where somebody wrote others."""
    more_rules: str
    block: BlockConfig


def settings_of(block: Mapping[str, Any], folder: Path | None) -> Settings:
    """Return the settings for a block of `config.yml`; relative paths in it are those of `folder`.

    Raises:
        ConfigurationError: a key is unknown, a value cannot be used, or a name stands for nothing.
    """
    given = typed(_BLOCK, block, BlockConfig)
    folder = folder or Path.cwd()
    file, written, unset = _file(given, folder)
    profile = _profile(given, written)
    names = given.phases or profile.phases
    api = given.api_config or written.api_config
    tools = profile.allow_codebase_reading
    return Settings(
        profile=given.profile,
        phases=tuple((name, _phase(name, written, tools=tools)) for name in names),
        model=_model(given, profile, api, unset, file.parent if file else folder),
        small_model=api.anthropic_small_fast_model or "",
        max_turns=given.max_turns or profile.max_turns,
        max_budget_usd=given.max_budget_usd or profile.max_budget_usd,
        libraries=_libraries(written, file or folder) if tools else {},
        rules=written.system_prompt,
        more_rules=written.system_prompt_extensions,
        block=given.model_copy(update={"cli_path": given.cli_path and folder / given.cli_path.expanduser()}),
    )


def claude_generator_config() -> str:
    """Return the file of settings as it is shipped, with comments, to begin from."""
    return SHIPPED.read_text(encoding="utf-8")


@cache
def _shipped() -> FileConfig:
    return typed_file(SHIPPED, FileConfig, {})[0]


def _file(given: BlockConfig, folder: Path) -> tuple[Path | None, FileConfig, Mapping[tuple[str, ...], str]]:
    path = folder / (given.claude_config_path or Path(SHIPPED.name)).expanduser()
    if given.claude_config_path is None and not path.is_file():
        return None, _shipped(), {}
    written, unset = typed_file(path, FileConfig, os.environ)
    shipped = _shipped()
    more = {"phases": {**shipped.phases, **written.phases}, "profiles": {**shipped.profiles, **written.profiles}}
    return path, written.model_copy(update=more), unset


def _profile(given: BlockConfig, written: FileConfig) -> ProfileConfig:
    found = written.profiles.get(given.profile)
    if found is None:
        raise _unknown("profile", given.profile, written.profiles)
    return found


def _phase(name: str, written: FileConfig, *, tools: bool) -> PhaseConfig:
    found = written.phases.get(name)
    if found is None:
        raise _unknown("phase", name, written.phases)
    return found if tools else found.model_copy(update={"tools": ()})


def _model(
    given: BlockConfig, profile: ProfileConfig, api: ApiConfig, unset: Mapping[tuple[str, ...], str], folder: Path
) -> ModelConfig:
    known = provider(api.provider)
    # Other providers are known here by their OpenAI protocol, below /v1; the CLI adds /v1/messages itself.
    url = (api.base_url or known.base_url or "").removesuffix("/v1")
    key = api.api_key
    variable = unset.get(("api_config", "api_key")) or known.key_variable
    if key is None and variable:
        found = variables_for(folder, os.environ)[0].get(variable)
        key = SecretStr(found) if found else None
    fields: dict[str, Any] = {
        "provider": api.provider,
        "model_id": given.model or profile.model or api.anthropic_model or known.model_id or "",
        "base_url": url or None,
        "api_key": key and key.get_secret_value(),
        "max_tokens": api.max_output_tokens,
        "timeout": given.timeout,
    }
    if not fields["model_id"]:
        raise ConfigurationError(f"{_BLOCK}: {api.provider} has no model that is known here; name one as model")
    if not url:
        raise ConfigurationError(f"{_BLOCK}: {api.provider} has no address that is known here; set api_config.base_url")
    made = typed(_BLOCK, fields, ModelConfig)
    return made.with_unset({} if key else {"api_key": variable or "api_key"})


def _libraries(written: FileConfig, file: Path) -> dict[str, LibraryConfig]:
    base = file if file.is_dir() else file.parent
    return {
        name: library.model_copy(
            update={"directories": tuple(base / folder.expanduser() for folder in library.directories)}
        )
        for name, library in written.codebase_guidance.items()
    }


def _unknown(what: str, name: str, known: Mapping[str, Any]) -> ConfigurationError:
    near = get_close_matches(name, list(known), n=1)
    meant = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(one_line(one, 60) for one in known)}"
    return ConfigurationError(f"{_BLOCK}: there is no {what} {one_line(name, 60)}{meant}")
