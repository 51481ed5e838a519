"""What `config check` and `config show` tell: the file that won, what each section came to, what is wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from osprey_executor.config._config import Config
from osprey_executor.config._generator_model import model_for
from osprey_executor.config._load import load_config
from osprey_executor.config._search import places
from osprey_executor.errors import ConfigurationError


class CheckReport(BaseModel):
    """The configuration as it was found. Secrets are masked."""

    model_config = ConfigDict(frozen=True)

    source: Path | None = None
    """The file that won; None: defaults, or nothing usable."""
    searched: tuple[tuple[str, Path, bool], ...] = ()
    """Each place in order: its name, the file, whether it exists."""
    sections: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    """What fails only when it is used: a key whose variable is not set."""
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the configuration can be used."""
        return not self.problems


def check(path: Path | None = None, *, environ: Mapping[str, str] | None = None) -> CheckReport:
    """Look at the configuration without using it; never raises for what is in it."""
    variables = os.environ if environ is None else environ
    try:
        candidates = places(path, variables)
    except ConfigurationError as error:
        return CheckReport(problems=(str(error),))
    searched = tuple((place.told, place.path, place.exists) for place in candidates)
    try:
        config = load_config(path, environ=variables)
    except ConfigurationError as error:
        return CheckReport(searched=searched, problems=(str(error),))
    lacking = [f"{key} uses ${{{name}}}, which is not set" for key, name in config.unset().items()]
    return CheckReport(
        source=config.source,
        searched=searched,
        sections=config.masked(),
        warnings=config.warnings,
        lacking=tuple(lacking),
        problems=tuple(_generator_problems(config)),
    )


def _generator_problems(config: Config) -> list[str]:
    if config.execution.code_generator != "basic":
        return []
    try:
        model_for(config)
    except ConfigurationError as error:
        return [str(error)]
    return []
