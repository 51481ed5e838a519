"""Methods and builtins of lists, dictionaries and iterators: what goes in comes out again."""

from __future__ import annotations

import ast
from collections.abc import Callable

from osprey_executor.analysis import functions
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import (
    NOTHING,
    UNKNOWN,
    Box,
    Const,
    Namespace,
    Ref,
    Value,
    contents,
    is_text,
    joined,
    only_const,
)

_MOST_RANGE = 64


def new_box(m: Machine, node: ast.AST, kind: str = "call", *, mapping: bool = False) -> Box:
    """Return the container that a place in the source makes; the same one each time."""
    box = m.made.setdefault((kind, id(node)), Box(mapping=mapping))
    assert isinstance(box, Box)
    return box


def _keys(m: Machine, box: Box) -> Value:
    known = m.made.get(("keys", id(box)))
    rest = known.rest if isinstance(known, Box) else NOTHING if box.exact else UNKNOWN
    return joined([tuple(Const(key) for key in box.items), rest]) if box.items or rest else UNKNOWN


def method_of_box(m: Machine, node: ast.AST, box: Box, name: str, given: Arguments) -> Value | None:
    """Return what a method of a container gives; None for a method that containers lack."""
    first = given.args[0] if given.args else NOTHING
    match name:
        case "append" | "add" | "appendleft" | "put" | "put_nowait":
            functions.add(m, box, first)
            return UNKNOWN
        case "insert":
            functions.add(m, box, given.args[1] if len(given.args) > 1 else UNKNOWN)
            return UNKNOWN
        case "extend" | "extendleft":
            functions.add(m, box, contents(first))
            return UNKNOWN
        case "update":
            _update(m, box, first)
            for key, value in given.keywords.items():
                functions.put(m, box, key, value)
            return UNKNOWN
        case "get" | "pop" | "setdefault" | "popleft" | "popitem" | "get_nowait" | "__getitem__":
            return _taken_out(m, box, name, given)
        case "values":
            return (_listed(m, node, box, joined([*box.items.values(), box.rest])),)
        case "keys":
            return (_listed(m, node, box, _keys(m, box)),)
        case "items":
            return (_pairs(m, node, box),)
        case "copy" | "__iter__" | "tolist" | "to_list":
            return (box,)
        case "__setitem__" if len(given.args) > 1:
            for atom in first:
                if isinstance(atom, Const):
                    functions.put(m, box, atom.value, given.args[1])
                else:
                    functions.add(m, box, given.args[1])
            return UNKNOWN
        case "index" | "count" | "sort" | "reverse" | "remove" | "clear" | "discard" | "union" | "difference":
            return (box,) if name in ("union", "difference") else UNKNOWN
        case _:
            return None


def _update(m: Machine, box: Box, value: Value) -> None:
    for atom in value:
        if isinstance(atom, Box) and atom.mapping:
            for key, inner in list(atom.items.items()):
                functions.put(m, box, key, inner)
            if atom.rest:
                functions.add(m, box, atom.rest)
                keys = new_box(m, node=ast.Pass(), kind="") if False else m.made.setdefault(("keys", id(box)), Box())
                assert isinstance(keys, Box)
                functions.add(m, keys, _keys(m, atom))
        else:
            functions.add(m, box, contents((atom,)))


def _taken_out(m: Machine, box: Box, name: str, given: Arguments) -> Value:
    default = given.args[1] if len(given.args) > 1 else NOTHING
    key = only_const(given.args[0]) if given.args else None
    if name == "setdefault" and key is not None:
        functions.put(m, box, key.value, default)
    if key is not None and box.mapping:
        try:
            there = box.items.get(key.value, NOTHING)
        except TypeError:
            there = NOTHING
        return joined([there, box.rest, default]) or UNKNOWN
    return joined([*box.items.values(), box.rest, default]) or UNKNOWN


def _listed(m: Machine, node: ast.AST, box: Box, value: Value) -> Box:
    made = m.made.setdefault(("listed", id(node), id(box)), Box())
    assert isinstance(made, Box)
    functions.add(m, made, value)
    return made


def _pairs(m: Machine, node: ast.AST, box: Box) -> Box:
    pairs = m.made.setdefault(("pairs", id(node), id(box)), Box())
    assert isinstance(pairs, Box)
    if box.exact and len(box.items) <= 256:
        for place, (key, value) in enumerate(box.items.items()):
            pair = m.made.setdefault(("pair", id(node), id(box), place), Box())
            assert isinstance(pair, Box)
            functions.fill(m, pair, [(Const(key),), value])
            functions.put(m, pairs, place, (pair,))
        return pairs
    pair = m.made.setdefault(("pair", id(node), id(box)), Box())
    assert isinstance(pair, Box)
    functions.fill(m, pair, [_keys(m, box), joined([*box.items.values(), box.rest])])
    functions.add(m, pairs, (pair,))
    return pairs


def method_of_namespace(
    m: Machine,
    node: ast.AST,
    space: Namespace,
    name: str,
    given: Arguments,
    look_up: Callable[[Machine, ast.AST, Namespace, Value], Value],
) -> Value:
    """Return what a method of a module's dictionary gives."""
    if name in ("get", "pop", "__getitem__", "setdefault") and given.args:
        return look_up(m, node, space, given.args[0])
    if name in ("values", "items", "copy"):
        return (Ref(f"{space.path}.?"),) if space.path not in ("", "__main__") else UNKNOWN
    return UNKNOWN


def _list(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = new_box(m, node)
    if not given.args:
        return (box,)
    first = given.args[0]
    if functions.is_exact(first):
        functions.fill(m, box, functions.each(first))
        return (box,)
    functions.add(m, box, contents(first) or UNKNOWN)
    return (box,)


def _bytes(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if not given.args:
        return (Const(b""),)
    known = only_const(given.args[0])
    if known is not None:
        return (
            (known,)
            if isinstance(known.value, bytes)
            else (Const(known.value.encode()),)
            if isinstance(known.value, str)
            else UNKNOWN
        )
    if functions.is_exact(given.args[0]):
        items = [only_const(item) for item in functions.each(given.args[0])]
        numbers = [item.value for item in items if item is not None and isinstance(item.value, int)]
        if len(numbers) == len(items) and all(0 <= number < 256 for number in numbers):
            return (Const(bytes(numbers)),)
    return UNKNOWN


def _shuffled(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = new_box(m, node)
    if given.args and functions.is_exact(given.args[0]):
        items = functions.each(given.args[0])
        path = getattr(getattr(node, "func", None), "id", "")
        if path == "reversed":
            functions.fill(m, box, items[::-1])
            return (box,)
    functions.add(m, box, contents(given.args[0]) if given.args else UNKNOWN)
    return (box,)


def _dict(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = new_box(m, node, mapping=True)
    for atom in given.args[0] if given.args else NOTHING:
        if not isinstance(atom, Box):
            functions.add(m, box, UNKNOWN)
        elif atom.mapping:
            _update(m, box, (atom,))
        else:
            _from_pairs(m, box, atom)
    for key, value in given.keywords.items():
        functions.put(m, box, key, value)
    return (box,)


def _from_pairs(m: Machine, box: Box, pairs: Box) -> None:
    keys = m.made.setdefault(("keys", id(box)), Box())
    assert isinstance(keys, Box)
    for pair in [*pairs.items.values(), pairs.rest]:
        for atom in pair:
            if isinstance(atom, Box) and 0 in atom.items:
                key = atom.items[0]
                value = atom.items.get(1, UNKNOWN)
                known = only_const(key)
                if known is not None:
                    functions.put(m, box, known.value, value)
                else:
                    functions.add(m, box, value)
                    functions.add(m, keys, key)
            else:
                functions.add(m, box, UNKNOWN)


def _zip(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = new_box(m, node)
    columns = [functions.each(value) if functions.is_exact(value) else None for value in given.args]
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
                functions.fill(m, row, held)
                functions.put(m, box, place, (row,))
            return (box,)
    row = m.made.setdefault(("row", id(node)), Box())
    assert isinstance(row, Box)
    functions.fill(m, row, [contents(value) or UNKNOWN for value in given.args])
    functions.add(m, box, (row,))
    return (box,)


def _enumerate(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = new_box(m, node)
    value = given.args[0] if given.args else UNKNOWN
    if functions.is_exact(value) and len(given.args) == 1 and not given.keywords:
        for place, item in enumerate(functions.each(value)):
            row = m.made.setdefault(("row", id(node), place), Box())
            assert isinstance(row, Box)
            functions.fill(m, row, [(Const(place),), item])
            functions.put(m, box, place, (row,))
        return (box,)
    row = m.made.setdefault(("row", id(node)), Box())
    assert isinstance(row, Box)
    functions.fill(m, row, [UNKNOWN, contents(value) or UNKNOWN])
    functions.add(m, box, (row,))
    return (box,)


def _map(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if not given.args:
        return None
    box = new_box(m, node)
    rest = given.args[1:]
    _consumed(m, given, 0)
    if len(rest) == 1 and functions.is_exact(rest[0]):
        for place, item in enumerate(functions.each(rest[0])):
            functions.put(m, box, place, m.call(node, given.args[0], Arguments((item,))))
        return (box,)
    columns = tuple(contents(value) or UNKNOWN for value in rest)
    functions.add(m, box, m.call(node, given.args[0], Arguments(columns)))
    return (box,)


def _filter(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = new_box(m, node)
    if len(given.args) < 2:
        return None
    items = contents(given.args[1]) or UNKNOWN
    m.call(node, given.args[0], Arguments((items,)))
    functions.add(m, box, items)
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
        if len(numbers) <= _MOST_RANGE:
            box = new_box(m, node)
            functions.fill(m, box, [(Const(number),) for number in numbers])
            return (box,)
    return UNKNOWN


def _next(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return joined([contents(value) for value in given.args]) or UNKNOWN


def _same(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return given.args[0] if given.args else UNKNOWN


def _chain(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = new_box(m, node)
    for value in given.args:
        functions.add(m, box, contents(value) or UNKNOWN)
    return (box,)


def _product(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box, row = new_box(m, node), new_box(m, node, "row")
    functions.fill(m, row, [contents(value) or UNKNOWN for value in given.args])
    functions.add(m, box, (row,))
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


def _namespace_object(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    from osprey_executor.analysis.values import Class, Obj

    made = m.made.setdefault(("namespace", id(node)), Class("SimpleNamespace", ()))
    assert isinstance(made, Class)
    for name, value in given.keywords.items():
        functions.set_attribute(m, made, name, value)
    return (Obj(made),)


def names_of(value: Value) -> Value:
    """Return the texts in a value."""
    return tuple(atom for atom in value if is_text(atom))


MODELS: dict[str, Model] = {
    **dict.fromkeys(
        (
            "builtins.list",
            "builtins.tuple",
            "builtins.set",
            "builtins.frozenset",
            "collections.deque",
            "numpy.array",
            "numpy.asarray",
            "pandas.Series",
            "queue.Queue",
            "queue.SimpleQueue",
            "asyncio.Queue",
        ),
        _list,
    ),
    **dict.fromkeys(("builtins.bytes", "builtins.bytearray"), _bytes),
    **dict.fromkeys(("builtins.sorted", "builtins.reversed", "random.sample"), _shuffled),
    **dict.fromkeys(("builtins.dict", "collections.OrderedDict", "collections.ChainMap"), _dict),
    **dict.fromkeys(("builtins.zip", "itertools.zip_longest"), _zip),
    "collections.defaultdict": lambda m, node, given: (new_box(m, node, mapping=True),),
    "builtins.enumerate": _enumerate,
    "builtins.map": _map,
    "builtins.filter": _filter,
    "builtins.range": _range,
    "builtins.int": _number,
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
    **dict.fromkeys(("itertools.chain", "itertools.chain.from_iterable", "asyncio.gather"), _chain),
    "itertools.product": _product,
    "types.SimpleNamespace": _namespace_object,
}
