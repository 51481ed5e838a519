"""Devices that are made of components: the channel of a component is the prefix of its device and its own suffix."""

from __future__ import annotations

import ast
import re

from osprey_executor.analysis import boxes, texts
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import (
    HOLE,
    NOTHING,
    UNKNOWN,
    Atom,
    Box,
    Const,
    Obj,
    Pattern,
    Ref,
    Value,
    joined,
    spelling,
)
from osprey_executor.models import Effect

_OPEN: Value = (Pattern(HOLE),)
_ACQUIRES = re.compile(r"areadetector|Detector|Scaler|MCA|QuadEM|Camera|flyer", re.IGNORECASE)
"""What stands in the names of devices that take an order before they can be read."""
_PREFIX = re.compile(r"\{(self\.)?prefix\}")


def _device(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`Device("BL1:SLIT:")`: what it writes begins with its prefix."""
    prefix = given.get(0, "prefix")
    return (Ref("ophyd.Device", True, texts.concat(prefix, _OPEN) if prefix else NOTHING),)


def _component(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`Component(EpicsSignal, "SP")`: a signal whose channel begins with what its device was made with."""
    return _made(m, node, given, texts.concat(_OPEN, given.get("write_pv", 1, "suffix") or (Const(""),)))


def _formatted(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`FormattedComponent(EpicsSignal, "{prefix}SP")`."""
    suffix = given.get(1, "suffix") or UNKNOWN
    exact = suffix[0].value if len(suffix) == 1 and isinstance(suffix[0], Const) else None
    if isinstance(exact, str) and "{" not in _PREFIX.sub("", exact):
        return _made(m, node, given, (Pattern(_PREFIX.sub(HOLE, exact)),))
    return _made(m, node, given, UNKNOWN)


def _made(m: Machine, node: ast.AST, given: Arguments, channel: Value) -> Value | None:
    made = m.call(node, given.get(0, "cls") or UNKNOWN, Arguments((channel,)))
    return tuple(atom for atom in made if isinstance(atom, Ref | Obj)) or None


def _watched(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`epics.PV("A", callback=f)`: what changes is read and handed to a function."""
    held = given.get(1, "callback") or NOTHING
    if given.complete and any(not isinstance(atom, Const) or atom.value is not None for atom in held):
        m.find(node, "control/watched", Effect.CONTROL_READ, "reads a channel, for a function that gets its values")
    return None


def _prefixed(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`epics.Device("DEV", delim=":")`: what it writes begins with its prefix and the delimiter."""
    prefix, delim = given.get(0, "prefix"), given.get(1, "delim") or (Const(""),)
    if not prefix:
        return None
    ends = tuple(spelling(atom) for atom in delim)
    done = bool(ends[0]) and all(spelling(atom).endswith(ends) for atom in prefix)
    return (Ref("epics.Device", True, prefix if done else texts.concat(prefix, delim)),)


def _one_each(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`context.get_pvs("A", "B")`: an object for each name, in their order."""
    box = m.made.setdefault(("objects", id(node)), Box())
    assert isinstance(box, Box)
    if not given.complete:
        return None
    boxes.fill(m, box, [(Ref("caproto.PV", True, value),) for value in given.args])
    return (box,)


def _reading(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`count([detector])`: reads, unless a detector is known to be one that is set before it is read."""
    for atom in (given.get(0, "detectors", "devices", "obj") or NOTHING) if given.complete else UNKNOWN:
        inside = joined([*atom.items.values(), atom.rest]) if isinstance(atom, Box) else (atom,)
        if any(_is_set(m, one) for one in inside):
            return None
    m.find(node, "control/bluesky-detectors", Effect.CONTROL_READ, "reads detectors in a bluesky plan")
    return UNKNOWN


def _is_set(m: Machine, atom: Atom) -> bool:
    if isinstance(atom, Obj):
        return any(_is_set(m, base) for base in atom.kind.bases)
    if not isinstance(atom, Ref) or not m.catalogue.is_control(atom.path) or atom.path.startswith("ophyd.sim."):
        return False
    return _ACQUIRES.search(atom.path) is not None


MODELS: dict[str, Model] = {
    "prefixed-device": _prefixed,
    "epics.PV": _watched,
    "one-each": _one_each,
    "device": _device,
    "component": _component,
    "formatted-component": _formatted,
    "plan-that-reads": _reading,
}
