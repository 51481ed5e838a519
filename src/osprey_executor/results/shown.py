"""Values and output as a person reads them: bounded, and with nothing in them that hides or repaints."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from osprey_executor.text import one_line, visible

_MOST_NAMES = 100
_MOST_VALUE = 2000


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = 20
        self.maxlevel = 5
        self.maxstring = self.maxother = _MOST_VALUE
        self.maxlong = 100


_SHORT = _Short()


def show_value(value: Any) -> str:
    """Return a bounded `repr` of a decoded value."""
    try:
        text = _SHORT.repr(value)
    except Exception as error:
        text = f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
    text = visible(text)
    return text if len(text) <= _MOST_VALUE else text[: _MOST_VALUE - 1] + "…"


def show_results(results: Mapping[str, Any]) -> str:
    """Return one paragraph a result: `name = value`."""
    lines = [f"{one_line(name, 100)} = {show_value(value)}" for name, value in list(results.items())[:_MOST_NAMES]]
    if len(results) > _MOST_NAMES:
        lines.append(f"… and {len(results) - _MOST_NAMES} more")
    return "\n".join(lines) or "no results"


def show_output(text: str, most: int, where: str) -> str:
    """Return output made visible; of a longer one the beginning and the end, and `where` all of it is."""
    text = text.replace("\r\n", "\n")
    if len(text) <= most:
        return visible(text)
    head, tail = text[: most * 3 // 4], text[-most // 4 :]
    left_out = len(text) - len(head) - len(tail)
    return f"{visible(head)}\n… {left_out} characters left out; all of it is in {where} …\n{visible(tail)}"
