"""Calls of the program's own functions and classes: arguments flow in, what is returned flows out."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from osprey_executor.analysis import boxes
from osprey_executor.analysis.blowups import noted
from osprey_executor.analysis.machine import Arguments, Machine
from osprey_executor.analysis.scopes import Place, Scope
from osprey_executor.analysis.values import (
    HOLE,
    NONE,
    NOTHING,
    UNKNOWN,
    Atom,
    Bound,
    Box,
    Class,
    Const,
    Func,
    Obj,
    Partial,
    Pattern,
    Ref,
    Value,
    is_text,
    join,
    joined,
    matters,
    spelling,
    widened,
)

_WIDEN_AFTER = 3
"""Runs of one function, each with more known of its arguments, after which texts and numbers are widened."""
_RUNS = 8
_NOTHING_CAUGHT: frozenset[str] = frozenset()
_PLAIN = (ast.Name, ast.Attribute, ast.Constant)
"""Annotations that do nothing."""
_MOST_PREFIXES = 16
_DESCRIBES = frozenset(("__get__", "fget"))
"""Attributes of the class of what gives another value in its place."""


def function(m: Machine, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Func:
    """Return the function that a definition makes; the same one each time the definition is met."""
    made = m.made.get(id(node))
    if not isinstance(made, Func):
        made = Func(node, m.scope, Scope("function", m.scope), place=m.place)
        m.made[id(node)] = made
        m.functions.append(made)
    spec = node.args
    plain = [*spec.posonlyargs, *spec.args]
    for arg, value in zip(plain[len(plain) - len(spec.defaults) :], spec.defaults, strict=True):
        give(made, arg.arg, m.eval(value))
    for arg, value in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
        if value is not None:
            give(made, arg.arg, m.eval(value))
    for arg in (*plain, *spec.kwonlyargs):
        if arg.annotation is not None and not isinstance(arg.annotation, _PLAIN):
            m.eval(arg.annotation)  # it runs where the function is defined
    returns = None if isinstance(node, ast.Lambda) else node.returns
    if returns is not None and not isinstance(returns, _PLAIN):
        m.eval(returns)
    return made


def give(func: Func, name: str, value: Value) -> bool:
    """Let a parameter also hold `value`; return whether that is news."""
    before = func.params.get(name, NOTHING)
    after = join(before, value)
    if after is before:
        return False
    if func.runs >= _WIDEN_AFTER:
        after = widened(after)
        if set(after) == set(before):
            return False
    func.params[name] = after
    return True


def invoke(m: Machine, func: Func, given: Arguments, owner: Atom | None = None) -> Value:
    """Return what calling a function of the program gives."""
    news = _pass(m, func, given, owner)
    func.callers[m.func] = None
    if func.running:
        m.recursive[func] = None
    elif given.args:
        noted(m, func, given.args[0])
    if func.runs == 0 or ((news or func.stale) and func.runs < _RUNS):
        run(m, func)
    elif news:
        func.stale = True
    if isinstance(func.node, ast.Lambda):
        return func.returns
    return func.returns or NONE


def _pass(m: Machine, func: Func, given: Arguments, owner: Atom | None) -> bool:
    spec = func.node.args
    names = [arg.arg for arg in (*spec.posonlyargs, *spec.args)]
    values: list[Value] = [] if owner is None else [(owner,)]
    values += given.args
    news = False
    places = func.scope.places
    first = 0 if owner is None else 1
    for number, (name, value) in enumerate(zip(names, values, strict=False)):
        if give(func, name, value):
            news = True
            node = given.nodes.get(number - first)
            if node is not None and (name not in places or any(isinstance(atom, Ref) for atom in value)):
                places[name] = Place(node, node, m.scope)
    known = {*names, *(arg.arg for arg in spec.kwonlyargs)}
    for name, value in given.keywords.items():
        if name in known and give(func, name, value):
            news = True
            if name in given.nodes:
                places[name] = Place(given.nodes[name], given.nodes[name], m.scope)
    if spec.vararg:
        box = _box(m, func, "*")
        news = boxes.fill(m, box, values[len(names) :]) or news
        news = give(func, spec.vararg.arg, (box,)) or news
    if spec.kwarg:
        box = _box(m, func, "**")
        box.mapping = True
        for name, value in given.keywords.items():
            if name not in known:
                news = boxes.put(m, box, name, value) or news
        news = give(func, spec.kwarg.arg, (box,)) or news
    if not given.complete:
        for name in names[len(values) :]:
            news = give(func, name, UNKNOWN) or news
    return news


def _box(m: Machine, func: Func, kind: str) -> Box:
    box = m.made.setdefault((kind, id(func.node)), Box())
    assert isinstance(box, Box)
    return box


def run(m: Machine, func: Func) -> None:
    """Analyse the body of a function with all that is known of its parameters."""
    if func.running:
        m.recursive[func] = None
        func.stale = True
        return
    saved = m.scope, m.func, m.place, m.loop_depth, m.caught
    m.scope, m.func, m.place, m.loop_depth, m.caught = func.scope, func, func.place, 0, _NOTHING_CAUGHT
    func.running, func.stale = True, False
    func.runs += 1
    func.scope.vars.clear()
    try:
        spec = func.node.args
        for arg in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs, spec.vararg, spec.kwarg):
            if arg is not None:
                m.bind(arg.arg, func.params.get(arg.arg, UNKNOWN))
        if isinstance(func.node, ast.Lambda):
            returned(m, m.eval(func.node.body))
        else:
            m.run(func.node.body)
    finally:
        func.running = False
        m.scope, m.func, m.place, m.loop_depth, m.caught = saved


def returned(m: Machine, value: Value) -> None:
    """Note what the running function returns or yields; who used less of it is analysed again."""
    func = m.func
    if func is None:
        return
    before = func.returns
    after = join(before, value)
    if after is before:
        return
    func.returns = widened(after) if func.runs > _WIDEN_AFTER else after
    if func.runs > 1 and matters(value):
        for caller in func.callers:
            if caller is None:
                m.module_stale = True
            elif caller is not func:
                caller.stale = True


def escape(func: Func) -> None:
    """Note that somebody unknown may call a function with anything."""
    spec = func.node.args
    for arg in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs):
        if give(func, arg.arg, UNKNOWN) and func.runs:
            func.stale = True


def define_class(m: Machine, node: ast.ClassDef) -> Class:
    """Return the class that a definition makes."""
    bases = joined([m.peek(base) for base in node.bases]) if node.bases else NOTHING
    known = m.made.get(id(node))
    made = known if isinstance(known, Class) else Class(node.name, bases)
    m.made[id(node)] = made
    outer, m.scope = m.scope, Scope("class", m.scope)
    try:
        m.run(node.body)
        for name, value in m.scope.ever.items():
            made.attributes[name] = join(made.attributes.get(name, NOTHING), value)
            bind_lambdas(value, m.scope)
    finally:
        m.scope = outer
    for keyword in node.keywords:
        value = m.eval(keyword.value)
        if keyword.arg == "metaclass":
            made.meta = join(made.meta, tuple(atom for atom in value if isinstance(atom, Class)))
    for base in made.bases:
        if isinstance(base, Class):
            made.meta = join(made.meta, base.meta)
    for value in made.attributes.values():
        for atom in value:
            if isinstance(atom, Func) and not atom.is_static and not isinstance(atom.node, ast.Lambda):
                first = [*atom.node.args.posonlyargs, *atom.node.args.args][:1]
                if first:
                    give(atom, first[0].arg, (made,) if atom.is_class_method else (Obj(made),))
    return made


def bind_lambdas(value: Value, scope: Scope) -> None:
    """Note that lambdas which were made in `scope` are methods of a class."""
    for atom in value:
        if isinstance(atom, Func) and atom.outer is scope:
            atom.is_method = True


def construct(m: Machine, node: ast.AST, kind: Class, given: Arguments) -> Value:
    """Return the object that calling a class of the program gives."""
    owner = Obj(kind)
    made: Value = (owner,)
    for name in ("__call__", "__new__"):
        method = (
            special(m, node, kind, name) if name == "__call__" else attribute(m, node, kind, name, methods_only=True)
        )
        for atom in method:
            func = atom.func if isinstance(atom, Bound) else atom
            if isinstance(func, Func):
                news = invoke(m, func, given, kind)
                made = join(
                    made, tuple(one for one in news if isinstance(one, Ref | Obj | Bound | Func | Partial | Class))
                )
    start = attribute(m, node, owner, "__init__", methods_only=True)
    own = False
    for atom in start:
        if isinstance(atom, Bound):
            invoke(m, atom.func, given, owner)
            own = True
    if not own:
        _construct_base(m, node, kind, given)
        spec = [name for name in kind.attributes if not name.startswith("__")]
        for name, value in given.keywords.items():
            set_attribute(m, kind, name, value)
        for name, value in zip(spec, given.args, strict=False):
            if not any(isinstance(atom, Func) for atom in kind.attributes[name]):
                set_attribute(m, kind, name, value)
    return made


def special(m: Machine, node: ast.AST, owner: Obj | Class, name: str) -> Value:
    """Return a method that Python looks for in the type: of an object in its class, of a class in its metaclass."""
    if isinstance(owner, Obj):
        return attribute(m, node, owner, name, methods_only=True)
    found = [_of_meta(m, node, owner, name)]
    if name == "__getitem__":
        found.append(attribute(m, node, owner, "__class_getitem__", methods_only=True))
    return tuple(Bound(atom, owner) if isinstance(atom, Func) else atom for atom in joined(found))


def _of_meta(m: Machine, node: ast.AST, owner: Class, name: str) -> Value:
    found = [
        kind.attributes.get(name, NOTHING) for meta in owner.meta if isinstance(meta, Class) for kind in classes(meta)
    ]
    return tuple(Bound(atom, owner) if isinstance(atom, Func) else atom for value in found for atom in value)


def classes(start: Class) -> list[Class]:
    """Return a class and all classes of the program that it comes from."""
    return [start, *dict.fromkeys(base for _, base in _lineage(start) if isinstance(base, Class))]


def _construct_base(m: Machine, node: ast.AST, start: Class, given: Arguments) -> None:
    for kind, base in _lineage(start):
        if isinstance(base, Ref):
            made = m.call(node, (base,), given)
            named = base.path in m.catalogue.classes or m.model(base.path) is not None
            channels = joined([atom.channels for atom in made if isinstance(atom, Ref)]) if named else NOTHING
            kind.channels = join(kind.channels, channels or UNKNOWN)


def _lineage(start: Class) -> Iterator[tuple[Class, Atom]]:
    """Yield each class that a class comes from and each of its bases, once, however often they meet again."""
    waiting, seen = [start], {start}
    for kind in waiting:
        for base in kind.bases:
            yield kind, base
            if isinstance(base, Class) and base not in seen:
                seen.add(base)
                waiting.append(base)


def set_attribute(m: Machine, kind: Class, name: str, value: Value) -> None:
    """Let an attribute of the objects of a class also hold `value`."""
    before = kind.attributes.get(name, NOTHING)
    after = join(before, value)
    if after is not before:
        kind.attributes[name] = after if len(after) < 300 else widened(after)
        m.mutated()
        if matters(value):
            for func in m.functions:
                if func.runs and not func.running and func.outer.kind == "class":
                    func.stale = True


def attribute(m: Machine, node: ast.AST, owner: Obj | Class, name: str, *, methods_only: bool = False) -> Value:
    """Return an attribute of an object or class of the program."""
    start = owner.kind if isinstance(owner, Obj) else owner
    values: list[Value] = []
    special: Value = NOTHING
    waiting, seen = [start], {start}
    for kind in waiting:
        found = kind.attributes.get(name)
        if found is not None:
            values.append(_of_class(m, node, owner, kind, found))
            continue
        special = special or kind.attributes.get("__getattr__", NOTHING)
        for base in kind.bases:
            if isinstance(base, Class):
                if base not in seen:
                    seen.add(base)
                    waiting.append(base)
            elif methods_only:
                continue
            elif isinstance(base, Ref):
                path = f"{base.path}.{name}"
                values.append((m.member(m.catalogue.aliases.get(path, path), kind.channels),))
            else:
                values.append(UNKNOWN)
    if not values and not methods_only and isinstance(owner, Class) and owner.meta:
        values.extend([value] if (value := _of_meta(m, node, owner, name)) else [])
        special = special or () if values else _of_meta(m, node, owner, "__getattr__")
    if special and not methods_only:
        given = Arguments(((Const(name),),))
        values += [
            invoke(m, atom.func if isinstance(atom, Bound) else atom, given, owner)
            for atom in special
            if isinstance(atom, Func | Bound)
        ]
    return joined(values) if values else NOTHING if methods_only else UNKNOWN


def _of_class(m: Machine, node: ast.AST, owner: Obj | Class, kind: Class, found: Value) -> Value:
    """Return what a class has under a name, as its object sees it."""
    made: list[Value] = []
    for atom in found:
        if isinstance(atom, Func) and atom.is_method:
            if atom.is_property and isinstance(owner, Obj):
                made.append(invoke(m, atom, Arguments(), owner))
            elif atom.is_class_method:
                made.append((Bound(atom, owner.kind if isinstance(owner, Obj) else owner),))
            elif isinstance(owner, Obj) and not atom.is_static:
                made.append((Bound(atom, owner),))
            else:
                made.append((atom,))
        elif isinstance(atom, Ref) and isinstance(owner, Obj) and kind.channels:
            channels = _with_prefix(kind.channels, atom.channels) if atom.made else kind.channels
            made.append((Ref(atom.path, atom.made, channels),))
        elif isinstance(atom, Obj) and not _DESCRIBES.isdisjoint(atom.kind.attributes):
            made.append(_described(m, node, owner, atom))
        else:
            made.append((atom,))
    return joined(made)


def _described(m: Machine, node: ast.AST, owner: Obj | Class, held: Obj) -> Value:
    """Return what a property or another descriptor in a class gives for an object of it."""
    if held.kind.name == "property" and "fget" in held.kind.attributes:
        return m.call(node, held.kind.attributes["fget"], Arguments(((owner,),)))
    method = attribute(m, node, held, "__get__", methods_only=True)
    return join(m.call(node, method, Arguments(((owner,), UNKNOWN))), (held,)) if method else (held,)


def _with_prefix(prefixes: Value, channels: Value) -> Value:
    """Return the channels of a component; one that begins with a hole begins with the prefix of its device."""
    heads = [spelling(atom).rstrip(HOLE) for atom in prefixes if is_text(atom)]
    if not heads or len(heads) < len(prefixes) or not any(isinstance(atom, Pattern) for atom in channels):
        return channels
    found: list[Atom] = []
    for atom in channels:
        if isinstance(atom, Pattern) and atom.text.startswith(HOLE):
            names = [head + atom.text[1:] for head in heads[:_MOST_PREFIXES]]
            found.extend(Pattern(name) if HOLE in name else Const(name) for name in names)
        else:
            found.append(atom)
    return tuple(dict.fromkeys(found))


def parent(m: Machine, kind: Class) -> Value:
    """Return what `super()` gives in a method of `kind`."""
    return tuple(
        Obj(base) if isinstance(base, Class) else Ref(base.path, True, kind.channels)
        for base in kind.bases
        if isinstance(base, Class | Ref)
    ) or (UNKNOWN if kind.bases else (Ref("builtins.object", True),))
