"""Code that is made or found while the program runs: exec and its family, computed names, imports by name."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import warnings
from typing import Any, cast

from osprey_executor.analysis import boxes, texts
from osprey_executor.analysis.containers import new_box
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import (
    HOLE,
    NOTHING,
    UNKNOWN,
    Bound,
    Box,
    Const,
    Func,
    Partial,
    Pattern,
    Ref,
    Value,
    flat,
    joined,
    only_const,
)
from osprey_executor.analysis.weight import is_heavy
from osprey_executor.models import Effect, Severity

_NOT_CODE = ast.Module([], [])
_DEEP_TEXT = 4
_MOST_TEXT = 200_000
_MOST_PARTS = 200
_DOTTED = re.compile(r"[A-Za-z_]\w*([.:][A-Za-z_]\w*)+")


def run_text(
    m: Machine, node: ast.AST, value: Value, what: str, *, mode: str = "exec", verb: str = "runs code"
) -> Value:
    """Analyse text that the program runs as code; what is not known text asks."""
    results: list[Value] = []
    for atom in value or UNKNOWN:
        if isinstance(atom, Ref) and atom.path == "builtins.code":
            results.append(run_text(m, node, atom.channels, what, mode=mode, verb=verb))
            continue
        if isinstance(atom, Func):
            results.append(m.call(node, (atom,), Arguments()))
            continue
        text = atom.value if isinstance(atom, Const) else None
        if isinstance(text, bytes):
            text = _as_python_reads(text)
        if isinstance(text, str) and m.text_depth < _DEEP_TEXT and len(text) <= _MOST_TEXT and not is_heavy(text):
            tree = _parsed(m, node, text, mode)
            if tree is _NOT_CODE:
                continue
        else:
            tree = None
        if tree is None:
            m.find(
                node,
                "dynamic/unknown-code",
                Effect.DYNAMIC_CODE,
                f"{what} {verb} that is only known when the program runs",
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
    key = (id(node), mode, text)
    if key not in m.trees:
        m.budget -= len(text) // 2
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                m.trees[key] = ast.parse(text.strip() if mode == "eval" else text, mode=mode)
        except (SyntaxError, ValueError):  # as it would fail when it runs
            m.trees[key] = _NOT_CODE
        except (RecursionError, MemoryError):
            return None
    tree = m.trees[key]
    return tree if getattr(tree, "body", None) else _NOT_CODE


def _as_python_reads(code: bytes) -> str | None:
    """Return the text of code that is bytes, by its mark or its coding line as Python does; None: nobody can tell."""
    try:
        return importlib.util.decode_source(code)
    except (SyntaxError, ValueError, LookupError):
        return None


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
                    boxes.put(m, atom, name, held)
    return UNKNOWN


def _eval(m: Machine, node: ast.AST, given: Arguments) -> Value:
    return run_text(m, node, given.get(0, "source") or UNKNOWN, "eval", mode="eval")


def _compile(m: Machine, node: ast.AST, given: Arguments) -> Value:
    source = given.get(0, "source") or UNKNOWN
    run_text(m, node, source, "compile", verb="makes code of text")
    return (Ref("builtins.code", True, flat(source)),)


def _text_code(what: str) -> Model:
    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        for value in (given.get(1, "setup"), given.get(0, "stmt", "statement", "source", "raw_cell")):
            for atom in value or NOTHING:
                if isinstance(atom, Const) and isinstance(atom.value, str | bytes):
                    run_text(m, node, (atom,), what)
                elif isinstance(atom, Func | Bound | Ref | Partial):
                    m.call(node, (atom,), Arguments())
                elif atom in UNKNOWN:
                    run_text(m, node, UNKNOWN, what)
        return UNKNOWN

    return model


def _function_type(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    run_text(m, node, given.get(0, "code") or UNKNOWN, "FunctionType", verb="makes a function of code")
    return UNKNOWN


def _template(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return (Ref("string.Template", True, flat(given.get(0, "template") or UNKNOWN)),)


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


def _json(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    known = only_const(given.args[0]) if given.args else None
    if known is None or not isinstance(known.value, str) or len(known.value) > 20_000:
        return UNKNOWN

    try:
        data = json.loads(known.value)
    except (ValueError, RecursionError):
        return UNKNOWN
    return _as_value(m, node, data, ())


def _as_value(m: Machine, node: ast.AST, data: object, place: tuple[object, ...]) -> Value:
    if isinstance(data, dict):
        pairs = list(cast(dict[Any, object], data).items())
    elif isinstance(data, list):
        pairs = list(enumerate(cast(list[object], data)))
    else:
        return (Const(data),)
    box = new_box(m, node, f"json{place}", mapping=isinstance(data, dict))
    for key, inner in pairs[:500]:
        boxes.put(m, box, key, _as_value(m, node, inner, (*place, key)))
    box.exact = len(pairs) <= 500
    return (box,)


def _names_in_data(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """A function that finds callables by the names in its arguments, as `logging.config.dictConfig` does."""
    called: list[Value] = []
    waiting: list[Value] = given.everything()
    for value in waiting:
        for atom in value:
            if isinstance(atom, Box) and len(waiting) < _MOST_PARTS:
                waiting.extend([*atom.items.values(), atom.rest])
            elif isinstance(atom, Const) and isinstance(atom.value, str) and _DOTTED.fullmatch(atom.value):
                path = atom.value.replace(":", ".")
                path = m.catalogue.aliases.get(path, path)
                if (rule := m.rule(path)) and rule.effect:
                    m.apply(node, rule, Ref(path), None)
                called.append((Ref(path),))
    return joined(called) if called else UNKNOWN


MODELS: dict[str, Model] = {
    "exec": _exec,
    "eval": _eval,
    "compile": _compile,
    "code-object": _function_type,
    "names-in-data": _names_in_data,
    "code-text": _text_code("a function of the standard library"),
    "string.Template": _template,
    "string.Template.substitute": _substituted,
    "string.Template.safe_substitute": _substituted,
    "codecs.decode": _codecs_decode,
    "json.loads": _json,
    **{path: _decoder(path) for path in texts.DECODERS},
}
