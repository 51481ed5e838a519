"""Which rule of the site fits: pure functions of what is known at this moment."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from osprey_executor.config import RuleConfig, TimeConfig
from osprey_executor.models import ControlSystemReport, Effect, IsolationReport, Role

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Situation:
    """What rules look at."""

    effects: frozenset[Effect]
    channels: tuple[str, ...]
    """That are written: names, or patterns where nobody knows them yet."""
    isolation: IsolationReport
    control: ControlSystemReport
    requester: str
    roles: frozenset[Role]
    """Of the requester."""
    now: datetime
    """With a time zone."""


@dataclass(frozen=True)
class Match:
    """The rule that fits."""

    number: int
    """Counted from 1."""
    rule: RuleConfig

    @property
    def words(self) -> str:
        """What stands on the card, or in the refusal."""
        return f"rule {self.number} of approval.rules{f': {self.rule.reason}' if self.rule.reason else ''}"


def first_match(rules: Iterable[RuleConfig], situation: Situation) -> Match | None:
    """Return the first rule that fits, None where none does.

    A rule that allows never fits a write to a real machine, whatever the configuration says.
    """
    writes = bool(situation.channels) or Effect.CONTROL_WRITE in situation.effects
    for number, rule in enumerate(rules, 1):
        if rule.outcome == "allow" and situation.control.real and (writes or not situation.isolation.proven):
            continue
        if _fits(rule, situation):
            return Match(number, rule)
    return None


def _fits(rule: RuleConfig, at: Situation) -> bool:
    return (
        _effects(rule, at)
        and _channels(rule, at)
        and (not rule.engine or at.isolation.engine in rule.engine)
        and (not rule.isolation or at.isolation.level in rule.isolation)
        and (rule.proven is None or at.isolation.proven is rule.proven)
        and (not rule.requester or any(_pattern(one).fullmatch(at.requester) for one in rule.requester))
        and (not rule.role or not at.roles.isdisjoint(rule.role))
        and (rule.time is None or in_time(rule.time, at.now))
        and (not rule.connector or at.control.type in rule.connector or (at.control.real and "real" in rule.connector))
    )


def _effects(rule: RuleConfig, at: Situation) -> bool:
    if not rule.effects:
        return True
    return at.effects <= set(rule.effects) if rule.outcome == "allow" else not at.effects.isdisjoint(rule.effects)


def _channels(rule: RuleConfig, at: Situation) -> bool:
    if not rule.channels:
        return True
    if not at.channels:
        return False
    if rule.outcome == "allow":  # a pattern may become any of the channels that it stands for
        return all("*" not in one and any(_covers(pattern, one) for pattern in rule.channels) for one in at.channels)
    return any(may_overlap(pattern, _plain(one)) for pattern in rule.channels for one in at.channels)


def _covers(pattern: str, channel: str) -> bool:
    return _pattern(pattern).fullmatch(_plain(channel)) is not None


def _plain(channel: str) -> str:
    """Return the name of the record where its value is meant: `X` and `X.VAL` are one."""
    return channel.removesuffix(".VAL")


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in re.split(r"\*+", _plain(text))), re.DOTALL)


def may_overlap(one: str, other: str) -> bool:
    """Return whether a name could fit both patterns, in which `*` stands for anything."""
    one, other = _plain(one), _plain(other)
    # Row by row as for a common subsequence: whether the rest of one from here can be the rest of other from there.
    row = [True] + [False] * len(other)
    for place, char in enumerate(other):
        row[place + 1] = row[place] and char == "*"
    for char in one:
        before, row = row, [row[0] and char == "*"] + [False] * len(other)
        for place, theirs in enumerate(other):
            if char == "*" or theirs == "*":
                row[place + 1] = before[place + 1] or row[place] or before[place]
            else:
                row[place + 1] = before[place] and char == theirs
    return row[-1]


def in_time(time: TimeConfig, now: datetime) -> bool:
    """Return whether a moment is in a part of the week."""
    local = now.astimezone(ZoneInfo(time.timezone) if time.timezone else None)
    clock = f"{local:%H:%M}"
    today, yesterday = (_DAYS[(local - timedelta(days=back)).weekday()] in time.days for back in (0, 1))
    if time.begins <= time.ends:
        return today and time.begins <= clock < time.ends
    return (today and clock >= time.begins) or (yesterday and clock < time.ends)
