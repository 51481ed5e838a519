"""Methods and builtins of lists, dictionaries and iterators: what goes in comes out again."""

from __future__ import annotations

import ast
from collections.abc import Callable

from osprey_executor.analysis import boxes, functions, loops, sizes
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import (
    NOTHING,
    UNKNOWN,
    Box,
    Class,
    Const,
    Namespace,
    Obj,
    Ref,
    Value,
    contents,
    held,
    joined,
    only_const,
)

_MOST_NAMES = 500


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
    method = _METHODS.get(name)
    return None if method is None else method(m, node, box, name, given)


def _append(m: Machine, node: ast.AST, box: Box, name: str, given: Arguments) -> Value:
    sizes.check_kept(m, node, given.nodes.get(0))
    boxes.add(m, box, given.args[0] if given.args else NOTHING)
    return UNKNOWN


def _insert(m: Machine, node: ast.AST, box: Box, name: str, given: Arguments) -> Value:
    boxes.add(m, box, given.args[1] if len(given.args) > 1 else UNKNOWN)
    return UNKNOWN


def _extend(m: Machine, node: ast.AST, box: Box, name: str, given: Arguments) -> Value:
    loops.check_collected(m, node, given.nodes.get(0))
    sizes.check_kept(m, node, given.nodes.get(0))
    boxes.add(m, box, contents(given.args[0] if given.args else NOTHING))
    return UNKNOWN


def _update_with(m: Machine, node: ast.AST, box: Box, name: str, given: Arguments) -> Value:
    _update(m, box, given.args[0] if given.args else NOTHING)
    for key, value in given.keywords.items():
        boxes.put(m, box, key, value)
    return UNKNOWN


def _values(m: Machine, node: ast.AST, box: Box, name: str, given: Arguments) -> Value:
    return (_listed(m, node, box, joined([*box.items.values(), box.rest])),)


def _set_item(m: Machine, node: ast.AST, box: Box, name: str, given: Arguments) -> Value | None:
    if len(given.args) < 2:
        return None
    for atom in given.args[0]:
        if isinstance(atom, Const):
            boxes.put(m, box, atom.value, given.args[1])
        else:
            boxes.add(m, box, given.args[1])
    return UNKNOWN


def _reorder(m: Machine, node: ast.AST, box: Box, name: str, given: Arguments) -> Value:
    boxes.add(m, box, joined([*box.items.values(), box.rest]))  # the order is not known any more
    return UNKNOWN


def _update(m: Machine, box: Box, value: Value) -> None:
    for atom in value:
        if isinstance(atom, Box) and atom.mapping:
            for key, inner in list(atom.items.items()):
                boxes.put(m, box, key, inner)
            if atom.rest:
                boxes.add(m, box, atom.rest)
                keys = m.made.setdefault(("keys", id(box)), Box())
                assert isinstance(keys, Box)
                boxes.add(m, keys, _keys(m, atom))
        else:
            boxes.add(m, box, contents((atom,)))


def _taken_out(m: Machine, node: ast.AST, box: Box, name: str, given: Arguments) -> Value:
    default = given.args[1] if len(given.args) > 1 else NOTHING
    key = only_const(given.args[0]) if given.args else None
    if name == "setdefault" and key is not None:
        boxes.put(m, box, key.value, default)
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
    boxes.add(m, made, value)
    return made


def _pairs(m: Machine, node: ast.AST, box: Box) -> Box:
    pairs = m.made.setdefault(("pairs", id(node), id(box)), Box())
    assert isinstance(pairs, Box)
    if box.exact and len(box.items) <= 256:
        for place, (key, value) in enumerate(box.items.items()):
            pair = m.made.setdefault(("pair", id(node), id(box), place), Box())
            assert isinstance(pair, Box)
            boxes.fill(m, pair, [(Const(key),), value])
            boxes.put(m, pairs, place, (pair,))
        return pairs
    pair = m.made.setdefault(("pair", id(node), id(box)), Box())
    assert isinstance(pair, Box)
    boxes.fill(m, pair, [_keys(m, box), joined([*box.items.values(), box.rest])])
    boxes.add(m, pairs, (pair,))
    return pairs


_Method = Callable[[Machine, ast.AST, Box, str, Arguments], Value | None]
_METHODS: dict[str, _Method] = {
    **dict.fromkeys(("append", "add", "appendleft", "put", "put_nowait"), _append),
    "insert": _insert,
    **dict.fromkeys(("extend", "extendleft"), _extend),
    "update": _update_with,
    **dict.fromkeys(("get", "pop", "setdefault", "popleft", "popitem", "get_nowait", "__getitem__"), _taken_out),
    "values": _values,
    "keys": lambda m, node, box, name, given: (_listed(m, node, box, _keys(m, box)),),
    "items": lambda m, node, box, name, given: (_pairs(m, node, box),),
    **dict.fromkeys(
        ("copy", "__iter__", "tolist", "to_list", "union", "difference"), lambda m, node, box, name, given: (box,)
    ),
    "__setitem__": _set_item,
    **dict.fromkeys(("sort", "reverse", "remove", "rotate"), _reorder),
    **dict.fromkeys(("index", "count", "clear", "discard"), lambda m, node, box, name, given: UNKNOWN),
}


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
    if name in ("values", "items", "copy") and space.path == "__main__":
        # Any name of the program, and of what `import *` brought: what could write is among what may come out.
        known = [held(value) for value in list(m.module.ever.values())[:_MOST_NAMES]]
        return joined([UNKNOWN, *known, *((Ref(f"{star}.?"),) for star in m.stars)])
    if name in ("values", "items", "copy"):
        return (Ref(f"{space.path}.?"),) if space.path not in ("", "__main__") else UNKNOWN
    return UNKNOWN


def _list(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = new_box(m, node)
    if not given.args:
        return (box,)
    first = given.args[0]
    if boxes.is_exact(first):
        boxes.fill(m, box, boxes.each(first))
        return (box,)
    boxes.add(m, box, contents(first) or UNKNOWN)
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
    if boxes.is_exact(given.args[0]):
        items = [only_const(item) for item in boxes.each(given.args[0])]
        numbers = [item.value for item in items if item is not None and isinstance(item.value, int)]
        if len(numbers) == len(items) and all(0 <= number < 256 for number in numbers):
            return (Const(bytes(numbers)),)
    return UNKNOWN


def _shuffled(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = new_box(m, node)
    if given.args and boxes.is_exact(given.args[0]):
        items = boxes.each(given.args[0])
        path = getattr(getattr(node, "func", None), "id", "")
        if path == "reversed":
            boxes.fill(m, box, items[::-1])
            return (box,)
    boxes.add(m, box, contents(given.args[0]) if given.args else UNKNOWN)
    return (box,)


def _dict(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = new_box(m, node, mapping=True)
    for atom in given.args[0] if given.args else NOTHING:
        if not isinstance(atom, Box):
            boxes.add(m, box, UNKNOWN)
        elif atom.mapping:
            _update(m, box, (atom,))
        else:
            _from_pairs(m, box, atom)
    for key, value in given.keywords.items():
        boxes.put(m, box, key, value)
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
                    boxes.put(m, box, known.value, value)
                else:
                    boxes.add(m, box, value)
                    boxes.add(m, keys, key)
            else:
                boxes.add(m, box, UNKNOWN)


def _namespace_object(m: Machine, node: ast.AST, given: Arguments) -> Value | None:

    made = m.made.setdefault(("namespace", id(node)), Class("SimpleNamespace", ()))
    assert isinstance(made, Class)
    for name, value in given.keywords.items():
        functions.set_attribute(m, made, name, value)
    return (Obj(made),)


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
    "collections.defaultdict": lambda m, node, given: (new_box(m, node, mapping=True),),
    "types.SimpleNamespace": _namespace_object,
}
