"""What `config check` and `config show` tell: the file that won, what each section came to, what is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from osprey_executor.config._config import Config
from osprey_executor.config._generator_model import asks_models, model_for
from osprey_executor.config._load import load_config
from osprey_executor.config._record import place
from osprey_executor.config._search import places
from osprey_executor.config.schema import AnalysisConfig, ControlSystemConfig, ExecutionConfig
from osprey_executor.errors import ConfigurationError
from osprey_executor.text import one_line


@dataclass(frozen=True)
class Available:
    """What the rooms above this one can do; they tell it to `check`, which must not know them."""

    generators: Sequence[str]
    connectors: Sequence[str]
    archivers: Sequence[str]
    engine_problem: Callable[[ExecutionConfig], str | None]
    """Why no engine can give what a section demands."""
    analysis_problem: Callable[[AnalysisConfig], str | None]
    """What of a section the analysis cannot use."""
    limits_problem: Callable[[ControlSystemConfig], str | None]
    """Why the limits database of a section cannot be used."""
    control_problem: Callable[[ControlSystemConfig], str | None]
    """Why the control system of a section cannot be used."""
    unproven_problem: Callable[[Config], str | None]
    """Why the engine may not run programs next to the control system."""
    generator_faults: Callable[[Config], tuple[list[str], list[str]]]
    """What keeps the generator of code from being made, and what it lacks once it is used."""


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
    shut: tuple[str, ...] = ()
    """What keeps every write from being sent, though runs would start: a limits database that cannot be read."""
    problems: tuple[str, ...] = ()

    @property
    def generates(self) -> bool:
        """Whether nothing is known that keeps code from being generated."""
        return not self.problems and not self.lacking and bool(self.sections["execution"]["code_generator"])

    @property
    def ok(self) -> bool:
        """Whether the configuration can be used."""
        return not self.problems and not self.shut


def check(
    path: Path | None = None, *, environ: Mapping[str, str] | None = None, available: Available | None = None
) -> CheckReport:
    """Look at the configuration without using it; never raises for what is in it.

    Args:
        path: the file; None: searched for as `load_config` does.
        environ: the variables; None: those of this process.
        available: what names may stand for; None: names are not looked at.
    """
    variables = os.environ if environ is None else environ
    try:
        candidates = places(path, variables)
    except ConfigurationError as error:
        return CheckReport(problems=(str(error),))
    searched = tuple((place.told, place.path, place.exists) for place in candidates)
    try:
        config = load_config(path, environ=variables)
    except ConfigurationError as error:
        return CheckReport(searched=searched, problems=error.problems)
    faults, lacks = available.generator_faults(config) if available else (_generator_problems(config), [])
    lacking = [f"{key} uses ${{{name}}}, which is not set" for key, name in config.unset().items()]
    return CheckReport(
        source=config.source,
        searched=searched,
        sections=_sections(config),
        warnings=config.warnings,
        lacking=(*lacking, *lacks),
        shut=_shut(config, available) if available else (),
        problems=(*(_unavailable(config, available) if available else ()), *faults),
    )


def _sections(config: Config) -> dict[str, Any]:
    """Return the sections masked; where a variable is not set, the variable is named."""
    sections = config.masked()
    for name, model in config.models.items():
        for key, variable in model.unset.items():
            place(sections, ("models", name, key), f"${{{variable}}} (not set)")
    for name in config.execution.generators:
        for keys, variable in config.unset("execution", "generators", name).items():
            place(sections, ("execution", "generators", name, *keys.split(".")), f"${{{variable}}} (not set)")
    return sections


def _shut(config: Config, available: Available) -> tuple[str, ...]:
    problem = available.limits_problem(config.control_system)
    return (f"control_system.limits_database: {problem}",) if problem else ()


def _unavailable(config: Config, available: Available) -> list[str]:
    """Return what the configuration names and is not there."""
    told: list[str] = []
    kind = config.control_system.type
    if kind not in available.connectors:
        told.append(_unknown("control_system.type", kind, available.connectors))
    elif problem := available.control_problem(config.control_system):
        told.append(problem)
    generator = config.execution.code_generator
    # A class of one's own, `module:Class`, is only found by importing it.
    if generator and ":" not in generator and generator not in available.generators:
        told.append(_unknown("execution.code_generator", generator, available.generators))
    archiver = config.archiver.type
    if archiver is not None and archiver not in (*available.archivers, *available.connectors):
        told.append(_unknown("archiver.type", archiver, available.archivers))
    if problem := available.engine_problem(config.execution) or available.unproven_problem(config):
        told.append(problem)
    if problem := available.analysis_problem(config.analysis):
        told.append(problem)
    return told


def _unknown(key: str, name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{key}: there is no {one_line(name, 60)!r}; {meant}available: {', '.join(known)}"


def _generator_problems(config: Config) -> list[str]:
    try:
        for block in asks_models(config):
            model_for(config, block)
    except ConfigurationError as error:
        return [str(error)]
    return []
