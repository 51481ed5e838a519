"""How long Python's parser, which nothing can interrupt, may take for a source."""

from __future__ import annotations

import re

_MARKS = b"\n()[]{},;:=+-*/%<>.@&|^~!'\""
"""What parts a source into the pieces that cost: at most 4 microseconds each, whatever stands around them."""
_MOST_MARKS = 80_000
_MOST_FIELD_COST = 700_000_000
"""Before Python 3.12 each field of an f-string is looked for from the start of its text: half a nanosecond a unit."""

_LONG_FIELDS = re.compile(rb"""[fF][rR]?('{3}|"{3})|\\\r?\n""")
"""What lets an f-string be longer than a line."""


def is_heavy(text: str) -> bool:
    """Return whether parsing may take more than a third of a second; 5000 ordinary lines are half of that at most."""
    data = text.encode("utf-8", "surrogatepass")
    if len(data) - len(data.translate(None, _MARKS)) > _MOST_MARKS:
        return True
    if data.count(b"{") * len(data) <= _MOST_FIELD_COST:
        return False
    if _LONG_FIELDS.search(data):
        return True
    return sum(line.count(b"{") * len(line) for line in data.splitlines()) > _MOST_FIELD_COST
