"""Values that a program wants to write: what fits the channel passes, everything else is refused with the reason."""

from __future__ import annotations

import math
import reprlib
from typing import Any, cast

from osprey_executor.control.broker._command import Command
from osprey_executor.control.connectors._protocol import ChannelKind, Sample
from osprey_executor.text import one_line, visible

_TEXT_BYTES = 39  # of an EPICS string, without its end: MAX_STRING_SIZE of epicsTypes.h less one
_INTEGERS = {
    **{f"u{size}": (0, 2 ** (8 * size) - 1) for size in (1, 2, 4, 8)},
    **{f"i{size}": (-(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1) for size in (1, 2, 4, 8)},
}
_LARGEST_FLOAT = {"f4": 3.4028234663852886e38}


class UnfitValue(ValueError):
    """A value that is not written; the message says why."""


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 100


def shown(value: Any) -> str:
    """Return a short, safe text of any value, for journals and messages; of a command all of it."""
    if isinstance(value, Command):
        return value.text
    try:
        if _is_array(value):
            return one_line(f"array{tuple(value.shape)} {_SHORT.repr(value.ravel()[:6].tolist())}", 120)
        return one_line(_SHORT.repr(_unwrapped(value)), 120)
    except Exception:  # a hostile value must not stop the journal
        return f"<{type(value).__name__}>"


def plain_value(value: Any) -> float | int | str | Any:
    """Return `value` as a Python number, a string, or a one-dimensional array of float64 or int64 of our own.

    Raises:
        UnfitValue: it is none of these, or not finite; the message says what it is.
    """
    value = _unwrapped(value)
    if isinstance(value, bool):
        raise UnfitValue("a boolean where a number is due")
    if isinstance(value, int | float):
        return _finite(value)
    if isinstance(value, str):
        return _plain_text(value)
    if isinstance(value, list | tuple):
        return _from_sequence(cast("list[Any] | tuple[Any, ...]", value))
    if _is_array(value):
        return _from_array(value)
    raise UnfitValue(f"a value of type {type(value).__name__}: give a number, a text or a one-dimensional array")


def fitted(value: Any, sample: Sample) -> Any:
    """Return what is sent to the channel of `sample` for a plain `value`.

    Raises:
        UnfitValue: the channel holds something else; the message says what.
    """
    if not sample.writable:
        raise UnfitValue("the control system allows no writes to this channel from here")
    match sample.kind:
        case ChannelKind.NUMBER:
            return _number(value, sample.dtype)
        case ChannelKind.ENUM:
            return _state(value, sample.labels)
        case ChannelKind.TEXT:
            if not isinstance(value, str):
                raise UnfitValue("a number where the channel holds a text")
            return value
        case ChannelKind.ARRAY:
            return _array(value, sample)
        case ChannelKind.TABLE:
            raise UnfitValue("a table, which is read and not written")


def _number(value: Any, dtype: str) -> float | int:
    if not isinstance(value, int | float):
        raise UnfitValue(f"{'a text' if isinstance(value, str) else 'an array'} where the channel holds one number")
    if dtype in _INTEGERS:
        low, high = _INTEGERS[dtype]
        if value != int(value) or not low <= value <= high:
            raise UnfitValue(f"the channel holds whole numbers from {low} to {high}")
        return int(value)
    if abs(value) > _LARGEST_FLOAT.get(dtype, math.inf):
        raise UnfitValue("a number too large for the channel")
    return float(value)


def _state(value: Any, labels: tuple[str, ...]) -> int | str:
    if isinstance(value, str) and value in labels:
        return labels.index(value)
    if isinstance(value, int | float) and value == int(value) and 0 <= value < len(labels):
        return int(value)
    known = ", ".join(repr(visible(label)) for label in labels)
    raise UnfitValue(f"not a state of the channel: it knows {known or 'none'}")


def _array(value: Any, sample: Sample) -> Any:
    if not _is_array(value) or sample.dtype not in (*_INTEGERS, "f4", "f8"):
        raise UnfitValue(f"the channel holds an array of {sample.dtype}: give numbers in one dimension")
    if value.size > sample.count:
        raise UnfitValue(f"{value.size} elements where the channel holds at most {sample.count}")
    if sample.dtype in _INTEGERS:
        low, high = _INTEGERS[sample.dtype]
        if (value != value.round()).any() or value.min() < low or value.max() > high:
            raise UnfitValue(f"the channel holds whole numbers from {low} to {high}")
    elif abs(value).max() > _LARGEST_FLOAT.get(sample.dtype, math.inf):
        raise UnfitValue("a number too large for the channel")
    return value.astype(sample.dtype)


def _finite(value: float | int) -> float | int:
    try:
        wide = float(value)
    except OverflowError:
        raise UnfitValue("a number too large for any channel") from None
    if not math.isfinite(wide):
        raise UnfitValue(f"{wide} where a finite number is due")
    # Not the object itself: subclasses of numbers may behave as they like.
    return int(value) if isinstance(value, int) else wide


def _plain_text(value: str) -> str:
    if len(value.encode("utf-8", "replace")) > _TEXT_BYTES:
        raise UnfitValue(f"a text longer than {_TEXT_BYTES} bytes")
    if visible(value) != value or any(char in value for char in "\t\n"):
        raise UnfitValue("a text with control or hidden characters")
    return str(value)


def _from_sequence(value: list[Any] | tuple[Any, ...]) -> Any:
    numbers = [_unwrapped(item) for item in value]
    if not numbers or any(isinstance(item, bool) or not isinstance(item, int | float) for item in numbers):
        raise UnfitValue(f"a {type(value).__name__} that is not one row of numbers")
    import numpy as np

    return _from_array(np.array([float(_finite(item)) for item in numbers]))


def _from_array(value: Any) -> Any:
    import numpy as np

    if value.ndim != 1 or value.size == 0 or value.dtype.kind not in "fiu":
        raise UnfitValue(
            f"an array of shape {tuple(value.shape)} and type {value.dtype}: give numbers in one dimension"
        )
    own = np.array(value, dtype=np.float64)
    if not np.isfinite(own).all():
        raise UnfitValue("an array with elements that are not finite")
    return own


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "dtype")


def _unwrapped(value: Any) -> Any:
    """Return the Python scalar of a numpy scalar or of an array without dimensions; else the value itself."""
    if _is_array(value) and value.ndim == 0:
        return value.item()
    return value
