"""What a name can hold, as far as the source tells: a short tuple of possibilities, joined where ways meet."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

if TYPE_CHECKING:
    from osprey_executor.analysis.scopes import Scope

HOLE = "\udfff"
"""Stands for the unknown part of a text. A lone surrogate: real text never holds one."""
PLAIN = "plain"
"""Kind of a pattern whose holes are numbers, or texts that were quoted for a shell."""
_MOST_TEXTS = 256
_MOST_OTHERS = 48


class Const(NamedTuple):
    """An exact number, text, bytes, boolean or None. A tuple, because it is hashed more than anything else here."""

    value: Any
    kind: str = "exact"


class Pattern(NamedTuple):
    """A text of which parts are unknown, each written as `HOLE`."""

    text: str
    kind: str = "pattern"


class Ref(NamedTuple):
    """Something of a library, by its dotted path: `epics.caput`; with `made`, an object that `epics.PV(...)` gave."""

    path: str
    made: bool = False
    channels: Value = ()
    """Names that the object was made with."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """The dictionary of a module, or `sys.modules` where the path is empty."""

    path: str


class Method(NamedTuple):
    """A method of a text or container, not yet called."""

    owner: Const | Pattern | Box | Namespace
    name: str
    kind: str = "method"


@dataclass(frozen=True, slots=True)
class Partial:
    """A callable with some arguments bound."""

    callee: Value
    args: tuple[Value, ...]
    keywords: tuple[tuple[str, Value], ...]
    depth: int = 1
    """How many partials are in one another."""


class Box:
    """A list, tuple, set or dictionary, one per place in the source that makes it."""

    __slots__ = ("exact", "items", "mapping", "rest")

    def __init__(self, *, mapping: bool = False) -> None:
        self.items: dict[Any, Value] = {}
        """By position or constant key."""
        self.rest: Value = ()
        """What else it may hold."""
        self.exact = True
        """Whether `items` is all of it, in order."""
        self.mapping = mapping


class Func:
    """A function or lambda of the program."""

    __slots__ = (
        "callers",
        "is_class_method",
        "is_method",
        "is_property",
        "is_static",
        "node",
        "outer",
        "params",
        "place",
        "returns",
        "running",
        "runs",
        "scope",
        "stale",
    )

    def __init__(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
        outer: Scope,
        scope: Scope,
        place: ast.AST | None = None,
    ) -> None:
        self.node = node
        self.outer = outer
        self.scope = scope
        self.place = place
        """Where its text was given to `exec`, if it was."""
        self.params: dict[str, Value] = {}
        self.returns: Value = ()
        self.runs = 0
        self.running = False
        self.stale = False
        """A value that it read has changed since it was analysed."""
        self.is_property = False
        self.is_static = False
        self.is_class_method = False
        self.is_method = not isinstance(node, ast.Lambda)
        """Whether an object that has it passes itself; a lambda only if a class has it, not where an object got it."""
        self.callers: dict[Func | None, None] = {}
        """Who used what it returns; None: the module."""


@dataclass(eq=False, slots=True)
class Class:
    """A class of the program; its objects share one set of attributes."""

    name: str
    bases: tuple[Atom, ...]
    attributes: dict[str, Value] = field(default_factory=dict[str, "Value"])
    channels: Value = ()
    meta: Value = ()
    """Its metaclass, where the program gives it one."""


@dataclass(frozen=True, slots=True)
class Obj:
    """An object of a class of the program."""

    kind: Class


@dataclass(frozen=True, slots=True)
class Bound:
    """A function of the program with its first argument."""

    func: Func
    owner: Atom


class Unknown:
    """Anything; there is one of it, `UNKNOWN[0]`."""

    __slots__ = ()


Atom: TypeAlias = Const | Pattern | Ref | Namespace | Method | Partial | Box | Func | Class | Obj | Bound | Unknown
Value: TypeAlias = tuple[Atom, ...]
_HELD = frozenset((Ref, Func, Class, Obj, Bound, Partial, Namespace))
UNKNOWN: Value = (Unknown(),)
NOTHING: Value = ()
NONE: Value = (Const(None),)
_ANY = UNKNOWN[0]


_const: Callable[[tuple[Any, str]], Const] = partial(cast("Any", tuple).__new__, Const)
"""Makes a constant in half of the time that `Const(...)` takes, which is a function of Python."""


def consts(values: Iterable[Any]) -> list[Value]:
    """Return each of `values` as a value of its own."""
    return [(_const((value, "exact")),) for value in values]


def join(first: Value, second: Value) -> Value:
    """Return what either holds; `first` itself where nothing is new."""
    if first is second or not second:
        return first
    if not first:
        return second
    if len(second) == 1:
        if second[0] in first:
            return first
        if len(first) < _MOST_TEXTS:
            return (*first, second[0])
    seen = dict.fromkeys(first)
    size = len(seen)
    seen.update(dict.fromkeys(second))
    if len(seen) == size:
        return first
    return bounded(tuple(seen)) if len(seen) > _MOST_TEXTS else tuple(seen)


def joined(values: list[Value]) -> Value:
    """Return what any of `values` holds."""
    if len(values) == 1:
        return values[0]
    seen = dict.fromkeys(chain.from_iterable(values))
    return bounded(tuple(seen)) if len(seen) > _MOST_TEXTS else tuple(seen)


def bounded(value: Value) -> Value:
    """Return `value`, many texts as one pattern and many other things as unknown."""
    texts = [atom for atom in value if is_text(atom)]
    others = [atom for atom in value if not is_text(atom)]
    if len(texts) > _MOST_TEXTS:
        texts = list(merged_texts(tuple(texts)))
    if len(others) > _MOST_OTHERS:
        kept = [atom for atom in others if not isinstance(atom, Const | Unknown)]
        others = [*kept[: 4 * _MOST_OTHERS], _ANY]
    return (*texts, *others)


def widened(value: Value) -> Value:
    """Return a value that a loop can no longer make grow: numbers unknown, texts one pattern."""
    texts = tuple(atom for atom in value if is_text(atom))
    others = [atom for atom in value if not isinstance(atom, Const | Pattern)]
    numbers = len(texts) + len(others) < len(value)
    if numbers and _ANY not in others:
        others.append(_ANY)
    return (*(merged_texts(texts) if len(texts) > 1 else texts), *others)


def spent(value: Value) -> Value:
    """Return `value` with any text and any number in place of those that it holds."""
    return (*(atom for atom in value if not isinstance(atom, Const | Pattern | Unknown)), Pattern(HOLE), _ANY)


_TEXTS = (str, bytes)


def is_text(atom: Atom) -> bool:
    """Return whether `atom` is text or bytes, wholly or partly known."""
    return isinstance(atom.value, _TEXTS) if isinstance(atom, Const) else isinstance(atom, Pattern)


def merged_texts(texts: Value) -> Value:
    """Return one pattern that covers all of `texts`: their common start and end."""
    spelled = [spelling(atom) for atom in texts]
    start = _common_start(spelled)
    end = _common_start([text[len(start) :][::-1] for text in spelled])[::-1]
    return (Pattern(holes(start + HOLE + end)),)


def _common_start(texts: list[str]) -> str:
    least, most = min(texts), max(texts)
    for place, char in enumerate(least):
        if char != most[place]:
            return least[:place]
    return least


def holes(text: str) -> str:
    """Return `text` with neighbouring holes as one."""
    return re.sub(f"{HOLE}+", HOLE, text) if HOLE + HOLE in text else text


def spelling(atom: Atom) -> str:
    """Return the text that `atom` gives in an f-string, as far as it is known."""
    if isinstance(atom, Pattern):
        return atom.text
    if isinstance(atom, Const):
        if isinstance(atom.value, bytes):
            return atom.value.decode("utf-8", "replace")
        return str(atom.value)
    return HOLE


def exact_texts(value: Value) -> list[str]:
    """Return the texts in `value` that are wholly known."""
    return [atom.value for atom in value if isinstance(atom, Const) and isinstance(atom.value, str)]


def only_const(value: Value) -> Const | None:
    """Return the one constant that `value` is, None where it may be anything else."""
    return value[0] if len(value) == 1 and isinstance(value[0], Const) else None


def flat(value: Value) -> Value:
    """Return what an object is made with, the objects in it without what they were made with.

    An object of an object of an object would take time beyond all bounds to compare.
    """
    if not any(isinstance(atom, Ref) and atom.channels for atom in value):
        return value
    return tuple(dict.fromkeys(Ref(one.path, one.made) if isinstance(one, Ref) else one for one in value))


def matters(value: Value) -> bool:
    """Return whether a change of `value` could change what the program does to the world."""
    return any(not isinstance(atom, Unknown | Const) or is_text(atom) for atom in value)


def contents(value: Value, depth: int = 3) -> Value:
    """Return what iterating over `value` gives; things that are no containers give themselves."""
    found: list[Value] = []
    for atom in value:
        if isinstance(atom, Box):
            if atom.mapping:
                found.append(tuple(Const(key) for key in atom.items))
                if not atom.exact:
                    found.append(UNKNOWN)
            else:
                found.extend(atom.items.values())
                found.append(atom.rest)
        elif isinstance(atom, Const):
            if isinstance(atom.value, str):
                found.append(tuple(Const(char) for char in dict.fromkeys(atom.value[:200])))
            else:
                found.append(UNKNOWN)
        elif isinstance(atom, Pattern):
            found.append(UNKNOWN)
        elif isinstance(atom, Namespace):
            found.append((Ref(f"{atom.path}.?"),))
        else:
            found.append((atom,))
    return joined(found) if found else NOTHING


def held(value: Value, depth: int = 3) -> Value:
    """Return the things of libraries and functions in `value`, those inside containers too."""
    found: dict[Atom, None] = {}
    for atom in value:
        kind = type(atom)
        if kind is Const or kind is Unknown:
            continue
        if kind in _HELD:
            found[atom] = None
        elif isinstance(atom, Box) and depth:
            for inner in (*list(atom.items.values())[:200], atom.rest):
                found.update(dict.fromkeys(held(inner, depth - 1)))
    return tuple(found) if found else NOTHING
