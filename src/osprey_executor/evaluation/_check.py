"""What a suite can demand of a run, and whether a run meets it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from osprey_executor.models import Plan, RunResult
from osprey_executor.text import one_line

_OF_RESULT = ("equals", "near", "between", "length")
_ALONE = ("figures", "artifact", "stdout", "writes")


class Check(BaseModel):
    """One demand: a value of `results`, or what else the run must have left."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    result: str | None = None
    """Name in `results`; with dots, deeper: `orbit.x.0`, also a column of a table."""
    equals: Any = None
    near: float | tuple[float, ...] | None = None
    """A number, or one for each element."""
    within: Annotated[float, Field(ge=0)] | None = None
    """By how much it may differ."""
    between: tuple[float, float] | None = None
    """Lowest and highest value, of every element."""
    length: Annotated[int, Field(ge=0)] | None = None
    figures: Annotated[int, Field(ge=1)] | None = None
    """How many there must be at least."""
    artifact: str | None = None
    """Name of a file that the program must leave."""
    stdout: str | None = None
    """Text that must have been printed."""
    writes: Mapping[str, tuple[float, float]] | None = None
    """The channels that its plan must write, and no others, with lowest and highest last value; empty: none."""

    @model_validator(mode="after")
    def _one_demand(self) -> Self:
        given = self.model_fields_set
        demands = [name for name in (*_OF_RESULT, *_ALONE) if name in given]
        if len(demands) != 1:
            raise ValueError(f"must have exactly one of {', '.join((*_OF_RESULT, *_ALONE))}")
        of_result = demands[0] in _OF_RESULT
        if of_result != ("result" in given):
            raise ValueError(
                f"{demands[0]} needs `result`, the name of a value" if of_result else f"{demands[0]} stands alone"
            )
        if ("near" in given) != ("within" in given):
            raise ValueError("near and within go together: the value, and by how much it may differ")
        return self

    def problem(self, result: RunResult, plan: Plan | None) -> str | None:
        """Return what is wrong with a run in one sentence, None where it meets this."""
        if self.writes is not None:
            return _unplanned(self.writes, plan)
        if self.figures is not None:
            return _unless(len(result.figures) >= self.figures, f"{len(result.figures)} figures, not {self.figures}")
        if self.artifact is not None:
            names = [path.name for path in result.artifacts]
            return _unless(self.artifact in names, f"no file {self.artifact}, but {', '.join(names) or 'none'}")
        if self.stdout is not None:
            return _unless(self.stdout in result.stdout, f"it did not print {self.stdout!r}")
        return self._value_problem(result.results)

    def _value_problem(self, results: Mapping[str, Any]) -> str | None:
        name = f"results: {self.result}"
        try:
            value = _plain(_found(results, self.result or ""))
        except (LookupError, TypeError, ValueError):
            return f"{name} is missing"
        shown = f"{name} is {one_line(repr(value), 100)}"
        if self.length is not None:
            long = len(cast("Sequence[Any]", value)) if isinstance(value, list | str | dict) else None
            return _unless(long == self.length, f"{shown}, which has not length {self.length}")
        if self.between is not None:
            low, high = self.between
            numbers = _numbers(value)
            right = bool(numbers) and all(low <= number <= high for number in numbers)
            return _unless(right, f"{shown}, not from {low:g} to {high:g}")
        if self.near is not None:
            wanted = self.near if isinstance(self.near, tuple) else (self.near,)
            numbers = _numbers(value)
            right = isinstance(value, list) == isinstance(self.near, tuple) and len(numbers) == len(wanted)
            right = right and all(abs(a - b) <= (self.within or 0.0) for a, b in zip(numbers, wanted, strict=True))
            return _unless(right, f"{shown}, not within {self.within:g} of {one_line(repr(self.near), 60)}")
        return _unless(_same(value, self.equals), f"{shown}, not {one_line(repr(self.equals), 100)}")


def _unless(right: bool, told: str) -> str | None:
    return None if right else told


def _unplanned(wanted: Mapping[str, tuple[float, float]], plan: Plan | None) -> str | None:
    last = {write.channel: write.value for write in plan.writes} if plan else {}
    for refusal in plan.refused if plan else ():
        return f"its write to {one_line(refusal.channel)} would be refused: {one_line(refusal.reason)}"
    if extra := sorted(set(last) - set(wanted)):
        return f"it would write {', '.join(map(one_line, extra[:5]))}"
    for channel, (low, high) in wanted.items():
        value = last.get(channel)
        if value is None:
            return f"it would not write {channel}"
        if not isinstance(value, int | float) or not low <= value <= high:
            return f"it would leave {channel} at {one_line(str(value), 40)}, not from {low:g} to {high:g}"
    return None


def _found(value: Any, path: str) -> Any:
    at: Any = value
    for step in path.split("."):
        key = int(step) if step.isdecimal() and not isinstance(at, Mapping) else step
        at = cast("Any", at)[key]
    return at


def _plain(value: Any) -> Any:
    """Return what numpy and pandas hold as lists and numbers of Python."""
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in cast("Sequence[Any]", value)]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in cast("Mapping[Any, Any]", value).items()}
    return value


def _numbers(value: Any) -> list[float]:
    """Return the finite numbers of a value in order; none where something else is among them."""
    if isinstance(value, Mapping):
        value = list(cast("Mapping[Any, Any]", value).values())
    flat = cast("list[Any]", value) if isinstance(value, list) else [value]
    right = all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in flat)
    return [float(one) for one in flat] if right else []


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) != isinstance(wanted, bool):
        return False
    return bool(value == _plain(wanted))
