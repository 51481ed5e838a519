"""Devices that are made of components: the channel of a component is the prefix of its device and its own suffix."""

from __future__ import annotations

import ast
import re

from osprey_executor.analysis import texts
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import HOLE, NOTHING, UNKNOWN, Const, Obj, Pattern, Ref, Value

_OPEN: Value = (Pattern(HOLE),)
_PREFIX = re.compile(r"\{(self\.)?prefix\}")


def _device(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`Device("BL1:SLIT:")`: what it writes begins with its prefix."""
    prefix = given.get(0, "prefix")
    return (Ref("ophyd.Device", True, texts.concat(prefix, _OPEN) if prefix else NOTHING),)


def _component(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`Component(EpicsSignal, "SP")`: a signal whose channel begins with what its device was made with."""
    return _made(m, node, given, texts.concat(_OPEN, given.get(1, "suffix") or (Const(""),)))


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


MODELS: dict[str, Model] = {"device": _device, "component": _component, "formatted-component": _formatted}
