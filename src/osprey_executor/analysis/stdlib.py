"""Functions of the standard library that call what they are given, load native code, or read the environment."""

from __future__ import annotations

import ast

from osprey_executor.analysis import boxes
from osprey_executor.analysis.calls import call, let_go
from osprey_executor.analysis.dynamic import run_text
from osprey_executor.analysis.lookups import found_secret
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.spending import check_starts_itself
from osprey_executor.analysis.values import (
    HOLE,
    NOTHING,
    UNKNOWN,
    Box,
    Const,
    Pattern,
    Ref,
    Value,
    contents,
    is_text,
    joined,
    only_const,
)
from osprey_executor.models import Effect, Severity
from osprey_executor.text import one_line


def _starts(target: tuple[int | str, ...], args: int | str | None, *more: int | str, beside: bool = False) -> Model:
    """A function that calls its argument `target`, with the items of `args`, or the arguments from place `args` on.

    `beside`: in a new process or thread.
    """

    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        callee = given.get(*target)
        if callee is None:
            return None
        if beside:
            check_starts_itself(m, node, callee)
        for place in target:
            if place in given.nodes:
                m.taken.pop(m.where(given.nodes[place])[:2], None)
        passed: tuple[Value, ...] = ()
        nodes: dict[int | str, ast.expr] = {}
        keywords: dict[str, Value] = {}
        if isinstance(args, int):
            passed = given.args[args:]
            nodes = {
                place - args: one for place, one in given.nodes.items() if isinstance(place, int) and place >= args
            }
            keywords = {name: value for name, value in given.keywords.items() if name not in target}
        elif args is not None:
            held_args = given.get(args, *more) or NOTHING
            if boxes.is_exact(held_args):
                passed = tuple(boxes.each(held_args))
            elif held_args:
                return call(m, node, callee, Arguments((contents(held_args),), complete=False))
            for atom in given.get("kwargs") or NOTHING:
                if isinstance(atom, Box):
                    keywords = {str(key): value for key, value in atom.items.items()}
        turns = m.turns
        m.turns = 1 if beside else turns  # what is started beside one another does not wait for one another
        try:
            return call(m, node, callee, Arguments(passed, keywords, nodes))
        finally:
            m.turns = turns

    return model


def _with_anything(*target: int | str) -> Model:
    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        for atom in given.get(*target) or NOTHING:
            let_go(m, node, atom)
        return UNKNOWN

    return model


def _executor_map(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    model = m.semantics.models.get("builtins.map")
    return model(m, node, given) if model else None


def _reduce(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if len(given.args) < 2:
        return None
    items = contents(given.args[1]) or UNKNOWN
    start = given.args[2] if len(given.args) > 2 else items
    return call(m, node, given.args[0], Arguments((joined([start, UNKNOWN]), items)))


def _library(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    known = only_const(given.args[0]) if given.args else None
    name = str(known.value) if known is not None and known.value is not None else ""
    if name.partition(".so")[0].rpartition("/")[2] in ("libm", "m"):
        m.find(node, "note/native-library", None, f"loads the native library {name}, which only computes")
        return UNKNOWN
    itself = (known is None and not given.args) or (known is not None and known.value is None)
    shown = f"the native library {one_line(name, 80)}" if name else "a native library whose name is not known here"
    told = "calls the native code of the process itself" if itself else f"loads {shown}"
    m.find(
        node,
        "opaque/native-library",
        Effect.OPAQUE,
        f"{told}: its calls are not seen here",
        Severity.WARNING,
        ask=True,
    )
    m.write(None, None, m.where(node)[0])
    return (Ref("ctypes.native", True),)


def _path_changed(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    m.path_changed = True
    told = "changes where Python looks for modules"
    m.find(node, "interpreter/import-path", Effect.INTERPRETER, told)
    return UNKNOWN


def _run_path(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    for atom in given.get(0, "path_name", "mod_name") or UNKNOWN:
        name = str(atom.value) if isinstance(atom, Const) else ""
        written = m.files.get(name) or m.files.get(f"{name}.py")
        run_text(m, node, written or UNKNOWN, f"runpy with {name or 'a file'}")
    return UNKNOWN


def _environment(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    name = only_const(given.get(0, "key", "varname") or UNKNOWN)
    found_secret(m, node, str(name.value) if name is not None else "")
    default = tuple(atom for atom in given.get(1, "default") or NOTHING if is_text(atom))
    return (Pattern(HOLE), *default)


_THREAD = _starts(("target", 1), "args", 3, beside=True)
MODELS: dict[str, Model] = {
    "threading.Thread": _THREAD,
    "multiprocessing.Process": _THREAD,
    "multiprocessing.context.Process": _THREAD,
    "threading.Timer": _starts((1, "function"), "args", 2),
    "sched.scheduler.enter": _starts((2, "action"), "argument", 3),
    "sched.scheduler.enterabs": _starts((2, "action"), "argument", 3),
    **dict.fromkeys(
        (
            "concurrent.futures.ThreadPoolExecutor.submit",
            "concurrent.futures.ProcessPoolExecutor.submit",
            "asyncio.to_thread",
            "atexit.register",
            "contextlib.ExitStack.callback",
            "contextvars.Context.run",
        ),
        _starts((0, "func", "fn"), 1),
    ),
    **dict.fromkeys(("asyncio.?.call_later", "asyncio.?.call_at"), _starts((1, "callback"), 2)),
    **dict.fromkeys(("asyncio.?.call_soon", "asyncio.?.call_soon_threadsafe"), _starts((0, "callback"), 1)),
    "asyncio.?.run_in_executor": _starts((1, "func"), 2),
    "weakref.finalize": _starts((1, "func"), 2),
    "signal.signal": _with_anything(1, "handler"),
    "sys.settrace": _with_anything(0),
    "sys.setprofile": _with_anything(0),
    **dict.fromkeys(
        (
            "concurrent.futures.ThreadPoolExecutor.map",
            "multiprocessing.pool.ThreadPool.map",
            "multiprocessing.Pool.map",
            "itertools.starmap",
            "concurrent.futures.ProcessPoolExecutor.map",
        ),
        _executor_map,
    ),
    "functools.reduce": _reduce,
    **dict.fromkeys(("sys.path.insert", "sys.path.append", "sys.path.extend", "site.addsitedir"), _path_changed),
    "native-library": _library,
    "code-file": _run_path,
    "environment": _environment,
}
