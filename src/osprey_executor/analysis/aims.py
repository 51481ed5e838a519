"""Which channels a call writes, and what to each, as the rule of the catalogue for it tells."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from osprey_executor.analysis.record import channel_names
from osprey_executor.analysis.values import NOTHING, Const, Ref, Value

if TYPE_CHECKING:
    from osprey_executor.analysis.catalogue import Rule
    from osprey_executor.analysis.machine import Arguments, Machine

Places = int | str | tuple[int | str, ...] | None


def aimed(m: Machine, rule: Rule, ref: Ref, given: Arguments | None) -> tuple[list[str | None], list[str | None]]:
    """Return the channels that a call writes, None for one that nobody knows, and the source of what each gets."""
    if rule.pairs and given is not None and given.complete and len(given.args) > 1:
        return _pairs(m, given)
    channels = _channels(m, rule, ref, given)
    if given is None or m.place is not None:
        return channels, [None] * len(channels)
    written, value = _node(given, rule.channel), _node(given, rule.value)
    if isinstance(written, ast.Dict):
        pairs = zip(written.keys, written.values, strict=True)
        shown = {key.value: one for key, one in pairs if isinstance(key, ast.Constant)}
        return channels, [m.source(shown[name]) if name in shown else None for name in channels]
    if (
        isinstance(written, ast.List | ast.Tuple)
        and isinstance(value, ast.List | ast.Tuple)
        and len(written.elts) == len(value.elts) == len(channels)
    ):
        return channels, [m.source(one) for one in value.elts]
    return channels, [None if value is None else m.source(value)] * len(channels)


def _pairs(m: Machine, given: Arguments) -> tuple[list[str | None], list[str | None]]:
    """`mv(one, 1, two, 2)`."""
    channels: list[str | None] = []
    values: list[str | None] = []
    for place in range(0, len(given.args), 2):
        names = _names_of(m, given.args[place])
        node = given.nodes.get(place + 1) if m.place is None else None
        channels += names
        values += [None if node is None else m.source(node)] * len(names)
    return channels, values


def _channels(m: Machine, rule: Rule, ref: Ref, given: Arguments | None) -> list[str | None]:
    if rule.named and given is not None:
        return [_by_template(rule.named, given)]
    if rule.channel is None or (given is None and rule.channel != "self"):
        return [None]
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
