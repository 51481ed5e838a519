"""What a call does: of the program's own functions, of a library by the catalogue, or of nobody knows what."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any, cast

from osprey_executor.analysis import blowups, boxes, functions, loops, sizes, spending, texts
from osprey_executor.analysis.containers import method_of_box, method_of_namespace
from osprey_executor.analysis.files import check_writer, is_writer
from osprey_executor.analysis.lookups import computed_name, from_namespace
from osprey_executor.analysis.machine import NO_ARGUMENTS, Arguments, Callee, Look, Machine
from osprey_executor.analysis.plain import sheltered
from osprey_executor.analysis.protocols import iterated
from osprey_executor.analysis.values import (
    NOTHING,
    UNKNOWN,
    Atom,
    Bound,
    Box,
    Class,
    Const,
    Func,
    Method,
    Namespace,
    Obj,
    Partial,
    Pattern,
    Ref,
    Unknown,
    Value,
    flat,
    held,
    is_text,
    joined,
    only_const,
)
from osprey_executor.models import Effect, Severity

_LOOKERS = frozenset(
    [
        "print",
        "len",
        "isinstance",
        "issubclass",
        "hasattr",
        "callable",
        "id",
        "type",
        "repr",
        "str",
        "dir",
        "help",
        "format",
        "hash",
        "bool",
    ]
)
"""Builtins that look at a thing and do not use it."""
_LONG_PATH = 6
_ITERATES = frozenset(
    (
        *(
            "list",
            "tuple",
            "set",
            "frozenset",
            "sorted",
            "reversed",
            "iter",
            "next",
            "zip",
            "map",
            "filter",
            "enumerate",
        ),
        *(
            "min",
            "max",
            "dict",
            "chain",
            "from_iterable",
            "deque",
            "zip_longest",
            "product",
            "islice",
            "cycle",
            "choice",
        ),
    )
)
"""Last names of what goes through the items of its arguments."""
_OWN_KINDS = frozenset((Obj, Class))
_NATIVE = ("ctypes.pythonapi", "ctypes.cdll", "ctypes.windll")
"""Whatever is called of these is native code."""
_ACCESSORS = {
    "__getattribute__": "builtins.getattr",
    "__getattr__": "builtins.getattr",
    "__setattr__": "builtins.setattr",
}
_ODD = frozenset(("?", "__get__"))
_MUCH: dict[str, list[Look]] = {}
"""By last name: who looks whether a call takes more than there is, of memory, time, processes or disk."""
for _names, _look in (
    (sizes.SIZED, sizes.check_size),
    (loops.COLLECTS, loops.check_collecting),
    (spending.STARTS, spending.check_started),
    (blowups.FILE_SIZES, blowups.check_file_size),
    (blowups.PAIRS, blowups.check_pairs),
):
    for _name in _names:
        _MUCH.setdefault(_name, []).append(_look)
_TEXT_OF = frozenset(("str", "format", "repr"))


def call(m: Machine, node: ast.AST, callee: Value, given: Arguments) -> Value:
    """Return what calling `callee` gives, and note what it does."""
    if len(callee) == 1:
        atom = callee[0]
        return _CALLED.get(type(atom), _call)(m, node, atom, given)
    if not callee:
        return UNKNOWN
    before, m.doubt = m.doubt, True
    try:
        return joined([_CALLED.get(type(atom), _call)(m, node, atom, given) for atom in callee])
    finally:
        m.doubt = before


def _call(m: Machine, node: ast.AST, atom: Atom, given: Arguments) -> Value:
    match atom:
        case Bound():
            return functions.invoke(m, atom.func, given, atom.owner)
        case Class():
            return functions.construct(m, node, atom, given)
        case Partial():
            nodes = {**given.nodes} if not atom.args else {}
            merged = Arguments(atom.args + given.args, {**dict(atom.keywords), **given.keywords}, nodes, given.complete)
            return call(m, node, atom.callee, merged)
        case Obj():
            method = functions.attribute(m, node, atom, "__call__", methods_only=True)
            return call(m, node, method, given) if method else unknown(m, node, given)
        case _:
            return unknown(m, node, given)


def unknown(m: Machine, node: ast.AST, given: Arguments) -> Value:
    """Return what a call of something unknown may give: anything, and what it was given."""
    if given is NO_ARGUMENTS:
        return UNKNOWN
    kept: list[Value] = [UNKNOWN]
    values = [value for value in given.everything() if not _is_plain(value)]
    if not values:
        return UNKNOWN
    _hand_on(m, node, values)
    for value in values:
        for atom in held(value):
            let_go(m, node, atom)
            if isinstance(atom, Func | Obj | Bound | Class) or (
                isinstance(atom, Ref) and m.catalogue.is_control(atom.path)
            ):
                kept.append((atom,))
    return joined(kept)


def _is_plain(value: Value) -> bool:
    """Return whether a value is mere data."""
    for atom in value:
        kind = type(atom)
        if kind is not Unknown and kind is not Const:
            return False
    return True


def _hand_on(m: Machine, node: ast.AST, values: Sequence[Value]) -> None:
    for value in values:
        for atom in value:
            if type(atom) is Ref and not atom.made and atom.path in m.modules and m.catalogue.is_control(atom.path):
                m.find(
                    node,
                    "opaque/module-handed-on",
                    Effect.OPAQUE,
                    f"hands the whole of {atom.path} to something that may do anything with it",
                    Severity.WARNING,
                    ask=True,
                )


def let_go(m: Machine, node: ast.AST, atom: Atom) -> None:
    """Note that somebody unknown may call `atom`."""
    if isinstance(atom, Func):
        functions.escape(atom)
    elif isinstance(atom, Bound):
        functions.escape(atom.func)
    elif isinstance(atom, Partial):
        call(m, node, (atom,), Arguments(complete=False))
    elif isinstance(atom, Ref) and not atom.made:
        rule = m.rule(atom.path)
        if rule and rule.effect is Effect.CONTROL_WRITE:
            m.apply(node, rule, atom, None)


def _known(m: Machine, path: str) -> Callee:
    """Return what is known of calling a path, found once for each path of a program."""
    owner, _, last = path.rpartition(".")
    root, _, rest = path.partition(".")
    rule = m.rule(path)
    if rule is None or rule.whole:
        rule = (m.rule(owner) if owner in _NATIVE else m.catalogue.exact.get(f"{owner}.*")) or rule
    is_odd = last in _ODD or last in _ACCESSORS
    is_quiet = rule is None and not last[:1].isupper() and m.catalogue.is_quiet(path)
    looks = tuple(_MUCH.get(last, ()))
    found = m.callees[path] = Callee(owner, last, root, rest, m.model(path), rule, looks, is_odd, is_quiet)
    return found


def _library(m: Machine, node: ast.AST, ref: Ref, given: Arguments) -> Value:
    path = ref.path
    catalogue = m.catalogue
    owner, last, root, rest, model, rule, looks, is_odd, is_quiet = m.callees.get(path) or _known(m, path)
    for look in looks:
        look(m, node, path, given)
    if model is not None:
        if last in _ITERATES and any(type(atom) in _OWN_KINDS for value in given.args for atom in value):
            given = given._replace(args=tuple(iterated(m, node, value) for value in given.args))
        made = model(m, node, given._replace(made_with=ref.channels) if ref.channels else given)
        if made is not None:
            own = m.rule(path)
            if own is not None and own.effect and path in m.semantics.models:
                m.apply(node, own, ref, given)
            elif own is not None:
                m.find_also(node, own)
            return made
    if is_odd and (found := _odd(m, node, ref, owner, last, given)) is not None:
        return found
    if rule is not None:
        if rule.channel == "self" and not ref.channels and given.args:
            ref, given = _with_itself(ref, owner, given)
        m.apply(node, rule, ref, given)
        if path in catalogue.signatures:
            _check_arguments(m, node, path, given)
    if root == "builtins":
        return _builtin(m, node, rest, ref, given, known=rule is not None)
    if root not in catalogue.roots:
        if is_writer(last):
            check_writer(m, node, last, given)
        result = unknown(m, node, given)
        return (Ref(path, True), *result[1:]) if last[:1].isupper() and path.count(".") < 6 else result
    values = given.everything()
    _hand_on(m, node, values)
    for value in values:
        for atom in held(value):
            if isinstance(atom, Func | Bound | Partial):
                let_go(m, node, atom)
    if is_quiet:
        return UNKNOWN
    places = catalogue.classes.get(path)
    if places is not None:
        return (Ref(path, True, flat(given.get(*places) or NOTHING)),)
    if rule is not None and (rule.ask or not rule.whole):
        if rule.returns:
            return (Ref(rule.returns, True, _named(rule.channel, ref, given)),)
        if rule.effect in (Effect.CONTROL_READ, Effect.CONTROL_WRITE):
            return UNKNOWN
    elif root in catalogue.control and not (path.endswith(".?") or rest.endswith("__")):
        if catalogue.sounds_like_a_write(path):
            m.find(
                node,
                "opaque/unlisted-name",
                Effect.OPAQUE,
                f"calls {path.replace('.?', '')}, which the catalogue does not list and whose name speaks of a write",
                Severity.WARNING,
                ask=True,
            )
            m.write(None, None, m.where(node)[0])
        if rest in ("__init__",) or rest.endswith(".__init__"):
            return UNKNOWN
    channels = tuple(atom for value in given.args for atom in value if is_text(atom)) or ref.channels
    if last[:1].isupper() and path.count(".") < _LONG_PATH:
        return (Ref(path, True, channels[:64]),)
    things = tuple(atom for value in values for atom in held(value) if isinstance(atom, Func | Obj))
    return (Ref(f"{root}.?", True, channels[:64]), *things)


def _odd(m: Machine, node: ast.AST, ref: Ref, owner: str, last: str, given: Arguments) -> Value | None:
    """Return what a name gives that is called for another one; None where it is an ordinary name after all."""
    if last in _ACCESSORS and given.args:
        model = m.semantics.models[_ACCESSORS[last]]
        holder = ref._replace(path=owner, made=bool(ref.channels))
        return model(m, node, given._replace(args=((holder,), *given.args[-2:]), nodes={})) or UNKNOWN
    if last == "?" and not ref.made and m.catalogue.is_control(ref.path):
        return computed_name(m, node, ref._replace(path=owner))
    if last == "__get__":
        callee: Value = (ref._replace(path=owner),)
        return (Partial(callee, given.args[:1], ()),) if given.args else callee
    return None


def _with_itself(ref: Ref, owner: str, given: Arguments) -> tuple[Ref, Arguments]:
    """Return `PV.put(pv, 1)` as `pv.put(1)`."""
    first = [atom for atom in given.args[0] if isinstance(atom, Ref) and atom.made and atom.path == owner]
    if not first or len(first) < len(given.args[0]):
        return ref, given
    nodes = {place - 1 if isinstance(place, int) else place: node for place, node in given.nodes.items() if place != 0}
    channels = tuple(dict.fromkeys(name for atom in first for name in atom.channels))
    return ref._replace(channels=channels), given._replace(args=given.args[1:], nodes=nodes)


def _check_arguments(m: Machine, node: ast.AST, path: str, given: Arguments) -> None:
    names = m.catalogue.signatures[path]
    plain = [name.rstrip("?") for name in names]
    short = path.rpartition(".")[2]
    wrong = sorted(set(given.keywords) - set(plain))
    missing = [name for name in names[len(given.args) :] if name[-1] != "?" and name not in given.keywords]
    if wrong:
        told = f"{short} has no argument {wrong[0]}: it is {short}({', '.join(plain)})"
    elif len(given.args) > len(names):
        told = f"{short} takes {len(names)} arguments, not {len(given.args)}: it is {short}({', '.join(plain)})"
    elif missing and given.complete:
        told = f"{short} lacks the argument {missing[0]}: it is {short}({', '.join(plain)})"
    else:
        return
    m.flaw(node, "quality/runtime-argument", told)


def _named(channel: object, ref: Ref, given: Arguments) -> Value:
    if channel == "self":
        return ref.channels
    places = cast(tuple[int | str, ...], channel) if isinstance(channel, tuple) else ()
    return flat(given.get(*places) or ref.channels)


def _builtin(m: Machine, node: ast.AST, name: str, ref: Ref, given: Arguments, *, known: bool) -> Value:
    if name in texts.DECODERS or known:
        return UNKNOWN
    if name in _LOOKERS:
        for place, value in given.nodes.items():
            m.taken.pop(m.where(value)[:2], None) if isinstance(place, int) else None
        if name in _TEXT_OF and given.args and only_const(given.args[0]) is not None:
            return texts.field(given.args[0], "", 114 if name == "repr" else -1)
        return UNKNOWN
    return unknown(m, node, given)


def _method(m: Machine, node: ast.AST, method: Method, given: Arguments) -> Value:
    owner = method.owner
    if isinstance(owner, Box):
        found = method_of_box(m, node, owner, method.name, given)
        return unknown(m, node, given) if found is None else found
    if isinstance(owner, Namespace):
        return method_of_namespace(m, node, owner, method.name, given, from_namespace)
    return m.charge(_text_method(m, node, owner, method.name, given))


def _text_method(m: Machine, node: ast.AST, owner: Const | Pattern, name: str, given: Arguments) -> Value:
    if name == "join" and given.args:
        loops.check_collected(m, node, given.nodes.get(0))
        parts = boxes.each(given.args[0]) if boxes.is_exact(given.args[0]) else None
        return texts.glued((owner,), parts)
    if name in ("format", "format_map") and isinstance(owner, Const) and isinstance(owner.value, str):
        keywords = dict(given.keywords)
        for atom in given.args[0] if name == "format_map" and given.args else ():
            if isinstance(atom, Box):
                keywords.update({str(key): value for key, value in atom.items.items()})
        args = [sheltered(m, given.nodes.get(place), value) for place, value in enumerate(given.args)]
        keywords = {word: sheltered(m, given.nodes.get(word), value) for word, value in keywords.items()}
        return texts.braces(owner.value, args if given.complete else [], keywords)
    if name in blowups.WIDENS:
        blowups.check_width(m, node, given)
    if isinstance(owner, Pattern):
        return texts.reshaped(owner, name)
    m.charge((owner,))
    exact = [known.value for value in given.args if (known := only_const(value)) is not None]
    if len(exact) == len(given.args) and not given.keywords:
        try:
            made = texts.called(owner, name, exact)
        except ValueError:
            return UNKNOWN
        if isinstance(made, list | tuple):
            box = m.made.setdefault(("split", id(node), id(owner.value)), Box())
            assert isinstance(box, Box)
            boxes.fill(m, box, [(Const(item),) for item in list(made)[:2000]])  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
            return (box,)
        return (Const(made),)
    if name == "encode":
        return (owner,)
    return texts.reshaped(Pattern(""), name) if is_text(owner) else UNKNOWN


def _func(m: Machine, node: ast.AST, func: Func, given: Arguments) -> Value:
    return functions.invoke(m, func, given)


_CALLED: dict[type[object], Callable[[Machine, ast.AST, Any, Arguments], Value]] = {
    Ref: _library,
    Method: _method,
    Func: _func,
}
"""What is called most: told apart by one look."""
