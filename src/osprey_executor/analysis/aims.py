"""Which channels a call writes, and what to each, as the rule of the catalogue for it tells."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from osprey_executor.analysis.record import channel_names
from osprey_executor.analysis.values import NOTHING, Box, Const, Ref, Value, exact_texts

if TYPE_CHECKING:
    from osprey_executor.analysis.catalogue import Rule
    from osprey_executor.analysis.machine import Arguments, Machine

_MOST_CONSTANTS = 8
_LONG = 200
Places = int | str | tuple[int | str, ...] | None


class Aim(NamedTuple):
    """A channel that a call writes, None for one that nobody knows, and what it gets."""

    channel: str | None
    value: str | None
    computed: bool = False
    """Whether `value` was worked out; else it is what stands in the source."""


def aimed(m: Machine, rule: Rule, ref: Ref, given: Arguments | None) -> list[Aim]:
    """Return what a call writes: each channel, and its value as a constant or as the source of it."""
    if rule.pairs and given is not None and given.complete and len(given.args) > 1:
        return _pairs(m, given)
    channels = _channels(m, rule, ref, given)
    if given is None:
        return [Aim(channel, None) for channel in channels]
    written, value = _node(given, rule.channel), _node(given, rule.value)
    if rows := _rows(m, written, value):
        return rows
    names = (given.get(*_tuple(rule.channel)) if isinstance(rule.channel, tuple) else None) or NOTHING
    held = (given.get(*_tuple(rule.value)) if rule.value is not None else None) or NOTHING
    each = _each(names, held, channels)
    found: list[Aim] = []
    sources = _sources(written, value, channels, several=each is not None)
    for place, (channel, node) in enumerate(zip(channels, sources, strict=True)):
        constants = _constants(held if each is None else each[place])
        if constants and not _says(m, node) and (len(constants) == 1 or len(channels) == 1 or each is not None):
            found.extend(Aim(channel, one, True) for one in constants)
        else:
            found.append(Aim(channel, None if node is None or m.place is not None else m.source(node)))
    return found


def _sources(
    written: ast.expr | None, value: ast.expr | None, channels: list[str | None], *, several: bool
) -> list[ast.expr | None]:
    """Return where the value of each channel stands in the source; `several`: each has a value of its own."""
    if isinstance(written, ast.Dict):
        pairs = zip(written.keys, written.values, strict=True)
        shown = {key.value: one for key, one in pairs if isinstance(key, ast.Constant)}
        return [shown.get(name) for name in channels]
    listed = several or (isinstance(written, ast.List | ast.Tuple) and len(written.elts) == len(channels))
    if listed and isinstance(value, ast.List | ast.Tuple) and len(value.elts) == len(channels):
        return list(value.elts)
    return [value] * len(channels)


def _each(names: Value, held: Value, channels: list[str | None]) -> list[Value] | None:
    """Return the value of each channel where a dictionary, or a list beside a list, tells them apart."""
    box = names[0] if len(names) == 1 else None
    if not isinstance(box, Box) or not box.exact or box.rest or len(box.items) != len(channels):
        return None
    if box.mapping:
        return [box.items.get(name, NOTHING) for name in channels]
    values = held[0] if len(held) == 1 else None
    if not isinstance(values, Box) or not values.exact or values.rest or len(values.items) != len(channels):
        return None
    return None if values.mapping else list(values.items.values())


def _rows(m: Machine, written: ast.expr | None, value: ast.expr | None) -> list[Aim]:
    """`for name, value in {"A": 1, "B": 2}.items(): caput(name, value)`: each channel with its own value."""
    if not isinstance(written, ast.Name) or not isinstance(value, ast.Name):
        return []
    places = [m.scope.places.get(one.id) for one in (written, value)]
    columns = [m.columns.get(id(place.node)) if place is not None else None for place in places]
    if columns[0] is None or columns[1] is None or columns[0][0] is not columns[1][0]:
        return []
    found: list[Aim] = []
    for row in columns[0][0]:
        name, held = (row.items.get(column[1], NOTHING) for column in columns if column is not None)
        constants = _constants(held)
        exact = exact_texts(name)
        if not constants or len(exact) != len(name) or len(name) != 1:
            return []
        found.extend(Aim(channel, one, True) for channel in channel_names(name) for one in constants)
    return found


def _constants(held: Value) -> list[str]:
    """Return the source of the numbers and texts that a value may be; none where it may be anything else."""
    if not held or len(held) > _MOST_CONSTANTS:
        return []
    found = [repr(atom.value) for atom in held if isinstance(atom, Const) and _is_short(atom.value)]
    return list(dict.fromkeys(found)) if len(found) == len(held) else []


def _is_short(value: object) -> bool:
    if isinstance(value, str):
        return len(value) < _LONG
    return isinstance(value, float) or (isinstance(value, int) and value.bit_length() < _LONG)


def _says(m: Machine, node: ast.expr | None) -> bool:
    """Return whether the source itself tells a reader the value; a name does not."""
    return node is not None and m.place is None and not isinstance(node, ast.Name | ast.Attribute | ast.Subscript)


def _pairs(m: Machine, given: Arguments) -> list[Aim]:
    """`mv(one, 1, two, 2)`."""
    found: list[Aim] = []
    for place in range(0, len(given.args), 2):
        names = _names_of(m, given.args[place])
        node = given.nodes.get(place + 1) if m.place is None else None
        constants = _constants(given.args[place + 1]) if place + 1 < len(given.args) else []
        if len(constants) == 1 and not _says(m, node):
            found.extend(Aim(name, constants[0], True) for name in names)
        else:
            found.extend(Aim(name, None if node is None else m.source(node)) for name in names)
    return found


def _channels(m: Machine, rule: Rule, ref: Ref, given: Arguments | None) -> list[str | None]:
    if rule.named and given is not None:
        return [_by_template(rule.named, given)]
    if rule.channel is None or (given is None and rule.channel != "self"):
        return [None]
    if rule.channel == "devices":
        return _devices(m, given) if given is not None else [None]
    if rule.channel == "self":
        names = channel_names(ref.channels)
    else:
        names = _names_of(m, (given.get(*_tuple(rule.channel)) if given else None) or NOTHING)
    if rule.suffix:
        names = [name and name + rule.suffix for name in names]
    if rule.part is None or given is None:
        return names
    parts = channel_names(given.get(*_tuple(rule.part)) or NOTHING)
    return [name and name + rule.joint + (part or "*") for name in names for part in parts]


def _devices(m: Machine, given: Arguments) -> list[str | None]:
    """`grid_scan(detectors, one, 0, 1, 5, two, 0, 1, 5)`: any device among the arguments after the first."""
    others = [*given.args[1:], *(held for word, held in given.keywords.items() if word != "detectors")]
    found = [atom for held in others for atom in held if isinstance(atom, Ref) and atom.channels]
    return _names_of(m, tuple(dict.fromkeys(found)))


def _names_of(m: Machine, held: Value) -> list[str | None]:
    """Return the names of channels, and of those that objects write which were made with some."""
    found: dict[str | None, None] = {}
    for atom in held:
        if not isinstance(atom, Ref) or not atom.channels:
            found.update(dict.fromkeys(channel_names((atom,))))
            continue
        rule = m.rule(f"{atom.path}.set")
        suffix = rule.suffix if rule is not None else ""
        found.update({name and name + suffix: None for name in channel_names(atom.channels)})
    return list(found) or [None]


def _tuple(places: Places) -> tuple[int | str, ...]:
    return places if isinstance(places, tuple) else () if places is None else (places,)


def _node(given: Arguments, places: Places) -> ast.expr | None:
    return next((given.nodes[place] for place in _tuple(places) if place in given.nodes), None)


def _by_template(form: str, given: Arguments) -> str | None:
    """Return how a channel without a name is called, by the numbers and words of its arguments."""
    words: list[str] = []
    for value in given.args[:4]:
        atom = value[0] if len(value) == 1 else None
        words.append(str(atom.value)[:40] if type(atom) is Const else "*")
    try:
        name = form.format(*words)
    except IndexError:
        return None
    return name if given.complete and "*" not in name else None
