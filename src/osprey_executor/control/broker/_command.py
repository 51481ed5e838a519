"""A command to a channel (an RPC): its arguments, and the one line that plan, card and journal hold of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

MOST_TEXT = 2000
"""Characters of a command: a person reads all of them on the card."""
_LARGEST_WHOLE = 2**63


@dataclass(frozen=True)
class Command:
    """What a program asks a channel to do. Two are the same if their texts are."""

    arguments: Mapping[str, Any]
    """Numbers, texts, booleans, and rows of numbers."""
    text: str

    @classmethod
    def of(cls, arguments: object) -> Command:
        """Return the command with these arguments.

        Raises:
            ValueError: they are not all of these kinds, not finite, or too much for one line; the message says which.
        """
        if not isinstance(arguments, Mapping):
            raise ValueError(f"the arguments of a command are a mapping, not {type(arguments).__name__}")
        items = cast("Mapping[object, Any]", arguments).items()
        plain = {_name(name): _plain(name, value) for name, value in items}
        text = f"call {json.dumps(plain, sort_keys=True, allow_nan=False)}"
        if len(text) > MOST_TEXT:
            raise ValueError(f"a command of {len(text)} characters: at most {MOST_TEXT} stand on a card")
        return cls(plain, text)


def _name(name: object) -> str:
    if not isinstance(name, str) or not name.isidentifier() or not name.isascii():
        raise ValueError(f"the name of an argument is a word, not {name!r:.60}")
    return str(name)


def _plain(name: object, value: Any) -> Any:
    if hasattr(value, "tolist"):  # of numpy
        if value.size > MOST_TEXT:
            raise ValueError(f"the argument {name!r:.60} has {value.size} elements, too many for a card")
        value = value.tolist()
    if isinstance(value, list | tuple):
        row = cast("list[Any] | tuple[Any, ...]", value)
        if len(row) <= MOST_TEXT and all(type(each) in (int, float) for each in row):
            return [_plain(name, float(each)) for each in row]
    elif isinstance(value, bool | str):
        return value if isinstance(value, bool) else str(value)
    elif isinstance(value, int) and -_LARGEST_WHOLE <= value < _LARGEST_WHOLE:
        return int(value)
    elif isinstance(value, float) and math.isfinite(value):
        return float(value)
    raise ValueError(f"the argument {name!r:.60} is neither a finite number, a text, a boolean nor a row of numbers")


def is_command(value: object) -> bool:
    """Return whether what would be sent is a command, and no value."""
    return isinstance(value, Command)
