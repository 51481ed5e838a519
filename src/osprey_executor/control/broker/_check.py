"""The checks before a write, in one place: name, permit, value, channel. What fails one of them is not sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from osprey_executor.control.broker._names import channel_name
from osprey_executor.control.broker._permit import WritePermit
from osprey_executor.control.broker._start import held
from osprey_executor.control.broker._values import fitted, plain_value, shown
from osprey_executor.control.connectors._protocol import Sample
from osprey_executor.control.limits._database import Breach
from osprey_executor.control.limits._entry import ChannelLimits
from osprey_executor.control.limits._run import RunLimits
from osprey_executor.errors import InvalidReadingError, StaleReadingError, WriteRefused
from osprey_executor.models import AlarmSeverity
from osprey_executor.models.plan import PlainValue
from osprey_executor.text import one_line


@dataclass(frozen=True)
class Attempt:
    """One write as the program asked for it."""

    number: int
    channel: str
    """Canonical, or as asked where that is no name."""
    value: Any
    line: int | None
    problem: str | None = None
    """Why it is refused."""
    rule: str = ""
    """The limit that it would break; empty: it is refused for something else, or not at all."""

    def entry(self, event: str, **more: Any) -> dict[str, Any]:
        """Return its entry in the journal."""
        told = {"event": event, "write": self.number, "channel": one_line(self.channel), "value": shown(self.value)}
        return {**told, "line": self.line, **more}


@dataclass(frozen=True)
class Planned:
    """A write that passed the checks."""

    attempt: Attempt
    value: Any
    previous: str | None
    before: PlainValue | None = None
    """What `previous` says for people."""
    limits: ChannelLimits | None = None
    """What the limits database says of the channel; None: there is no database."""


def attempts_of(
    values: Mapping[Any, Any],
    line: int | None,
    first: int,
    permit: WritePermit | None,
    shut: str | None,
    limits: RunLimits | None,
) -> list[Attempt]:
    """Return the attempts of one call, checked as far as that needs no look at the machine.

    Args:
        values: of channels, as the program gave them.
        line: of the program, as it reports it.
        first: number of the first attempt.
        permit: what this run may write.
        shut: why nothing is written at all.
        limits: of this run; None: there is no limits database.
    """
    seen: set[str] = set()
    attempts: list[Attempt] = []
    for number, (asked, value) in enumerate(values.items(), first):
        name, problem = checked_name(asked, permit, shut, seen)
        if problem is None:
            try:
                value = plain_value(value)
            except ValueError as error:
                problem = str(error)
        seen.add(name)
        attempt = Attempt(number, name, value, line, problem)
        closed = limits.unlooked(name) if limits and not problem else None
        attempts.append(_broken(attempt, closed) if closed else attempt)
    return attempts


class Reads(Protocol):
    """What is asked how channels are."""

    async def read(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Return one sample a channel.

        Raises:
            ControlSystemError: a channel does not answer.
        """
        ...


async def planned(
    attempts: list[Attempt], machine: Reads, limits: RunLimits | None
) -> tuple[list[Planned], list[Attempt]]:
    """Return the writes that fit their channels and limits, with the values that these have now, and the attempts left.

    Raises:
        ControlSystemError: a channel does not answer.
    """
    if not attempts:
        return [], []
    samples = await machine.read([attempt.channel for attempt in attempts])
    now = time.monotonic()
    together = limits.together() if limits else None
    plan: list[Planned] = []
    refused: list[Attempt] = []
    for attempt in attempts:
        sample = samples[attempt.channel]
        try:
            value = fitted(attempt.value, sample)
        except ValueError as error:
            refused.append(replace(attempt, problem=str(error)))
            continue
        verdict = limits.verdict(attempt.channel, value, sample, now) if limits else None
        broken = verdict if isinstance(verdict, Breach) else None
        if broken is None and together is not None:
            broken = together.breach(attempt.channel, value)
        if broken is not None:
            refused.append(_broken(attempt, broken))
        else:
            limited = verdict if isinstance(verdict, ChannelLimits) else None
            plan.append(Planned(attempt, value, previous_of(sample), held(sample), limited))
    return plan, refused


def _broken(attempt: Attempt, breach: Breach) -> Attempt:
    return replace(attempt, problem=breach.reason, rule=breach.rule)


def not_permitted(permit: WritePermit | None, channel: str, value: Any, ahead: int = 0) -> str | None:
    """Return why the permit does not allow a write now, None if it does. A permit that breaks allows nothing."""
    return _refusal(permit, lambda given: given.check(channel, value, ahead))


def _not_allowed(permit: WritePermit | None, channel: str) -> str | None:
    return _refusal(permit, lambda given: given.allows(channel))


def _refusal(permit: WritePermit | None, ask: Callable[[WritePermit], None]) -> str | None:
    if permit is None:
        return "this run has no approval to write"
    try:
        ask(permit)
    except WriteRefused as error:
        return str(error)
    except Exception as error:
        return f"the approval cannot be checked: {type(error).__name__}: {one_line(str(error))}"
    return None


def previous_of(sample: Sample) -> str | None:
    """Return the value before a write as text; None where the channel never had a valid one."""
    return None if sample.severity is AlarmSeverity.INVALID else shown(sample.value)


def readable(samples: Mapping[str, Sample], stale_after: float | None = None) -> None:
    """Pass if every sample is valid, and none older than so many seconds.

    Raises:
        InvalidReadingError: one is INVALID; the message names it.
        StaleReadingError: one is too old; the message names it.
    """
    invalid = [one_line(name) for name, sample in samples.items() if sample.severity is AlarmSeverity.INVALID]
    if invalid:
        more = f" and {len(invalid) - 5} more" if len(invalid) > 5 else ""
        raise InvalidReadingError(f"{', '.join(invalid[:5])}{more}: the value is INVALID, says its alarm severity")
    if stale_after is None:
        return
    oldest = datetime.now(UTC) - timedelta(seconds=stale_after)
    stale = [one_line(name) for name, sample in samples.items() if not sample.timestamp or sample.timestamp < oldest]
    if stale:
        more = f" and {len(stale) - 5} more" if len(stale) > 5 else ""
        raise StaleReadingError(
            f"{', '.join(stale[:5])}{more}: the value is older than {stale_after:g} s (control_system.stale_after)"
        )


def checked_name(asked: Any, permit: WritePermit | None, shut: str | None, seen: set[str]) -> tuple[str, str | None]:
    """Return the canonical name of a channel that is to be written, and why it may not be; None: by its name it may."""
    try:
        name = channel_name(asked)
    except ValueError as error:
        return shown(asked), str(error)
    if shut is not None:
        return name.canonical, shut
    if permit is None:
        return name.canonical, "this run has no approval to write"
    if name.is_field and not permit.names(name.canonical):
        return name.canonical, "a field other than the value is written only where the approval names it exactly"
    if name.canonical in seen:
        return name.canonical, "named twice in one call"
    return name.canonical, _not_allowed(permit, name.canonical)
