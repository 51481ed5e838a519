"""Which engine a name stands for."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from osprey_executor.config import Config, ExecutionConfig, config_from
from osprey_executor.errors import ConfigurationError, EngineUnavailableError
from osprey_executor.execution._engine import Engine
from osprey_executor.models import Gateways

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
    home: Path | None = None,
) -> AsyncGenerator[Engine]:
    """Open the engine `name` for as long as the context lasts.

    Args:
        name: `local`, or `container`.
        config: the whole configuration, its `execution` section, or that section as a mapping; None: the defaults.
        gateways: what programs with a session find on their own loopback, where the engine isolates in full; None:
            nothing.
        home: the state folder, where the container engine records its kernels; None: that of this user.

    Raises:
        EngineUnavailableError: the engine cannot give what the configuration demands; the message has cause and remedy.
        ConfigurationError: there is no such engine, or its configuration cannot be used.
    """
    section = _section(config)
    if name not in ("local", "container"):
        raise ConfigurationError(f"there is no engine {name!r}: known are local and container")
    if problem := engine_problem(section.model_copy(update={"execution_method": name})):
        raise EngineUnavailableError(problem)
    # Deferred: each needs parts that not every platform or installation has.
    if name == "container":
        from osprey_executor.execution.container import open_container

        async with open_container(section, home=home) as engine:
            yield engine
        return
    from osprey_executor.execution.local import open_local

    async with open_local(section, gateways=gateways) as engine:
        yield engine


def engine_problem(section: ExecutionConfig) -> str | None:
    """Return why no engine can give what `section` demands, as far as can be told without starting one."""
    if section.execution_method == "container":
        return _container_problem(section)
    if section.isolation != "none" and not sys.platform.startswith("linux"):
        return _NOT_LINUX.format(platform=sys.platform)
    return None


def _container_problem(section: ExecutionConfig) -> str | None:
    if find_spec("websockets") is None:
        return "execution_method: container needs an extra: pip install 'osprey-executor[container]'"
    wanted = {"isolation: restricted": section.isolation == "restricted", "network": bool(section.network)}
    wanted |= {"data_folders": bool(section.data_folders), "python_env_path": section.python_env_path is not None}
    if asked := [f"execution.{key}" for key, there in wanted.items() if there]:
        return (
            f"the container engine cannot give {', '.join(asked)}: these are matters of its Jupyter server; remove "
            "them, or set execution.execution_method to local"
        )
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
