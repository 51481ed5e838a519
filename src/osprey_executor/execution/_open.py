"""Which engine a name stands for."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from osprey_executor.config import Config, ExecutionConfig, config_from
from osprey_executor.errors import ConfigurationError, EngineUnavailableError
from osprey_executor.execution._engine import Engine
from osprey_executor.models import Gateways

_CONTAINER = (
    "execution_method: container is not available in this release: set execution.execution_method to local, "
    "which isolates code on this machine without Docker"
)
_NOT_LINUX = (
    "the local engine isolates code with Linux namespaces or Landlock, and this is {platform}: use a Linux machine, a "
    "Linux virtual machine or WSL 2; or, if no containment is wanted, write execution.isolation: none into the "
    "configuration"
)


@asynccontextmanager
async def open_engine(
    name: str,
    config: Config | ExecutionConfig | Mapping[str, Any] | None = None,
    *,
    gateways: Gateways | None = None,
) -> AsyncGenerator[Engine]:
    """Open the engine `name` for as long as the context lasts.

    Args:
        name: `local`, or `container`.
        config: the whole configuration, its `execution` section, or that section as a mapping; None: the defaults.
        gateways: what programs with a session find on their own loopback, where the engine isolates in full; None:
            nothing.

    Raises:
        EngineUnavailableError: the engine cannot give what the configuration demands; the message has cause and remedy.
        ConfigurationError: there is no such engine, or its configuration cannot be used.
    """
    section = _section(config)
    if name not in ("local", "container"):
        raise ConfigurationError(f"there is no engine {name!r}: known are local and container")
    if problem := engine_problem(section.model_copy(update={"execution_method": name})):
        raise EngineUnavailableError(problem)
    # Deferred: it needs parts of the system that not every platform has.
    from osprey_executor.execution.local import open_local

    async with open_local(section, gateways=gateways) as engine:
        yield engine


def engine_problem(section: ExecutionConfig) -> str | None:
    """Return why no engine can give what `section` demands, as far as can be told without starting one."""
    if section.execution_method == "container":
        return _CONTAINER
    if section.isolation != "none" and not sys.platform.startswith("linux"):
        return _NOT_LINUX.format(platform=sys.platform)
    return None


def _section(config: Config | ExecutionConfig | Mapping[str, Any] | None) -> ExecutionConfig:
    if isinstance(config, Config):
        return config.execution
    if isinstance(config, ExecutionConfig):
        return config
    if config is None:
        return ExecutionConfig()
    whole = "execution" in config or "osprey" in config
    return config_from(config if whole else {"execution": dict(config)}).execution
