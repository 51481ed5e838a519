"""Engines and control systems, opened at their first use and shared by the runs of one configuration."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osprey_executor.analysis import Site, site_of
from osprey_executor.config import Config, ExecutionConfig
from osprey_executor.control import Broker, gateways_for, open_control, unproven_problem
from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution import Engine, open_engine
from osprey_executor.models import Gateways


@dataclass(frozen=True)
class Equipment:
    """What one configuration needs to analyse and run code."""

    engine: Engine
    broker: Broker
    site: Site


class EquipmentPool:
    """Opens the equipment of a configuration once; closed by the stack that it was given.

    `home` is the state folder, where the kill switch is.
    """

    def __init__(self, stack: AsyncExitStack, home: Path) -> None:
        self._stack, self._home = stack, home
        self._opened: dict[str, Equipment] = {}
        self._brokers: dict[str, Broker] = {}
        self._engines: list[tuple[tuple[ExecutionConfig, Gateways | None], Engine]] = []
        """With what they were told: configurations that differ elsewhere share one, and with it its fork server."""
        self._turn = asyncio.Lock()

    async def of(self, config: Config, record: dict[str, Any] | None = None) -> Equipment:
        """Return the equipment of `config`.

        Args:
            config: the configuration.
            record: `config.to_record()`, if it was made already.

        Raises:
            EngineUnavailableError: the engine cannot give what the configuration demands.
            ConfigurationError: the configuration of engine or control system cannot be used.
            MissingExtraError: a part is not installed.
        """
        name = _name(config, record)
        async with self._turn:
            if name not in self._opened:
                site = await asyncio.to_thread(site_of, config.analysis)
                if problem := unproven_problem(config):
                    raise EngineUnavailableError(problem)
                engine = await self._engine(config)
                self._opened[name] = Equipment(engine, await self._broker(name, config), site)
            return self._opened[name]

    async def broker(self, config: Config) -> Broker:
        """Return the broker of `config` alone, for whoever looks at the machine and runs nothing.

        Raises:
            ConfigurationError: the configuration of the control system cannot be used.
            MissingExtraError: a part is not installed.
            ControlSystemError: it cannot be started.
        """
        async with self._turn:
            return await self._broker(_name(config), config)

    def opened_broker(self, config: Config) -> Broker | None:
        """Return the broker of `config` if this process has opened it."""
        return self._brokers.get(_name(config))

    def broker_of(self, machine: str) -> Broker | None:
        """Return the open broker of exactly this machine, None where there is none in this process."""
        return next((each for each in self._brokers.values() if each.machine == machine), None)

    async def _broker(self, name: str, config: Config) -> Broker:
        if name not in self._brokers:
            self._brokers[name] = await self._stack.enter_async_context(open_control(config, home=self._home))
        return self._brokers[name]

    async def _engine(self, config: Config) -> Engine:
        section, gateways = config.execution, gateways_for(config.control_system)
        wanted = section.model_copy(update={"code_generator": None, "generators": {}}), gateways
        for told, engine in self._engines:
            if told == wanted:
                return engine
        engine = await self._stack.enter_async_context(
            open_engine(section.execution_method, section, gateways=gateways, home=self._home)
        )
        self._engines.append((wanted, engine))
        return engine


def _name(config: Config, record: dict[str, Any] | None = None) -> str:
    return json.dumps(record or config.to_record(), sort_keys=True)
