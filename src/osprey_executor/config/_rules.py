"""Rules of a site about who is asked: `approval.rules`, the first that fits counts."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from osprey_executor.models import Effect, Role
from osprey_executor.models.limits import Seconds

_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")
_SIMULATED = frozenset(("mock", "simulator"))

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _time_of_day(value: Any) -> Any:
    # YAML takes 22:00 for a number to the base of 60.
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 24 * 60:
        value = f"{value // 60:02}:{value % 60:02}"
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError('must be a time of day, as in "06:30" or "22:00"')
    return value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be the name of a time zone, as in Europe/Berlin or UTC") from None
    return name


TimeOfDay = Annotated[str, BeforeValidator(_time_of_day)]
Patterns = tuple[Annotated[str, Field(min_length=1, max_length=200)], ...]
"""Names in which `*` stands for anything; one of them must fit."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class TimeConfig(_Part):
    """A part of the week. One that ends before it begins goes on past midnight, and belongs to the day it begins."""

    begins: TimeOfDay = "00:00"
    ends: TimeOfDay = "24:00"
    days: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    timezone: Annotated[str, AfterValidator(_zone)] | None = None
    """None: that of the service."""


class RuleConfig(_Part):
    """A rule: what it is about, and what follows. What it does not name is anything."""

    effects: tuple[Effect, ...] = ()
    """One of them is enough; where the outcome is `allow`, the program has no other."""
    channels: Patterns = ()
    """That are written; one that fits is enough; where the outcome is `allow`, all must."""
    engine: tuple[str, ...] = ()
    isolation: tuple[Literal["full", "restricted", "none"], ...] = ()
    proven: bool | None = None
    """Whether the containment is."""
    requester: Patterns = ()
    role: tuple[Role, ...] = ()
    """One that the requester has."""
    time: TimeConfig | None = None
    connector: tuple[str, ...] = ()
    """Types of control systems; `real` is every one but `mock` and `simulator`."""
    outcome: Literal["allow", "ask", "ask_two", "deny"]
    expiry: Seconds | None = None
    """Of the card; None: `approval.expiry`."""
    reason: Annotated[str, Field(max_length=300)] = ""
    """For the card, or the refusal."""

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, data: Any) -> Any:
        """Take one word for a list of one."""
        if not isinstance(data, dict):
            return data
        names = ("effects", "channels", "engine", "isolation", "requester", "role", "connector")
        return {key: [value] if key in names and isinstance(value, str) else value for key, value in data.items()}  # pyright: ignore[reportUnknownVariableType]

    @model_validator(mode="after")
    def _never_real(self) -> RuleConfig:
        simulated = bool(self.connector) and _SIMULATED.issuperset(self.connector)
        reads = self.proven is True and bool(self.effects) and Effect.CONTROL_WRITE not in self.effects
        if self.outcome == "allow" and not simulated and not reads:
            raise ValueError(
                "outcome: allow could let writes to a real machine pass unasked: add connector: [mock, simulator], or "
                "proven: true and the effects that are allowed, without control_write"
            )
        return self
