"""What each kind of statement does to the names, and which ways a program may take."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from osprey_executor.analysis import functions, growth, loops, sizes, texts
from osprey_executor.analysis.expressions import operate
from osprey_executor.analysis.imports import import_from, import_modules
from osprey_executor.analysis.lookups import attribute_of
from osprey_executor.analysis.loop_tests import turns_of
from osprey_executor.analysis.machine import Arguments, Handler, Machine
from osprey_executor.analysis.protocols import fields, iterated
from osprey_executor.analysis.quality import caught_by, suppressed_by
from osprey_executor.analysis.targets import assign
from osprey_executor.analysis.values import (
    HOLE,
    NOTHING,
    UNKNOWN,
    Bound,
    Func,
    Obj,
    Pattern,
    Ref,
    Value,
    contents,
    held,
    join,
    joined,
    widened,
)

_DEEP_LOOP = 2
_TURNS = 3


def expression(m: Machine, node: ast.Expr) -> None:
    if not isinstance(node.value, ast.Constant):
        m.eval(node.value)


def assignment(m: Machine, node: ast.Assign) -> None:
    value = m.eval(node.value)
    for target in node.targets:
        assign(m, target, value, node, node.value)


def annotated(m: Machine, node: ast.AnnAssign) -> None:
    m.peek(node.annotation)
    if node.value is None and m.scope.kind == "class" and isinstance(node.target, ast.Name):
        # A field, which a dataclass takes as an argument, and which a device may make of what the annotation says.
        m.bind(node.target.id, join(UNKNOWN, _made_of(m, node.annotation)), node.target)
    if node.value is not None:
        assign(m, node.target, m.eval(node.value), node, node.value)


def _made_of(m: Machine, annotation: ast.expr) -> Value:
    """Return the objects of control-system libraries that are made of an annotation.

    `SignalRW[float]` and `Annotated[SignalX, PvSuffix("GO")]` are; a plain `PV` only says what somebody will give.
    """
    parts = list(ast.walk(annotation))
    call = next((part for part in parts if isinstance(part, ast.Call) and part.args), None)
    suffix = texts.concat((Pattern(HOLE),), m.eval(call.args[0])) if call is not None else NOTHING
    names = parts if call is not None else [part.value for part in parts if isinstance(part, ast.Subscript)]
    found = joined([m.peek(part) for part in names if isinstance(part, ast.Name | ast.Attribute)])
    return tuple(Ref(atom.path, True, suffix) for atom in found if isinstance(atom, Ref) and _is_class(m, atom.path))


def _is_class(m: Machine, path: str) -> bool:
    return m.catalogue.is_control(path) and path.rpartition(".")[2][:1].isupper()


def augmented(m: Machine, node: ast.AugAssign) -> None:
    before = m.eval(node.target)
    assign(m, node.target, operate(m, node, before, m.eval(node.value), node.op), node, node.value)


def delete(m: Machine, node: ast.Delete) -> None:
    for target in node.targets:
        if isinstance(target, ast.Subscript):
            _delete_item(m, target)
        elif not isinstance(target, ast.Name):
            m.peek(target)


def _delete_item(m: Machine, node: ast.Subscript) -> None:
    """`del file["entry"]`: what is deleted from a file or store."""
    for atom in m.peek(node.value):
        rule = m.rule(f"{atom.path}.__delitem__") if isinstance(atom, Ref) else None
        if rule is not None and not rule.whole and isinstance(atom, Ref):
            m.apply(node, rule, atom, None)
    m.peek(node)


def if_(m: Machine, node: ast.If) -> None:
    m.eval(node.test)
    _ways(m, [node.body, node.orelse], complete=True)


def _ways(m: Machine, bodies: Sequence[Sequence[ast.stmt]], *, complete: bool) -> None:
    ways: list[dict[str, Value]] = []
    for body in bodies:
        m.scope.begin()
        try:
            m.run(body)
        finally:
            journal = m.scope.end()
        ways.append(m.scope.roll_back(journal))
    m.scope.merge(ways, complete=complete)


def _loop(m: Machine, start: list[tuple[ast.expr, Value, ast.expr]], body: Sequence[ast.stmt], node: ast.AST) -> None:
    scope = m.scope
    m.loop_depth += 1
    deep = m.loop_depth > _DEEP_LOOP
    try:
        for turn in range(1 if deep else _TURNS):
            mutations, reads = m.mutations, set(scope.first_reads)
            scope.first_reads.clear()
            scope.begin()
            try:
                for target, value, source in start:
                    assign(m, target, value, node, source)
                m.run(body)
            finally:
                journal = scope.end()
            grown = m.mutations != mutations
            carried = scope.first_reads & journal.keys()
            for name, old in journal.items():
                if old is None:
                    continue
                after = join(old, scope.vars.get(name, NOTHING))
                if after is old:
                    scope.vars[name] = old
                    continue
                if name in carried and (turn or deep):
                    after = widened(after)
                    if set(after) == set(old):
                        scope.vars[name] = old
                        continue
                scope.bind(name, after, lambda func: setattr(func, "stale", bool(func.runs)))
                grown = grown or name in carried
            scope.first_reads |= reads
            if not grown:
                break
    finally:
        m.loop_depth -= 1


def for_(m: Machine, node: ast.For | ast.AsyncFor) -> None:
    items = iterated(m, node, m.eval(node.iter))
    loops.check_for(m, node)
    known = m.counts.get(id(node.iter))
    growth.check_growth(m, node, known)
    turns, m.turns = m.turns, m.turns * sizes.checked_turns(m, node, known or 1)
    try:
        _loop(m, [(node.target, contents(items) or UNKNOWN, node.iter)], node.body, node)
    finally:
        m.turns = turns
    m.run(node.orelse)


def while_(m: Machine, node: ast.While) -> None:
    m.eval(node.test)
    loops.check_while(m, node)
    known = turns_of(m, node)
    growth.check_growth(m, node, known if known > 1 else None)
    turns, m.turns = m.turns, m.turns * sizes.checked_turns(m, node, known)
    try:
        _loop(m, [], node.body, node)
    finally:
        m.turns = turns
    m.run(node.orelse)


def with_(m: Machine, node: ast.With | ast.AsyncWith) -> None:
    caught = m.caught
    for item in node.items:
        m.caught |= suppressed_by(item.context_expr)
        value = m.eval(item.context_expr)
        if item.optional_vars is not None:
            assign(m, item.optional_vars, _entered(m, item.context_expr, value), node, item.context_expr)
        else:
            _entered(m, item.context_expr, value)
    try:
        m.run(node.body)
    finally:
        m.caught = caught


def _entered(m: Machine, node: ast.AST, value: Value) -> Value:
    found: list[Value] = []
    for atom in value:
        method = NOTHING
        if isinstance(atom, Obj):
            for name in ("__enter__", "__aenter__"):
                method = method or functions.attribute(m, node, atom, name, methods_only=True)
        found.append(m.call(node, method, Arguments()) if method else (atom,))
    return joined(found) if found else UNKNOWN


def try_(m: Machine, node: ast.Try | ast.TryStar) -> None:
    scope = m.scope
    scope.begin()
    caught, m.caught = m.caught, m.caught | caught_by(node.handlers)
    try:
        m.run(node.body)
    finally:
        m.caught = caught
        journal = scope.end()
    for name, old in journal.items():
        if old is not None and name in scope.vars:
            scope.vars[name] = join(old, scope.vars[name])
    bodies: list[Sequence[ast.stmt]] = [node.orelse]
    for handler in node.handlers:
        if handler.type is not None:
            m.eval(handler.type)
        if handler.name:
            m.bind(handler.name, UNKNOWN)
        bodies.append(handler.body)
    _ways(m, bodies, complete=True)
    m.run(node.finalbody)


def _last(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def define(m: Machine, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    func = functions.function(m, node)
    value: Value = (func,)
    name = node.name
    for decorator in reversed(node.decorator_list):
        if _last(decorator) in ("property", "cached_property"):
            func.is_property = True
        elif isinstance(decorator, ast.Name) and decorator.id == "staticmethod":
            func.is_static = True
        elif isinstance(decorator, ast.Name) and decorator.id == "classmethod":
            func.is_class_method = True
        elif isinstance(decorator, ast.Attribute) and decorator.attr in ("setter", "deleter"):
            name = f"{node.name}.{decorator.attr}"
        else:
            made = m.call(decorator, m.peek(decorator), Arguments((value,)))
            functions_only = tuple(atom for atom in made if isinstance(atom, Func | Bound | Obj))
            value = join(functions_only or value, value) if made else value
    m.bind(name, value, node)


def class_(m: Machine, node: ast.ClassDef) -> None:
    value: Value = (functions.define_class(m, node),)
    for decorator in reversed(node.decorator_list):
        m.call(decorator, m.peek(decorator), Arguments((value,)))
    m.bind(node.name, value, node)


def return_(m: Machine, node: ast.Return) -> None:
    functions.returned(m, m.eval(node.value) if node.value is not None else NOTHING)


def raise_(m: Machine, node: ast.Raise) -> None:
    for part in (node.exc, node.cause):
        if part is not None:
            m.eval(part)


def assert_(m: Machine, node: ast.Assert) -> None:
    m.eval(node.test)
    if node.msg is not None:
        m.eval(node.msg)


def global_(m: Machine, node: ast.Global) -> None:
    if m.scope is not m.module:
        m.scope.globals.update(node.names)


def nonlocal_(m: Machine, node: ast.Nonlocal) -> None:
    m.scope.nonlocals.update(node.names)


def match_(m: Machine, node: ast.Match) -> None:
    subject = m.eval(node.subject)
    for case in node.cases:
        _match(m, case.pattern, subject)
        if case.guard is not None:
            m.eval(case.guard)
    _ways(m, [case.body for case in node.cases], complete=False)


def _match(m: Machine, pattern: ast.pattern, value: Value) -> None:
    """Bind the names of a pattern to what it takes of a value."""
    if isinstance(pattern, ast.MatchAs | ast.MatchStar):
        if pattern.name:
            m.bind(pattern.name, value)
        if isinstance(pattern, ast.MatchAs) and pattern.pattern is not None:
            _match(m, pattern.pattern, value)
        return
    if isinstance(pattern, ast.MatchMapping) and pattern.rest:
        m.bind(pattern.rest, value)
    if isinstance(pattern, ast.MatchClass):
        for name, part in zip(pattern.kwd_attrs, pattern.kwd_patterns, strict=True):
            _match(m, part, attribute_of(m, pattern, value, name))
        for place, part in enumerate(pattern.patterns):
            _match(m, part, _by_place(m, pattern, value, place))
        return
    inner = value
    if isinstance(pattern, ast.MatchMapping):
        inner = join(value, held(value) or UNKNOWN)
    elif not isinstance(pattern, ast.MatchOr):
        inner = join(value, contents(value))
    for part in getattr(pattern, "patterns", ()):
        _match(m, part, inner)


def _by_place(m: Machine, node: ast.AST, value: Value, place: int) -> Value:
    """Return what `case Point(x, y)` takes of an object: a field by its place, or what a builtin class takes whole."""
    found: list[Value] = [contents(value), tuple(atom for atom in value if not isinstance(atom, Obj))]
    for atom in value:
        names = fields(atom.kind) if isinstance(atom, Obj) else []
        if place < len(names):
            found.append(attribute_of(m, node, (atom,), names[place]))
    return joined(found) or UNKNOWN


STATEMENTS: dict[type[ast.AST], Handler] = {
    ast.Expr: expression,
    ast.Assign: assignment,
    ast.AnnAssign: annotated,
    ast.AugAssign: augmented,
    ast.Delete: delete,
    ast.If: if_,
    ast.For: for_,
    ast.AsyncFor: for_,
    ast.While: while_,
    ast.With: with_,
    ast.AsyncWith: with_,
    ast.Try: try_,
    ast.TryStar: try_,
    ast.FunctionDef: define,
    ast.AsyncFunctionDef: define,
    ast.ClassDef: class_,
    ast.Return: return_,
    ast.Raise: raise_,
    ast.Assert: assert_,
    ast.Global: global_,
    ast.Nonlocal: nonlocal_,
    ast.Match: match_,
    ast.Import: import_modules,
    ast.ImportFrom: import_from,
}
