"""From the configuration to a connector."""

from __future__ import annotations

from osprey_executor.config import ControlSystemConfig
from osprey_executor.control.connectors._protocol import Connector, Timeouts
from osprey_executor.control.connectors.epics import EpicsConnector
from osprey_executor.control.connectors.mock import MockConnector
from osprey_executor.control.connectors.simulator import SimulatorConnector
from osprey_executor.errors import ConfigurationError
from osprey_executor.text import one_line

SIMULATED = frozenset({"mock", "simulator"})
"""Connectors whose writes reach no hardware; every other one counts as real."""


_BUILT_IN = ("epics", "mock", "simulator")


def available_connectors() -> tuple[str, ...]:
    """Return the names that `control_system.type` can have."""
    return _BUILT_IN


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
            return EpicsConnector(config.epics.address_list, name_servers=config.epics.name_servers, timeouts=timeouts)
        case unknown:
            raise ConfigurationError(
                f"control_system.type {one_line(unknown)!r} is not known: available are {', '.join(_BUILT_IN)}"
            )
