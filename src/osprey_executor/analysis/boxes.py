"""Containers: what goes in, by key or anywhere, and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from osprey_executor.analysis.machine import Machine
from osprey_executor.analysis.values import (
    UNKNOWN,
    Box,
    Const,
    Value,
    contents,
    held,
    join,
    widened,
)

_MOST_HELD = 64


def put(m: Machine, box: Box, key: Any, value: Value) -> bool:
    """Let an item also hold `value`; return whether that is news."""
    before = box.items.get(key)
    if before:
        if before is value:
            return False
        after = join(before, value)
        if after is before:
            return False
    else:
        after = value
    box.items[key] = after
    m.mutations += 1
    return True


def fill(m: Machine, box: Box, values: Sequence[Value]) -> bool:
    """Let a box also hold `values` by position; return whether that is news."""
    if not box.items:
        # As nearly always, it is made here. That nobody saw it before is why it does not count as a change: whoever
        # held something else in its place is told by its name or container.
        box.items.update(enumerate(values))
        return bool(values)
    news = False
    for place, value in enumerate(values):
        news = put(m, box, place, value) or news
    return news


def add(m: Machine, box: Box, value: Value) -> None:
    """Let a box also hold `value` somewhere."""
    box.exact = False
    after = join(box.rest, value)
    if after is not box.rest:
        box.rest = _gathered(m, box, after) if len(after) > _MOST_HELD else after
        m.mutated()


def _gathered(m: Machine, box: Box, value: Value) -> Value:
    """Return `value` with its many containers as one, so that a long table costs no more than a short one."""
    boxes = [atom for atom in value if isinstance(atom, Box)]
    others = tuple(atom for atom in value if not isinstance(atom, Box))
    if len(boxes) > 1:
        row = m.made.setdefault(("rows", id(box)), Box())
        assert isinstance(row, Box)
        for one in boxes:
            if one is not row:
                for key, item in one.items.items():
                    put(m, row, key, item)
                row.rest = join(row.rest, one.rest)
                row.exact = row.exact and one.exact
        others += (row,)
    return others if len(others) < 4 * _MOST_HELD else widened(others)


def each(value: Value) -> list[Value]:
    """Return the items of a container of exactly known content, else one value that stands for each."""
    if len(value) == 1 and isinstance(value[0], Box):
        box = value[0]
        if box.exact and not box.rest and len(box.items) <= 256:
            return [(Const(key),) for key in box.items] if box.mapping else list(box.items.values())
    if len(value) == 1 and isinstance(value[0], Const) and isinstance(value[0].value, str | bytes):
        text = value[0].value
        if len(text) <= 256:
            return [(Const(item),) for item in text]
    return [contents(value) or UNKNOWN]


def is_exact(value: Value) -> bool:
    """Return whether `each` gives every item in order."""
    if len(value) != 1:
        return False
    atom = value[0]
    if isinstance(atom, Box):
        return atom.exact and not atom.rest and len(atom.items) <= 256
    return isinstance(atom, Const) and isinstance(atom.value, str | bytes) and len(atom.value) <= 256


def merge(m: Machine, box: Box, value: Value) -> None:
    """Let a dictionary also hold what another holds."""
    for atom in value:
        if isinstance(atom, Box) and atom.mapping:
            for key, inner in list(atom.items.items()):
                put(m, box, key, inner)
            if atom.rest:
                add(m, box, atom.rest)
        else:
            add(m, box, held((atom,)) or UNKNOWN)


def store(m: Machine, box: Box, key: Value, value: Value) -> None:
    """Let `box[key]` also hold `value`."""
    if len(key) == 1 and isinstance(key[0], Const):
        put(m, box, key[0].value, value)
        return
    if key and all(isinstance(atom, Const) for atom in key) and len(key) <= 256:
        for atom in key:
            if isinstance(atom, Const):
                put(m, box, atom.value, value)
        return
    add(m, box, value)
    keys = m.made.setdefault(("keys", id(box)), Box())
    assert isinstance(keys, Box)
    add(m, keys, key or UNKNOWN)
