"""`limits check`: the limits database beside the machine that it is for. Reads only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from osprey_executor.config import Config
from osprey_executor.control.broker._names import channel_name
from osprey_executor.control.connectors._create import create_connector
from osprey_executor.control.connectors._protocol import ChannelKind, Connector, Sample, Timeouts
from osprey_executor.control.limits._check import among, ioc_limits, present_value, shown_states
from osprey_executor.control.limits._entry import ChannelLimits
from osprey_executor.control.limits._file import LimitsFile
from osprey_executor.errors import ConfigurationError, ControlSystemError
from osprey_executor.models import LimitsCheck, LimitsFinding
from osprey_executor.models.channel_limits import FindingKind
from osprey_executor.text import one_line

_AT_ONCE = 100


async def check_limits(config: Config, *, timeouts: Timeouts = Timeouts()) -> LimitsCheck:  # noqa: B008 - frozen
    """Compare the limits database of a configuration with the channels that it lists.

    Where nothing answers, or the control system is the mock, the file alone is checked, and `live` says so.

    Raises:
        ConfigurationError: no limits database is configured, it cannot be used, or the control system's settings.
        MissingExtraError: the library of the control system is not installed.
    """
    file = LimitsFile.of(config.control_system)
    if file is None:
        raise ConfigurationError("control_system.limits_database is not set: name the file of limits there")
    limits = await asyncio.to_thread(file.now)
    if limits.database is None:
        raise ConfigurationError(limits.report.problem or "")
    if config.control_system.type == "mock":
        return LimitsCheck(database=limits.report, live="control_system.type is mock, whose readings are invented")
    entries = limits.database.exact
    hidden = {channel: problem for channel in entries if (problem := limits.database.unreadable(channel_name(channel)))}
    wanted = [channel for channel in entries if channel not in hidden]
    wanted += [other for channel in wanted for other in _others(entries[channel]) if other not in hidden]
    samples = await _samples(config, timeouts, list(dict.fromkeys(wanted)))
    answered = sum(isinstance(sample, Sample) for sample in samples.values())
    if not wanted:
        return LimitsCheck(database=limits.report, live="the database lists no channel by its exact name")
    # The simulator is started by this command: there, silence means that the names are wrong.
    if not answered and config.control_system.type != "simulator":
        why = next(iter(samples.values()))
        return LimitsCheck(database=limits.report, live=f"none of its channels answers: {why}")
    answers = {**samples, **hidden}
    found = [
        finding
        for channel, entry in entries.items()
        if channel not in hidden
        for finding in _findings(channel, entry, answers)
    ]
    return LimitsCheck(database=limits.report, looked_at=answered, findings=tuple(found))


async def _samples(config: Config, timeouts: Timeouts, channels: list[str]) -> dict[str, Sample | str]:
    """Return what each channel answers: a sample, or why there is none."""
    connector = create_connector(config.control_system, timeouts)
    places = asyncio.Semaphore(_AT_ONCE)

    async def look(channel: str) -> Sample | str:
        async with places:
            return await _look(connector, channel)

    try:
        await connector.connect()
        return dict(zip(channels, await asyncio.gather(*(look(channel) for channel in channels)), strict=True))
    except ControlSystemError as error:
        return dict.fromkeys(channels, one_line(str(error)))
    finally:
        await connector.close()


async def _look(connector: Connector, channel: str) -> Sample | str:
    try:
        return (await connector.read([channel]))[channel]
    except ControlSystemError as error:
        return one_line(str(error))


def _others(entry: ChannelLimits) -> Iterator[str]:
    if entry.verification.read_back is not None:
        yield entry.verification.read_back
    if entry.stop_action is not None and entry.stop_action.channel is not None:
        yield entry.stop_action.channel


def _findings(channel: str, entry: ChannelLimits, samples: Mapping[str, Sample | str]) -> Iterator[LimitsFinding]:
    def finding(kind: FindingKind, detail: str) -> LimitsFinding:
        return LimitsFinding(channel=channel, kind=kind, detail=detail)

    sample = samples[channel]
    if not isinstance(sample, Sample):
        yield finding("not_found", sample)
        return
    if not entry.writable:
        return
    if not sample.writable:
        yield finding("no_write_access", "the control system allows no writes to it from here")
    if wrong := _wrong_type(entry, sample):
        yield finding("wrong_type", wrong)
    elif entry.numeric or entry.states is not None:
        if wider := _wider(entry, sample):
            yield finding("wider", wider)
        if outside := _outside(entry, sample):
            yield finding("outside", outside)
    for other in _others(entry):
        if not isinstance(there := samples[other], Sample):
            yield finding("no_read_back" if other == entry.verification.read_back else "not_found", there)


def _wrong_type(entry: ChannelLimits, sample: Sample) -> str | None:
    match sample.kind:
        case ChannelKind.TEXT if entry.numeric:
            return "holds a text, and its limits are for a number"
        case ChannelKind.ARRAY if entry.relative or entry.states is not None:
            return "holds an array, and its limits are for a single number"
        case ChannelKind.ENUM | ChannelKind.NUMBER:
            known = sample.labels
            strange = [one for one in entry.states or () if isinstance(one, str) and one not in known]
            if strange:
                return f"has no state {shown_states(tuple(strange))}; it has {shown_states(known) or 'no labels'}"
        case _:
            pass
    return None


def _wider(entry: ChannelLimits, sample: Sample) -> str | None:
    own = ioc_limits(sample)
    if own is None:
        return None
    told: list[str] = []
    if entry.min_value is not None and entry.min_value < own[0]:
        told.append(f"min_value {entry.min_value:g} is below {own[0]:g}")
    if entry.max_value is not None and entry.max_value > own[1]:
        told.append(f"max_value {entry.max_value:g} is above {own[1]:g}")
    return f"{' and '.join(told)}, the control system's own drive or control limit" if told else None


def _outside(entry: ChannelLimits, sample: Sample) -> str | None:
    present = present_value(sample)
    if present is None:
        return "its present value is not known" if entry.relative else None
    if entry.outside(present):
        return f"its present value {present:g} is outside the limits"
    if entry.states is not None and not among(present, entry.states, sample):
        return f"its present value {one_line(str(sample.value), 60)} is not among {shown_states(entry.states)}"
    return None
