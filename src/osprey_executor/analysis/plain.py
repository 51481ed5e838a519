"""Texts whose unknown parts cannot hold words of their own: numbers, names of the moment, what was quoted."""

from __future__ import annotations

import ast

from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import HOLE, PLAIN, UNKNOWN, Const, Pattern, Ref, Value, is_text

_GIVE_NUMBERS = frozenset(
    (
        *("int", "float", "len", "round", "abs", "sum", "ord", "id", "hash", "bool", "hex", "bin", "oct", "range"),
        *("time", "time_ns", "perf_counter", "monotonic", "getpid", "getppid", "getuid", "getgid", "cpu_count"),
        *("strftime", "isoformat", "timestamp", "uuid4", "uuid1", "token_hex", "randint", "randrange", "quote"),
        *("mkdtemp", "mktemp", "gettempdir", "getcwd", "total_seconds", "count", "index", "fileno"),
    )
)
"""Last names of what gives a number, a time, a name without spaces, or a text that was quoted."""
_NUMBERS = frozenset(
    ("pid", "ppid", "returncode", "st_size", "executable", "size", "ndim", "year", "month", "day", "hour", "minute")
)
_KEEP = frozenset(("strip", "lstrip", "rstrip", "zfill", "rjust", "ljust", "lower", "upper", "decode", "encode"))
_ARITHMETIC = (ast.Sub, ast.FloorDiv, ast.Pow, ast.LShift, ast.RShift, ast.BitAnd, ast.BitOr)
_DEEP = 4


def sheltered(m: Machine, node: ast.expr | None, value: Value) -> Value:
    """Return `value` as a text to be joined; what is unknown of it is marked where `node` gives no free text."""
    if node is None or all(type(atom) is Const or (type(atom) is Pattern and atom.kind == PLAIN) for atom in value):
        return value
    if not (_is_path(value) or _is_plain(m, node, _DEEP)):
        return value
    return _as_plain(value)


def _as_plain(value: Value) -> Value:
    return tuple(
        atom if type(atom) is Const else Pattern(atom.text if type(atom) is Pattern else HOLE, PLAIN) for atom in value
    )


def _is_path(value: Value) -> bool:
    """Return whether a value is a path whose name is known."""
    return all(
        isinstance(atom, Ref)
        and atom.path.startswith("pathlib.")
        and bool(atom.channels)
        and all(isinstance(name, Const) for name in atom.channels)
        for atom in value
    )


def _is_plain(m: Machine, node: ast.expr, depth: int) -> bool:
    if depth == 0:
        return False
    match node:
        case ast.Constant():
            return True
        case ast.Call(func=ast.Name(id="str" | "repr" | "abs" | "min" | "max"), args=[_, *_]):
            return all(_is_plain(m, one, depth - 1) for one in node.args)
        case ast.Call(func=ast.Name(id=name)):
            return name in _GIVE_NUMBERS
        case ast.Call(func=ast.Attribute(attr="join", value=ast.Name(id="shlex"))):
            return True
        case ast.Call(func=ast.Attribute(attr=name, value=owner)):
            return name in _GIVE_NUMBERS or (name in _KEEP and _is_plain(m, owner, depth - 1))
        case ast.Attribute(attr=name):
            return name in _NUMBERS
        case ast.UnaryOp(op=ast.USub()):
            return True
        case ast.BinOp(op=ast.Mult(), left=left, right=right):
            return _is_plain(m, left, depth - 1) or _is_plain(m, right, depth - 1)
        case ast.BinOp(op=ast.Add() | ast.Div(), left=left, right=right):
            return _is_plain(m, left, depth - 1) and _is_plain(m, right, depth - 1)
        case ast.BinOp(op=operator):
            return isinstance(operator, _ARITHMETIC)
        case ast.IfExp(body=body, orelse=other):
            return _is_plain(m, body, depth - 1) and _is_plain(m, other, depth - 1)
        case ast.Name(id=name):
            place = m.scope.places.get(name)
            # An argument is what any of the calls may pass, so the last one does not tell.
            if place is None or place.source is None or place.source is place.node:
                return False
            return not any(map(is_text, m.peek(node))) and _is_plain(m, place.source, depth - 1)
        case _:
            return False


def _quoted(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`shlex.quote(text)`: one word, whatever it is."""
    return _as_plain(given.get(0, "s") or UNKNOWN)


MODELS: dict[str, Model] = dict.fromkeys(("shlex.quote", "pipes.quote"), _quoted)
