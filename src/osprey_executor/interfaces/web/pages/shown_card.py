"""The approval card as rows and words, in the order in which an operator asks: what, where, how much, what is open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from osprey_executor.interfaces.cli.names import run_of_names, without_numbers
from osprey_executor.interfaces.web.pages.words import number
from osprey_executor.models import ApprovalCard, Envelope, EnvelopeChannel, Plan, PlannedWrite, Verdict, WriteTarget
from osprey_executor.text import one_line

_MOST_SINGLE: Final = 12
"""Writes up to which each has its row; more are told by channel, and one by one behind a click."""
_MOST_ROWS: Final = 1000
_HEAVY: Final = ("Containment is not proven", "Which channels are written", "The rehearsal did not", "The plan ends")


@dataclass(frozen=True)
class Gauge:
    """Where a value stands between its limits, before and after, from 0 to 100."""

    now: float | None
    then: float


@dataclass(frozen=True)
class Row:
    """A write, or all writes to one channel."""

    channel: str
    place: int | None
    """Of the channel among those that are read while the card is looked at; None: it is not, or not in this row."""
    now: str
    then: str
    change: str
    limits: str
    own: bool
    """Whether the limits are the control system's own, and no database has any."""
    verdict: str
    lines: tuple[int, ...]
    gauge: Gauge | None
    count: int = 1
    index: int = 0
    between: str = ""
    command: str = ""
    """A command in full; it has no values."""


@dataclass(frozen=True)
class Unknown:
    """What nobody can tell, and whether it weighs more than the rest."""

    text: str
    heavy: bool


@dataclass(frozen=True)
class Range:
    """Channels of an envelope that may be written alike."""

    channels: str
    low: str
    high: str
    step: str
    writes: int


@dataclass(frozen=True)
class ShownCard:
    """A card, ready to be laid out."""

    alarm: str
    """`real`, `caution` or `calm`."""
    by_channel: tuple[Row, ...]
    """Each channel once, from its start to its end."""
    one_by_one: tuple[Row, ...]
    left_out: int
    """Writes that are not in `one_by_one`."""
    unknowns: tuple[Unknown, ...]
    ranges: tuple[Range, ...]
    targets: tuple[tuple[str, str, str, int], ...]
    """Where nothing was rehearsed: channel, value, limits and line, as far as the source tells."""
    closed_loop: bool
    largest: str
    """The largest change from start to end, where there are several."""

    @property
    def many(self) -> bool:
        """Whether the writes are told by channel first."""
        return len(self.one_by_one) > _MOST_SINGLE


def shown_card(card: ApprovalCard) -> ShownCard:
    """Return a card, ready to be laid out."""
    plan = card.plan
    return ShownCard(
        alarm=_alarm(card),
        by_channel=_by_channel(plan) if plan else (),
        one_by_one=_one_by_one(plan) if plan else (),
        left_out=max(len(plan.writes) - _MOST_ROWS, 0) if plan else 0,
        unknowns=tuple(Unknown(text, text.startswith(_HEAVY)) for text in card.unknowns),
        ranges=_ranges(card.envelope) if card.envelope else (),
        targets=() if plan else tuple(_target(one, card) for one in card.writes[:_MOST_ROWS]),
        closed_loop=plan is not None and plan.feedback_dependent,
        largest=_largest(plan) if plan else "",
    )


def _alarm(card: ApprovalCard) -> str:
    touches = bool(card.plan or card.writes or card.verdict is not Verdict.ALLOW or not card.isolation.proven)
    if card.control_system.real and touches:
        return "real"
    return "caution" if touches else "calm"


def _one_by_one(plan: Plan) -> tuple[Row, ...]:
    rows: list[Row] = []
    seen: set[str] = set()
    for write in plan.writes[:_MOST_ROWS]:
        start = plan.start.get(write.channel)
        row = _row([write], plan, now=write.now, units=start.units if start else "", change=write.delta)
        rows.append(replace(row, place=None) if write.channel in seen else row)
        seen.add(write.channel)
    return tuple(rows)


def _largest(plan: Plan) -> str:
    """Return which channel changes most, and by how much, in words; empty where that says nothing."""
    ends = {write.channel: write.value for write in plan.writes}
    changes = {
        channel: end - start.value
        for channel, end in ends.items()
        if (start := plan.start.get(channel)) and isinstance(start.value, int | float) and isinstance(end, int | float)
    }
    units = {plan.start[channel].units for channel in changes}
    if len(changes) < 2 or len(units) != 1:
        return ""
    channel = max(changes, key=lambda name: abs(changes[name]))
    return f"{changes[channel]:+.4g} {one_line(units.pop(), 12)} at {one_line(channel, 120)}"


def _by_channel(plan: Plan) -> tuple[Row, ...]:
    channels: dict[str, list[PlannedWrite]] = {}
    for write in plan.writes:
        channels.setdefault(write.channel, []).append(write)
    return tuple(_from_start(writes, plan) for writes in list(channels.values())[:_MOST_ROWS])


def _from_start(writes: list[PlannedWrite], plan: Plan) -> Row:
    start = plan.start.get(writes[0].channel)
    values = _numbers([write.value for write in writes])
    first = start.value if start else None
    change = values[-1] - first if values and isinstance(first, int | float) else None
    now = (start.shown or None) if start else None
    return _row(writes, plan, now=now, units=start.units if start else "", change=change)


def _row(
    writes: Sequence[PlannedWrite], plan: Plan, *, now: float | str | None, units: str, change: float | None
) -> Row:
    last = writes[-1]
    start = plan.start.get(last.channel)
    values = _numbers([write.value for write in writes])
    own = (
        "" if last.limits or start is None or start.low is None or start.high is None else _span(start.low, start.high)
    )
    unit = f" {one_line(units, 12)}" if units else ""
    return Row(
        channel=one_line(last.channel, 120),
        place=list(plan.start).index(last.channel) if last.channel in plan.start else None,
        now="" if last.command else "no valid value" if now is None else f"{number(now)}{unit}",
        then="a command" if last.command else f"{number(last.shown)}{unit}",
        change="" if change is None else f"{change:+.4g}{unit}" if change else "none",
        limits=one_line(last.limits, 160) or own,
        own=bool(own),
        verdict=one_line(last.verdict, 120),
        lines=tuple(dict.fromkeys(write.line for write in writes if write.line)),
        gauge=_gauge(plan, last, now),
        count=len(writes),
        index=last.index,
        between=_span(min(values), max(values)) if values and min(values) != max(values) else "",
        command=one_line(last.shown, 4000) if last.command else "",
    )


def _numbers(values: Sequence[object]) -> list[float]:
    return [float(value) for value in values if isinstance(value, int | float)]


def _span(low: float, high: float) -> str:
    return f"{low:.5g} to {high:.5g}"


def _gauge(plan: Plan, write: PlannedWrite, now: float | str | None) -> Gauge | None:
    start = plan.start.get(write.channel)
    if start is None or start.low is None or start.high is None or not isinstance(write.value, int | float):
        return None
    low, width = start.low, start.high - start.low
    if not (math.isfinite(width) and width > 0):
        return None

    def place(value: float) -> float:
        return round(min(max((value - low) / width, 0.0), 1.0) * 100, 1)

    try:
        before = place(float(now)) if now is not None else None
    except ValueError:
        before = None
    return Gauge(before, place(write.value))


def _ranges(envelope: Envelope) -> tuple[Range, ...]:
    alike: dict[tuple[object, ...], list[EnvelopeChannel]] = {}
    for one in envelope.channels:
        kind = (without_numbers(one.channel), one.low, one.high, one.max_step, one.writes)
        alike.setdefault(kind, []).append(one)
    return tuple(
        Range(
            channels=run_of_names([one.channel for one in channels]).plain,
            low=f"{channels[0].low:.6g}",
            high=f"{channels[0].high:.6g}",
            step="any" if channels[0].max_step is None else f"{channels[0].max_step:.6g}",
            writes=channels[0].writes,
        )
        for channels in list(alike.values())[:_MOST_ROWS]
    )


def _target(target: WriteTarget, card: ApprovalCard) -> tuple[str, str, str, int]:
    name = target.channel if target.known else None
    value = "not in the call" if target.value is None else one_line(target.value, 120)
    told = one_line(name, 120) if name else "ANY channel: not known before the run"
    return told, value, one_line(card.limits.get(name or "", ""), 160), target.line
