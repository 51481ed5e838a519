"""From the configuration to connectors: built in, or by entry point."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from osprey_executor.config import ArchiverConfig, ControlSystemConfig, unsealed
from osprey_executor.control.connectors._protocol import Connector, Timeouts
from osprey_executor.control.connectors.epics import EpicsConnector
from osprey_executor.control.connectors.epics_archiver import EpicsArchiver
from osprey_executor.control.connectors.mock import MockArchiver, MockConnector
from osprey_executor.control.connectors.pva import PvaConnector
from osprey_executor.control.connectors.simulator import SimulatorConnector
from osprey_executor.errors import ConfigurationError, PythonExecutorException
from osprey_executor.text import one_line

SIMULATED = frozenset({"mock", "simulator"})
"""Connectors whose writes reach no hardware; every other one counts as real."""
GROUP = "osprey_executor.connectors"

BUILT_IN = ("epics", "mock", "pva", "simulator")
_ARCHIVERS = ("epics_archiver", "mock_archiver")


def available_connectors() -> tuple[str, ...]:
    """Return the names that `control_system.type` can have, without loading any plug-in."""
    return (*BUILT_IN, *sorted(_plug_ins()))


def available_archivers() -> tuple[str, ...]:
    """Return the names that `archiver.type` can have, without loading any plug-in."""
    return (*_ARCHIVERS, *sorted(_plug_ins()))


def create_connector(config: ControlSystemConfig, timeouts: Timeouts) -> Connector:
    """Return the connector that `control_system.type` names, not yet connected.

    Raises:
        ConfigurationError: there is none of that name, or its settings cannot be used.
    """
    match config.type:
        case "mock":
            return MockConnector()
        case "simulator":
            return SimulatorConnector(timeouts=timeouts)
        case "epics":
            return EpicsConnector(
                config.epics.address_list,
                name_servers=config.epics.name_servers,
                timeouts=timeouts,
                user_name=config.user_name,
            )
        case "pva":
            return PvaConnector(
                config.pva.address_list,
                name_servers=config.pva.name_servers,
                timeouts=timeouts,
                user_name=config.user_name,
            )
        case name:
            return _plugged_in(name, config, "control_system.type", available_connectors())


def create_archiver(archiver: ArchiverConfig, control: ControlSystemConfig) -> Connector | None:
    """Return what `archiver.type` names, not yet connected; None: the control system's own connector.

    Raises:
        ConfigurationError: there is none of that name, or its settings cannot be used.
    """
    match archiver.type:
        case None:
            return None
        case "mock_archiver":
            # The mock machine knows best what it would have been archived of it.
            return None if control.type == "mock" else MockArchiver()
        case "epics_archiver":
            return EpicsArchiver(archiver.epics_archiver.url, timeout=archiver.epics_archiver.timeout)
        case name:
            return _plugged_in(name, control, "archiver.type", available_archivers())


def addresses_of(config: ControlSystemConfig) -> tuple[str, ...]:
    """Return where a real control system is looked for, as far as the configuration says; an approval binds it.

    Of a plug-in's settings, which may hold secrets, it is the fingerprint.
    """
    match config.type:
        case "epics":
            return (*config.epics.address_list, *config.epics.name_servers)
        case "pva":
            return (*config.pva.address_list, *config.pva.name_servers)
        case "mock" | "simulator":
            return ()
        case name:
            settings = json.dumps(unsealed(config.connectors.get(name, {})), sort_keys=True, default=str)
            return (f"settings {hashlib.sha256(settings.encode()).hexdigest()[:16]}",)


def _plugged_in(name: str, config: ControlSystemConfig, key: str, available: tuple[str, ...]) -> Connector:
    found = _plug_ins().get(name)
    if found is None:
        raise ConfigurationError(f"{key} {one_line(name)!r} is not known: available are {', '.join(available)}")
    settings: dict[str, Any] = unsealed(config.connectors.get(name, {}))
    try:
        made = found.load()(settings)
    except PythonExecutorException:
        raise
    except Exception as error:
        # Importing and making it runs a stranger's code; whatever it raises is one sentence for who named it.
        raise ConfigurationError(
            f"the connector {one_line(name)} cannot be made with its block control_system.connectors.{one_line(name)}: "
            f"{one_line(f'{type(error).__name__}: {error}')}"
        ) from error
    if not isinstance(made, Connector):
        raise ConfigurationError(
            f"the connector {one_line(name)} lacks methods of osprey_executor.control.Connector: it needs connect, "
            "close, read, monitor, write, call, history, and addresses"
        )
    return made


def _plug_ins() -> dict[str, EntryPoint]:
    """Return the connectors that installed packages register; none may take the name of a built-in one."""
    built_in = {*BUILT_IN, *_ARCHIVERS}
    return {found.name: found for found in entry_points(group=GROUP) if found.name not in built_in}
