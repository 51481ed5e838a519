"""Builtins that iterate: zip, map, range and their kin keep what belongs together, together."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import lru_cache

from osprey_executor.analysis import boxes, sizes
from osprey_executor.analysis.containers import new_box
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import (
    UNKNOWN,
    Box,
    Const,
    Value,
    consts,
    contents,
    joined,
    only_const,
)

_MOST_RANGE = 64


def _zip(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = new_box(m, node)
    columns = [boxes.each(value) if boxes.is_exact(value) else None for value in given.args]
    exact = [column for column in columns if column is not None]
    if exact and given.complete:
        rows = min(len(column) for column in exact)
        if rows <= 128:
            for place in range(rows):
                row = m.made.setdefault(("row", id(node), place), Box())
                assert isinstance(row, Box)
                held = [
                    column[place] if column is not None else contents(value) or UNKNOWN
                    for column, value in zip(columns, given.args, strict=True)
                ]
                boxes.fill(m, row, held)
                boxes.put(m, box, place, (row,))
            return (box,)
    row = m.made.setdefault(("row", id(node)), Box())
    assert isinstance(row, Box)
    boxes.fill(m, row, [contents(value) or UNKNOWN for value in given.args])
    boxes.add(m, box, (row,))
    return (box,)


def _enumerate(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = new_box(m, node)
    value = given.args[0] if given.args else UNKNOWN
    if boxes.is_exact(value) and len(given.args) == 1 and not given.keywords:
        for place, item in enumerate(boxes.each(value)):
            row = m.made.setdefault(("row", id(node), place), Box())
            assert isinstance(row, Box)
            boxes.fill(m, row, [(Const(place),), item])
            boxes.put(m, box, place, (row,))
        return (box,)
    row = m.made.setdefault(("row", id(node)), Box())
    assert isinstance(row, Box)
    boxes.fill(m, row, [UNKNOWN, contents(value) or UNKNOWN])
    boxes.add(m, box, (row,))
    return (box,)


def _map(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if not given.args:
        return None
    box = new_box(m, node)
    rest = given.args[1:]
    _consumed(m, given, 0)
    if len(rest) == 1 and boxes.is_exact(rest[0]):
        for place, item in enumerate(boxes.each(rest[0])):
            boxes.put(m, box, place, m.call(node, given.args[0], Arguments((item,))))
        return (box,)
    columns = tuple(contents(value) or UNKNOWN for value in rest)
    boxes.add(m, box, m.call(node, given.args[0], Arguments(columns)))
    return (box,)


def _filter(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = new_box(m, node)
    if len(given.args) < 2:
        return None
    items = contents(given.args[1]) or UNKNOWN
    m.call(node, given.args[0], Arguments((items,)))
    boxes.add(m, box, items)
    return (box,)


def _consumed(m: Machine, given: Arguments, place: int | str) -> None:
    node = given.nodes.get(place)
    if node is not None:
        m.taken.pop(m.where(node)[:2], None)


def _range(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    bounds = [known.value for value in given.args if (known := only_const(value)) is not None]
    if len(bounds) == len(given.args) and bounds and all(isinstance(bound, int) for bound in bounds):
        try:
            numbers = range(*bounds)
        except (ValueError, TypeError):
            return UNKNOWN
        sizes.check_range(m, node, numbers)
        if sizes.size_of(numbers) <= _MOST_RANGE:
            box = new_box(m, node)
            boxes.fill(m, box, _numbers(numbers))
            return (box,)
    return UNKNOWN


@lru_cache(256)
def _numbers(numbers: range) -> Sequence[Value]:
    return consts(numbers)


def _next(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return joined([contents(value) for value in given.args]) or UNKNOWN


def _same(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return given.args[0] if given.args else UNKNOWN


def _chain(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = new_box(m, node)
    for value in given.args:
        boxes.add(m, box, contents(value) or UNKNOWN)
    return (box,)


def _product(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    sizes.check_combined(m, node, "product", given)
    box, row = new_box(m, node), new_box(m, node, "row")
    boxes.fill(m, row, [contents(value) or UNKNOWN for value in given.args])
    boxes.add(m, box, (row,))
    return (box,)


def _number(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    known = only_const(given.args[0]) if given.args else None
    if known is None:
        return UNKNOWN
    base = only_const(given.args[1]) if len(given.args) > 1 else None
    try:
        if base is not None and len(str(known.value)) < 100:
            return (Const(int(known.value, base.value)),)
        return (Const(int(known.value)),) if len(str(known.value)) < 100 else UNKNOWN
    except (ValueError, TypeError, OverflowError):
        return UNKNOWN


def _real(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    known = only_const(given.args[0]) if given.args else None
    try:
        return (Const(float(str(known.value))),) if known is not None and len(str(known.value)) < 100 else UNKNOWN
    except ValueError:
        return UNKNOWN


MODELS: dict[str, Model] = {
    **dict.fromkeys(("builtins.zip", "itertools.zip_longest"), _zip),
    **dict.fromkeys(("itertools.chain", "itertools.chain.from_iterable", "asyncio.gather"), _chain),
    "builtins.enumerate": _enumerate,
    "builtins.map": _map,
    "builtins.filter": _filter,
    "builtins.range": _range,
    "builtins.int": _number,
    "builtins.float": _real,
    **dict.fromkeys(("builtins.next", "builtins.min", "builtins.max", "random.choice"), _next),
    **dict.fromkeys(
        (
            "builtins.iter",
            "copy.copy",
            "copy.deepcopy",
            "itertools.cycle",
            "tqdm.tqdm",
            "tqdm.auto.tqdm",
            "asyncio.create_task",
            "asyncio.ensure_future",
            "asyncio.run",
            "asyncio.wait_for",
            "asyncio.shield",
            "contextlib.closing",
            "contextlib.nullcontext",
            "typing.cast",
            "itertools.islice",
        ),
        _same,
    ),
    "itertools.product": _product,
}
