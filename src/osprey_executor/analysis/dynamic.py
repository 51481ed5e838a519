"""Code that is made or found while the program runs: exec and its family, computed names, imports by name."""

from __future__ import annotations

import ast
import warnings

from osprey_executor.analysis import functions, texts
from osprey_executor.analysis.containers import new_box
from osprey_executor.analysis.expressions import attribute_of, computed_name
from osprey_executor.analysis.imports import bring
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.targets import set_attribute
from osprey_executor.analysis.values import (
    HOLE,
    NOTHING,
    UNKNOWN,
    Bound,
    Box,
    Class,
    Const,
    Func,
    Namespace,
    Obj,
    Partial,
    Pattern,
    Ref,
    Value,
    exact_texts,
    joined,
    only_const,
)
from osprey_executor.models import Effect, Severity

_DEEP_TEXT = 4
_MOST_TEXT = 200_000


def run_text(m: Machine, node: ast.AST, value: Value, what: str, *, mode: str = "exec") -> Value:
    """Analyse text that the program runs as code; what is not known text asks."""
    results: list[Value] = []
    for atom in value or UNKNOWN:
        if isinstance(atom, Ref) and atom.path == "builtins.code":
            results.append(run_text(m, node, atom.channels, what, mode=mode))
            continue
        if isinstance(atom, Func):
            results.append(m.call(node, (atom,), Arguments()))
            continue
        text = atom.value if isinstance(atom, Const) else None
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        tree = _parsed(m, node, text, mode) if isinstance(text, str) else None
        if isinstance(text, str) and tree is None and m.text_depth < _DEEP_TEXT and len(text) < _MOST_TEXT:
            continue
        if tree is None:
            m.find(
                node,
                "dynamic/unknown-code",
                Effect.DYNAMIC_CODE,
                f"{what} runs code that is only known when the program runs",
                Severity.WARNING,
                ask=True,
            )
            m.write(None, None, m.where(node)[0])
            results.append(UNKNOWN)
            continue
        m.find(
            node, "dynamic/constant-code", Effect.DYNAMIC_CODE, f"{what} runs a constant text as code; it was analysed"
        )
        results.append(_run(m, node, tree))
    return joined(results) if results else UNKNOWN


def _parsed(m: Machine, node: ast.AST, text: str, mode: str) -> ast.AST | None:
    if m.text_depth >= _DEEP_TEXT or len(text) > _MOST_TEXT:
        return None
    key = (id(node), mode, text)
    if key not in m.trees:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                m.trees[key] = ast.parse(text.strip() if mode == "eval" else text, mode=mode)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            m.trees[key] = ast.Module([], [])
            return None
    tree = m.trees[key]
    return tree if getattr(tree, "body", None) else None


def _run(m: Machine, node: ast.AST, tree: ast.AST) -> Value:
    place, m.place = m.place, m.place or node
    m.text_depth += 1
    try:
        if isinstance(tree, ast.Expression):
            return m.eval(tree.body)
        if isinstance(tree, ast.Module):
            m.run(tree.body)
        return UNKNOWN
    finally:
        m.text_depth -= 1
        m.place = place


def _exec(m: Machine, node: ast.AST, given: Arguments) -> Value:
    run_text(m, node, given.get(0) or UNKNOWN, "exec")
    for value in given.args[1:]:
        for atom in value:
            if isinstance(atom, Box):
                for name, held in m.scope.vars.items():
                    functions.put(m, atom, name, held)
    return UNKNOWN


def _eval(m: Machine, node: ast.AST, given: Arguments) -> Value:
    return run_text(m, node, given.get(0, "source") or UNKNOWN, "eval", mode="eval")


def _compile(m: Machine, node: ast.AST, given: Arguments) -> Value:
    source = given.get(0, "source") or UNKNOWN
    run_text(m, node, source, "compile")
    return (Ref("builtins.code", True, source),)


def _text_code(what: str) -> Model:
    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        for value in (given.get(0, "stmt", "statement", "source"), given.get(1, "setup")):
            for atom in value or NOTHING:
                if isinstance(atom, Const) and isinstance(atom.value, str | bytes):
                    run_text(m, node, (atom,), what)
                elif isinstance(atom, Func | Bound | Ref | Partial):
                    m.call(node, (atom,), Arguments())
                elif atom in UNKNOWN:
                    run_text(m, node, UNKNOWN, what)
        return UNKNOWN

    return model


def _getattr(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if len(given.args) < 2:
        return UNKNOWN
    owner, key = given.args[0], given.args[1]
    names = exact_texts(key)
    found = [attribute_of(m, node, owner, name) for name in names]
    if len(names) < len(key) or not names:
        for atom in owner:
            if isinstance(atom, Ref):
                found.append(computed_name(m, node, atom))
            elif isinstance(atom, Obj | Class):
                kind = atom.kind if isinstance(atom, Obj) else atom
                found.extend(
                    functions.attribute(m, node, atom, name)
                    for name, value in list(kind.attributes.items())[:100]
                    if not name.startswith("__") and value
                )
                found.extend(computed_name(m, node, base) for base in kind.bases if isinstance(base, Ref))
    if len(given.args) > 2:
        found.append(given.args[2])
    return joined(found) if found else UNKNOWN


def _setattr(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if len(given.args) < 3:
        return UNKNOWN
    owner, key, value = given.args[:3]
    names = exact_texts(key)
    for name in names:
        set_attribute(m, node, owner, name, value, given.nodes.get(2))
    if len(names) < len(key) or not names:
        for atom in owner:
            if isinstance(atom, Ref) and m.catalogue.is_control(atom.path):
                set_attribute(m, node, (atom,), "?", value, given.nodes.get(2))
                computed_name(m, node, atom)
    return UNKNOWN


def _import(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    key = given.get(0, "name") or UNKNOWN
    found: list[Value] = []
    for atom in key:
        if isinstance(atom, Const) and isinstance(atom.value, str):
            path = bring(m, node, atom.value)
            if given.get(3, "fromlist") is None and getattr(getattr(node, "func", None), "id", "") == "__import__":
                path = path.partition(".")[0]
            found.append((Ref(path),))
        else:
            found.append(computed_name(m, node, Ref("")))
    return joined(found)


def _located(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    names = exact_texts(given.get(0, "name", "path") or NOTHING)
    if not names:
        return computed_name(m, node, Ref(""))
    found: list[Value] = []
    for name in names:
        path = name.replace(":", ".").strip(".")
        bring(m, node, path.partition(".")[0])
        found.append((Ref(m.catalogue.aliases.get(path, path)),))
    return joined(found)


def _partial(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if not given.args:
        return UNKNOWN
    return (Partial(given.args[0], given.args[1:], tuple(given.keywords.items())),)


def _method_caller(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    args = tuple(given.args[1:])
    return (Partial((Ref("?.methodcaller"),), ((*(given.args[0] if given.args else UNKNOWN),), *args), ()),)


def _called_method(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if len(given.args) < 2:
        return UNKNOWN
    callee = _getattr(m, node, Arguments((given.args[-1], given.args[0]))) or UNKNOWN
    return m.call(node, callee, Arguments(given.args[1:-1]))


def _attr_getter(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return (Partial((Ref("?.attrgetter"),), given.args[:1], ()),)


def _got_attribute(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if len(given.args) < 2:
        return UNKNOWN
    key, owner = given.args[0], given.args[1]
    names = exact_texts(key)
    if not names:
        return _getattr(m, node, Arguments((owner, key)))
    found: list[Value] = []
    for name in names:
        value = owner
        for part in name.split(".")[:10]:
            value = attribute_of(m, node, value, part)
        found.append(value)
    return joined(found)


def _globals(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return (Namespace("__main__"),)


def _vars(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if not given.args:
        return (Namespace("__main__"),)
    spaces = tuple(Namespace(atom.path) for atom in given.args[0] if isinstance(atom, Ref))
    return spaces or UNKNOWN


def _super(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    func = m.func
    if func is None:
        return UNKNOWN
    spec = [*func.node.args.posonlyargs, *func.node.args.args]
    held = func.params.get(spec[0].arg, NOTHING) if spec else NOTHING
    kinds = [atom.kind if isinstance(atom, Obj) else atom for atom in held if isinstance(atom, Obj | Class)]
    return joined([functions.parent(m, kind) for kind in kinds]) if kinds else UNKNOWN


def _type(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if len(given.args) != 3:
        kinds = tuple(atom.kind for atom in (given.args[0] if given.args else NOTHING) if isinstance(atom, Obj))
        return kinds or UNKNOWN
    bases = tuple(
        base
        for atom in given.args[1]
        if isinstance(atom, Box)
        for value in (*atom.items.values(), atom.rest)
        for base in value
    )
    made = m.made.setdefault(("type", id(node)), Class("made", bases))
    assert isinstance(made, Class)
    for atom in given.args[2]:
        if isinstance(atom, Box):
            for name, value in atom.items.items():
                functions.set_attribute(m, made, str(name), value)
    return (made,)


def _function_type(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    run_text(m, node, given.get(0, "code") or UNKNOWN, "a function made of code")
    return UNKNOWN


def _template(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return (Ref("string.Template", True, given.get(0, "template") or UNKNOWN),)


def _decorator(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return (Ref("?.same"),)


def _substituted(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    template = only_const(given.made_with)
    if template is None or not isinstance(template.value, str):
        return (Pattern(HOLE),)
    keywords = dict(given.keywords)
    for atom in given.args[0] if given.args else NOTHING:
        if isinstance(atom, Box):
            keywords.update({str(key): value for key, value in atom.items.items()})
    return texts.dollars(template.value, keywords)


def _codecs_decode(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return texts.codec_decoded(given.get(0, "obj") or UNKNOWN, given.get(1, "encoding") or UNKNOWN) or UNKNOWN


def _decoder(path: str) -> Model:
    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        return (texts.decoded(path, given.args[0]) if given.args else None) or UNKNOWN

    return model


def _first(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return given.args[0] if given.args else UNKNOWN


def _reload(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return given.args[0] if given.args else UNKNOWN


def _json(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    known = only_const(given.args[0]) if given.args else None
    if known is None or not isinstance(known.value, str) or len(known.value) > 20_000:
        return UNKNOWN
    import json

    try:
        data = json.loads(known.value)
    except (ValueError, RecursionError):
        return UNKNOWN
    return _as_value(m, node, data, ())


def _as_value(m: Machine, node: ast.AST, data: object, place: tuple[object, ...]) -> Value:
    if not isinstance(data, list | dict):
        return (Const(data),)
    box = new_box(m, node, f"json{place}", mapping=isinstance(data, dict))
    pairs = list(data.items()) if isinstance(data, dict) else list(enumerate(data))  # pyright: ignore
    for key, inner in pairs[:500]:
        functions.put(m, box, key, _as_value(m, node, inner, (*place, key)))
    return (box,)


MODELS: dict[str, Model] = {
    "builtins.exec": _exec,
    "builtins.eval": _eval,
    "builtins.compile": _compile,
    "builtins.getattr": _getattr,
    "builtins.setattr": _setattr,
    "builtins.object.__setattr__": _setattr,
    "builtins.object.__getattribute__": _getattr,
    "builtins.type.__getattribute__": _getattr,
    "inspect.getattr_static": _getattr,
    "builtins.__import__": _import,
    "importlib.import_module": _import,
    "importlib.__import__": _import,
    "importlib.reload": _reload,
    "pkgutil.resolve_name": _located,
    "pydoc.locate": _located,
    "builtins.globals": _globals,
    "builtins.locals": _globals,
    "builtins.vars": _vars,
    "builtins.super": _super,
    "builtins.type": _type,
    "types.new_class": _type,
    "types.FunctionType": _function_type,
    "types.LambdaType": _function_type,
    "functools.partial": _partial,
    "functools.partialmethod": _partial,
    "operator.methodcaller": _method_caller,
    "?.methodcaller": _called_method,
    "operator.attrgetter": _attr_getter,
    "?.attrgetter": _got_attribute,
    "functools.wraps": _decorator,
    "?.same": _first,
    **dict.fromkeys(
        (
            "functools.lru_cache",
            "functools.cache",
            "builtins.property",
            "builtins.staticmethod",
            "numba.njit",
            "numba.jit",
            "contextlib.contextmanager",
            "contextlib.asynccontextmanager",
            "functools.singledispatch",
            "numpy.vectorize",
            "abc.abstractmethod",
            "functools.cached_property",
            "dataclasses.dataclass",
        ),
        _first,
    ),
    "string.Template": _template,
    "string.Template.substitute": _substituted,
    "string.Template.safe_substitute": _substituted,
    "codecs.decode": _codecs_decode,
    "json.loads": _json,
    **{path: _decoder(path) for path in texts.DECODERS},
    **{
        path: _text_code(path)
        for path in (
            "timeit.timeit",
            "timeit.repeat",
            "timeit.Timer",
            "cProfile.run",
            "cProfile.runctx",
            "profile.run",
            "pdb.run",
            "pdb.runeval",
            "trace.Trace.run",
            "code.InteractiveInterpreter.runsource",
            "code.InteractiveConsole.push",
            "code.InteractiveInterpreter.runcode",
            "doctest.run_docstring_examples",
        )
    },
}
