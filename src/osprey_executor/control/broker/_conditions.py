"""What must hold of the machine before each write of a run, and what ends its writing: a channel against a value."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from osprey_executor.config import ConditionConfig
from osprey_executor.control.broker._check import readable
from osprey_executor.control.broker._names import channel_name
from osprey_executor.control.broker._values import shown
from osprey_executor.control.connectors._protocol import ChannelKind, Connector, Sample
from osprey_executor.control.limits._check import present_value
from osprey_executor.errors import ConfigurationError, ControlSystemError
from osprey_executor.text import one_line

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Condition:
    """One channel compared with one value: a number, or with `==` and `!=` the label of a state or a text."""

    channel: str
    sign: str
    value: float | str
    age: float | None

    def __str__(self) -> str:
        young = f", not older than {self.age:g} s" if self.age is not None else ""
        value = one_line(self.value, 60) if isinstance(self.value, str) else f"{self.value:g}"
        return f"{one_line(self.channel, 100)} {self.sign} {value}{young}"

    def holds(self, sample: Sample) -> bool | None:
        """Return whether it holds of a valid sample; None: the channel holds nothing that can be compared so."""
        if isinstance(self.value, str):
            label = sample.value
            if sample.kind is ChannelKind.ENUM and not isinstance(label, str):
                label = sample.labels[int(label)] if 0 <= int(label) < len(sample.labels) else None
            return _COMPARE[self.sign](label, self.value) if isinstance(label, str) else None
        number = present_value(sample)
        return None if number is None else _COMPARE[self.sign](number, self.value)

    def too_old(self, sample: Sample) -> bool:
        """Return whether the value's time stamp is older than the condition allows."""
        if self.age is None:
            return False
        return sample.timestamp is None or sample.timestamp < datetime.now(UTC) - timedelta(seconds=self.age)


def conditions_of(told: Sequence[ConditionConfig]) -> tuple[Condition, ...]:
    """Return the conditions of a configuration.

    Raises:
        ConfigurationError: one has no channel name.
    """
    made: list[Condition] = []
    for one in told:
        try:
            channel = channel_name(one.channel).canonical
        except ValueError as error:
            raise ConfigurationError(f"a condition of control_system cannot be used: {error}") from None
        sign, _, value = one.condition.partition(" ")
        made.append(Condition(channel, sign, _operand(value.strip()), one.age))
    return tuple(made)


async def unmet(conditions: Sequence[Condition], connector: Connector) -> str | None:
    """Return the first condition that does not hold, or cannot be looked at; None: all hold."""
    return await _first(conditions, connector, wanted=True)


async def met(conditions: Sequence[Condition], connector: Connector) -> str | None:
    """Return the first condition that holds, or cannot be looked at; None: none holds."""
    return await _first(conditions, connector, wanted=False)


async def _first(conditions: Sequence[Condition], connector: Connector, *, wanted: bool) -> str | None:
    if not conditions:
        return None
    try:
        samples = await connector.read(list(dict.fromkeys(one.channel for one in conditions)))
        readable({one.channel: samples[one.channel] for one in conditions})
    except (ControlSystemError, KeyError) as error:
        return f"a condition cannot be looked at: {one_line(str(error), 300)}"
    for one in conditions:
        sample = samples[one.channel]
        if one.too_old(sample):
            return f"{one}: its value is older"
        holds = one.holds(sample)
        if holds is None:
            return f"{one}: it holds {shown(sample.value)}, which cannot be compared so"
        if holds is not wanted:
            word = "does not hold" if wanted else "holds"
            return f"{one} {word}: it is {shown(sample.value)}"
    return None


def _operand(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text.strip("'\"")
