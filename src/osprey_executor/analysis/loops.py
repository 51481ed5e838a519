"""Loops without an end: tests that nothing changes, iterators that never run out, and what collects all of them."""

from __future__ import annotations

import ast

from osprey_executor.analysis.loop_tests import never_less, only_grows, runs_away, stays, truth
from osprey_executor.analysis.machine import Arguments, Machine
from osprey_executor.analysis.quality import caught_by, inside, is_exit, never_ends
from osprey_executor.analysis.spending import STARTS
from osprey_executor.analysis.values import Func, Ref
from osprey_executor.models import Confidence, Effect, Severity

_ENDLESS = frozenset(("itertools.count", "itertools.cycle", "itertools.repeat"))
_HANDS_ON = frozenset(
    (
        *("map", "filter", "enumerate", "iter", "chain", "starmap", "accumulate", "tqdm", "filterfalse", "pairwise"),
        *("batched", "compress", "tee", "groupby", "reversed"),
    )
)
"""Last names of what gives as many items as what it is given."""
COLLECTS = frozenset(
    (
        *("list", "tuple", "set", "frozenset", "dict", "sorted", "sum", "min", "max", "deque", "Counter", "prod"),
        *("fsum", "mean", "fromiter", "array", "reduce", "bytes", "bytearray", "join", "extend", "writelines"),
    )
)
"""Last names of what takes all items of its first argument; `reduce` of its second."""
_DEEP = 4
_MAY_BE_ENDLESS = frozenset((ast.Call, ast.GeneratorExp, ast.Name))
_ENDED_BY = frozenset(("StopIteration", "StopAsyncIteration", "IndexError", "KeyError", "EOFError", "Empty", "Full"))
"""Exceptions by which a loop ends in the course of things; no loop may wait for its memory to run out."""

_BY_SYSTEM = frozenset(("MemoryError", "OSError", "IOError", "EnvironmentError", "BlockingIOError"))
_EXHAUSTED = _BY_SYSTEM | {"Exception", "BaseException"}
"""Exceptions that come when memory, disk or processes run out, and of much else."""
_TAKES = STARTS | frozenset(
    (
        *("append", "appendleft", "extend", "add", "insert", "write", "writelines", "write_bytes", "write_text"),
        *("mkdir", "makedirs", "bytearray", "truncate"),
    )
)
"""Last names of what takes memory, disk or what else a computer has not much of."""
_CANNOT_FAIL = frozenset(
    (
        *(
            "flush",
            "fsync",
            "fileno",
            "print",
            "len",
            "str",
            "bytes",
            "range",
            "close",
            "urandom",
            "token_bytes",
            "info",
        ),
        *("randbytes", "format", "join", "encode", "sleep", "zeros", "ones", "list", "dict", "time", "rand", "random"),
    )
)
"""Last names of what fails only for lack of memory, disk or the like."""


def check_while(m: Machine, node: ast.While) -> None:
    """Note a loop whose test nothing in it changes, and that nothing in it ends."""
    if never_less(m, node.test):
        true: bool | None = True
    elif stays(m, node) or runs_away(m, node):
        true = truth(m, node.test)
    else:
        return
    if true is not False:
        _endless(m, node, node.body, sure=bool(true))


def check_for(m: Machine, node: ast.For | ast.AsyncFor) -> None:
    """Note a loop over an iterator without end, or over a list that it lets grow, that nothing in it ends."""
    if is_endless(m, node.iter) or (isinstance(node.iter, ast.Name) and only_grows(node.iter.id, node.body)):
        _endless(m, node, node.body, sure=True)


def check_collecting(m: Machine, node: ast.AST, path: str, given: Arguments) -> None:
    """Note a call that takes all items of what never runs out."""
    if type(items := given.nodes.get(1 if path.endswith("reduce") else 0)) in _MAY_BE_ENDLESS:
        check_collected(m, node, items)


def check_collected(m: Machine, node: ast.AST, items: ast.expr | None) -> None:
    """Note `sum(itertools.count())` and its kin: all items of what has no last one."""
    if items is not None and type(items) in _MAY_BE_ENDLESS and is_endless(m, items):
        _found(m, node, "takes all items of what never runs out: it takes time, and memory if kept", sure=True)


def is_endless(m: Machine, node: ast.expr, depth: int = _DEEP) -> bool:
    """Return whether an expression gives an iterator that never runs out."""
    if depth == 0:
        return False
    if isinstance(node, ast.Call):
        return _call_is_endless(m, node, depth - 1)
    if isinstance(node, ast.GeneratorExp):
        return any(is_endless(m, part.iter, depth - 1) for part in node.generators)
    if isinstance(node, ast.Name) and (place := m.scope.places.get(node.id)) is not None:
        source = place.source
        return type(source) in (ast.Call, ast.GeneratorExp) and source is not None and is_endless(m, source, depth - 1)
    return False


def _call_is_endless(m: Machine, node: ast.Call, depth: int) -> bool:
    for atom in m.peek(node.func):
        if isinstance(atom, Func):
            return atom in m.never_run_out
        if not isinstance(atom, Ref):
            continue
        last = atom.path.rpartition(".")[2]
        if atom.path in _ENDLESS:
            return last != "repeat" or not (len(node.args) > 1 or node.keywords)
        if atom.path == "builtins.iter" and len(node.args) == 2:
            return _never_last(m, node)
        if last in ("zip", "zip_longest"):
            known = [is_endless(m, one, depth) for one in node.args]
            return bool(known) and (all(known) or (last == "zip_longest" and any(known)))
        if last in _HANDS_ON:
            return any(is_endless(m, one, depth) for one in node.args[:4])
    return False


def _never_last(m: Machine, node: ast.Call) -> bool:
    """Return whether `iter(call, last)` never meets its last: what is called always gives the same."""
    called = node.args[0]
    first = m.peek(called)
    same = isinstance(called, ast.Lambda) and isinstance(called.body, ast.Constant)
    return same or any(isinstance(one, Ref) and one.path in ("builtins.int", "builtins.list") for one in first)


def _endless(m: Machine, node: ast.While | ast.For | ast.AsyncFor, body: list[ast.stmt], *, sure: bool) -> None:
    exhausted = _ends_by_exhaustion(body)
    if (
        not never_ends(body, exhausted)
        or m.caught & _ENDED_BY
        or any(_helper_ends(m, part) for part, _ in inside(body))
    ):
        return
    if any(isinstance(part, ast.Yield | ast.YieldFrom) for part, _ in inside(body)):
        if m.func is not None and sure:
            m.never_run_out.add(m.func)  # whoever takes its items may stop
        return
    if sure and m.place is None:
        m.endless.append(node)
    if exhausted and not never_ends(body):
        told = "loops until memory, disk or processes run out, as nothing else ends it: more and more of them is taken"
        m.find(node, "resource/endless-loop", Effect.RESOURCE, told, Severity.WARNING)
        return
    told = "loops without an end" if sure else "loops without an end once it begins, as nothing in it changes its test"
    if any(isinstance(part, ast.Call) and _last_name(part) in STARTS for part, _ in inside(body)):
        more = "starts processes or threads in a loop without an end: more and more of them"
        m.find(node, "resource/many-processes", Effect.RESOURCE, more, Severity.WARNING)
    _found(
        m, node, f"{told}: it takes time, and memory or disk if it collects or writes, until it is stopped", sure=sure
    )


def _ends_by_exhaustion(body: list[ast.stmt]) -> frozenset[int]:
    """Return the ids of what ends a loop only once what it takes in each turn has run out."""
    found: set[int] = set()
    for part, inner in inside(body):
        if inner or not isinstance(part, ast.Try):
            continue
        parts = [one for one, _ in inside(part.body)]
        calls = {_last_name(one) for one in parts if isinstance(one, ast.Call) and not _opens_anew(one)}
        grows = not calls.isdisjoint(_TAKES) or any(map(_adds, parts))
        only = calls <= _TAKES | _CANNOT_FAIL  # or else the exception may come of something else
        plain = not any(isinstance(one, ast.Subscript) for one in parts)
        for handler in part.handlers:
            caught = caught_by([handler])
            if caught <= {"MemoryError", "OverflowError"} or (
                grows and only and caught <= (_EXHAUSTED if plain else _BY_SYSTEM)
            ):
                found.update(id(one) for one, _ in inside(handler.body))
    return frozenset(found)


def _opens_anew(node: ast.Call) -> bool:
    """Return whether a call opens one file again and again, or one to write, so that only a lack makes it fail."""
    words = [one.value for one in node.args if isinstance(one, ast.Constant)]
    writes = any(isinstance(one, str) and one[:1] in "wa" for one in words[-1:] if len(node.args) > 1)
    return _last_name(node) == "open" and bool(node.args) and (writes or isinstance(node.args[0], ast.Constant))


def _adds(node: ast.AST) -> bool:
    """Return whether a statement makes a text or list longer: `text += more`, not `n += 1`."""
    return isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and not _is_number(node.value)


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def _last_name(node: ast.Call) -> str:
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def _found(m: Machine, node: ast.AST, told: str, *, sure: bool) -> None:
    confidence = Confidence.CERTAIN if sure else Confidence.POSSIBLE
    m.find(node, "resource/endless-loop", Effect.RESOURCE, told, Severity.WARNING, confidence=confidence)


def _helper_ends(m: Machine, part: ast.AST, depth: int = 2) -> bool:
    """Return whether a call may leave the loop by an exception that a function of the program raises."""
    if not isinstance(part, ast.Call) or not isinstance(part.func, ast.Name | ast.Attribute):
        return False
    for atom in m.peek(part.func):
        func = atom if isinstance(atom, Func) else getattr(atom, "func", None)
        if not isinstance(func, Func) or isinstance(func.node, ast.Lambda):
            continue
        for one, _ in inside(func.node.body):
            if isinstance(one, ast.Raise) or (isinstance(one, ast.Call) and is_exit(one)):
                return True
            if depth and isinstance(one, ast.Call) and _helper_ends(m, one, depth - 1):
                return True
    return False
