"""The control system: a broker outside the sandbox, connectors behind it, and a virtual accelerator to try it on."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from osprey_executor.control.broker._broker import (
        Broker,
        control_problem,
        control_report,
        open_control,
        unproven_problem,
    )
    from osprey_executor.control.broker._command import is_command
    from osprey_executor.control.broker._journal import effects_of, writes_of
    from osprey_executor.control.broker._names import channel_name
    from osprey_executor.control.broker._permit import UnattendedPermit, WritePermit
    from osprey_executor.control.broker._present import present_of
    from osprey_executor.control.broker._rehearsal import RehearsalSession
    from osprey_executor.control.broker._restore import restoring_of
    from osprey_executor.control.broker._session import Session
    from osprey_executor.control.broker._settled import journal_settlement, looked_at, unsettled_of
    from osprey_executor.control.broker._start import plain, same
    from osprey_executor.control.broker._stop import StopSwitch
    from osprey_executor.control.connectors._create import available_archivers, available_connectors
    from osprey_executor.control.connectors._lacking import NoArchive, NoCommands, NoLiveValues
    from osprey_executor.control.connectors._protocol import ChannelKind, Confirmation, Connector, Sample, Timeouts
    from osprey_executor.control.connectors.epics import EpicsConnector
    from osprey_executor.control.connectors.epics_archiver import EpicsArchiver
    from osprey_executor.control.connectors.mock import MockArchiver, MockConnector
    from osprey_executor.control.connectors.pva import PvaConnector
    from osprey_executor.control.connectors.simulator import SimulatorConnector
    from osprey_executor.control.gateways._kinds import first_words, gateways_for
    from osprey_executor.control.limits._file import LimitsFile, LimitsInForce, limits_problem
    from osprey_executor.control.limits._live import check_limits
    from osprey_executor.control.limits._words import (
        group_limits,
        limits_words,
        restorable,
        stop_actions,
        with_stop_channels,
    )

__all__ = [
    "Broker",
    "ChannelKind",
    "Confirmation",
    "Connector",
    "EpicsArchiver",
    "EpicsConnector",
    "LimitsFile",
    "LimitsInForce",
    "MockArchiver",
    "MockConnector",
    "NoArchive",
    "NoCommands",
    "NoLiveValues",
    "PvaConnector",
    "RehearsalSession",
    "Sample",
    "Session",
    "SimulatorConnector",
    "StopSwitch",
    "Timeouts",
    "UnattendedPermit",
    "WritePermit",
    "available_archivers",
    "available_connectors",
    "channel_name",
    "check_limits",
    "control_problem",
    "control_report",
    "effects_of",
    "first_words",
    "gateways_for",
    "group_limits",
    "is_command",
    "journal_settlement",
    "limits_problem",
    "limits_words",
    "looked_at",
    "open_control",
    "plain",
    "present_of",
    "restorable",
    "restoring_of",
    "same",
    "stop_actions",
    "unproven_problem",
    "unsettled_of",
    "with_stop_channels",
    "writes_of",
]

# Lazy: the child processes of connectors import this package too, and need none of it.
_HOMES = {
    "Broker": "broker._broker",
    "ChannelKind": "connectors._protocol",
    "Confirmation": "connectors._protocol",
    "Connector": "connectors._protocol",
    "EpicsArchiver": "connectors.epics_archiver",
    "EpicsConnector": "connectors.epics",
    "LimitsFile": "limits._file",
    "LimitsInForce": "limits._file",
    "MockArchiver": "connectors.mock",
    "MockConnector": "connectors.mock",
    "NoArchive": "connectors._lacking",
    "NoCommands": "connectors._lacking",
    "NoLiveValues": "connectors._lacking",
    "PvaConnector": "connectors.pva",
    "RehearsalSession": "broker._rehearsal",
    "Sample": "connectors._protocol",
    "Session": "broker._session",
    "SimulatorConnector": "connectors.simulator",
    "StopSwitch": "broker._stop",
    "Timeouts": "connectors._protocol",
    "UnattendedPermit": "broker._permit",
    "WritePermit": "broker._permit",
    "available_archivers": "connectors._create",
    "available_connectors": "connectors._create",
    "channel_name": "broker._names",
    "check_limits": "limits._live",
    "control_problem": "broker._broker",
    "control_report": "broker._broker",
    "effects_of": "broker._journal",
    "first_words": "gateways._kinds",
    "gateways_for": "gateways._kinds",
    "group_limits": "limits._words",
    "is_command": "broker._command",
    "journal_settlement": "broker._settled",
    "limits_problem": "limits._file",
    "limits_words": "limits._words",
    "looked_at": "broker._settled",
    "open_control": "broker._broker",
    "plain": "broker._start",
    "present_of": "broker._present",
    "restorable": "limits._words",
    "restoring_of": "broker._restore",
    "same": "broker._start",
    "stop_actions": "limits._words",
    "unproven_problem": "broker._broker",
    "unsettled_of": "broker._settled",
    "with_stop_channels": "limits._words",
    "writes_of": "broker._journal",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
