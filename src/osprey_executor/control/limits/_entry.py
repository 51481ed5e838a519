"""What the limits database says of one channel: typed, frozen, and nothing in it that could mean two things."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from osprey_executor.control.broker._names import channel_name

_MOST_STATES = 256
_LONGEST_SETTLE = 3600.0
# YAML 1.1 takes a number with an exponent and no point, `1e-3`, for a text.
_EXPONENT = re.compile(r"[+-]?[0-9]+[eE][+-]?[0-9]+")


def _number(value: Any) -> Any:
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    try:
        wide = float(value)
    except OverflowError:
        wide = math.inf
    if not math.isfinite(wide):
        raise ValueError("must be a finite number")
    return wide


def _scalar(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be a number or a text; a label such as On or Off in quotes, as YAML takes it for true")
    return value if isinstance(value, str) and not _EXPONENT.fullmatch(value) else _number(value)


def _states(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("must be a list of labels or numbers")
    return tuple(_scalar(state) for state in cast("list[Any]", value))


def _channel(value: Any) -> str:
    return channel_name(value).canonical


Number = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[float, BeforeValidator(_number), Field(gt=0)]
NotNegative = Annotated[float, BeforeValidator(_number), Field(ge=0)]
Seconds = Annotated[float, BeforeValidator(_number), Field(ge=0, le=_LONGEST_SETTLE)]
Channel = Annotated[str, BeforeValidator(_channel)]
Scalar = Annotated[float | str, BeforeValidator(_scalar)]
States = Annotated[tuple[float | str, ...], BeforeValidator(_states), Field(max_length=_MOST_STATES)]


class Part(BaseModel):
    """A part of the database."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Verification(Part):
    """How a write is verified after the control system has confirmed it."""

    level: Literal["none", "callback", "readback"] = "callback"
    """`none` and `callback` are one: a write without confirmation is never taken for done."""
    read_back: Channel | None = None
    """The channel that shows what was done; None: the written one."""
    tolerance_absolute: NotNegative | None = None
    tolerance_percent: NotNegative | None = None
    """Of the written value; counts where there is no `tolerance_absolute`."""
    settle_time: Seconds = 0.0
    """Seconds within which the read-back must agree."""

    @model_validator(mode="after")
    def _is_used(self) -> Self:
        if self.level != "readback" and (self.read_back is not None or self.settle_time):
            raise ValueError("needs level: readback for a read_back channel and a settle_time")
        return self

    def tolerance(self, value: float) -> float:
        """Return by how much the read-back may differ from `value`: a thousandth of it where nothing is said."""
        if self.tolerance_absolute is not None:
            return self.tolerance_absolute
        percent = 0.1 if self.tolerance_percent is None else self.tolerance_percent
        return abs(value) * percent / 100.0


class StopAction(Part):
    """The write that brings a channel to rest when a run is aborted."""

    channel: Channel | None = None
    """None: the channel itself."""
    value: Scalar


class ChannelLimits(Part):
    """Limits and habits of one channel. The names are Osprey's where Osprey has one."""

    writable: bool = True
    confirm: bool = True
    """Osprey's; without effect, as every write is confirmed."""
    min_value: Number | None = None
    max_value: Number | None = None
    max_step: Positive | None = None
    """Largest change against the present value."""
    max_rate: Positive | None = None
    """Largest change a second since the last write of the run."""
    max_excursion: Positive | None = None
    """Largest distance from the value that the channel had when the run first came to write it."""
    states: States | None = None
    """The only values that may be written: labels or numbers of an enum channel, or single numbers or texts."""
    verification: Verification = Verification()
    stop_action: StopAction | None = None
    restorable: bool = False
    """Whether the value from before a run may be written back after it."""
    readable: bool = True
    read_side_effect: bool = False
    """Whether a mere read changes the machine."""
    call: Literal["write", "query"] = "write"
    """What a command (a PVA RPC) to it is; a query changes nothing."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.min_value is not None and self.max_value is not None and self.min_value > self.max_value:
            raise ValueError(f"min_value {self.min_value:g} is above max_value {self.max_value:g}")
        stop = self.stop_action
        if stop is not None and stop.channel is None and isinstance(stop.value, float) and self.outside(stop.value):
            raise ValueError(f"stop_action writes {stop.value:g}, which is outside min_value and max_value")
        return self

    def bars(self, value: float | str) -> str | None:
        """Return why it is certain, without a look at the channel, that `value` may not be written; None: it is not.

        A label and the number of a state may be the same, which only the channel knows.
        """
        if not self.writable:
            return "which is not writable"
        if isinstance(value, float) and self.outside(value):
            return "which is outside its min_value and max_value"
        states = self.states
        if states is not None and value not in states and all(isinstance(one, type(value)) for one in states):
            return "which is none of its states"
        return None

    def outside(self, value: float) -> bool:
        """Return whether a number is beyond `min_value` or `max_value`."""
        below = self.min_value is not None and value < self.min_value
        return below or (self.max_value is not None and value > self.max_value)

    @property
    def numeric(self) -> bool:
        """Whether it bounds a number."""
        return any(
            limit is not None
            for limit in (self.min_value, self.max_value, self.max_step, self.max_rate, self.max_excursion)
        )

    @property
    def relative(self) -> bool:
        """Whether it bounds a change, so that the present value must be known."""
        return any(limit is not None for limit in (self.max_step, self.max_rate, self.max_excursion))
