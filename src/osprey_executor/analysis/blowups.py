"""What becomes large by one number: widths of texts, files with holes, tables of all pairs, functions that fork."""

from __future__ import annotations

import ast
import re
from math import prod

from osprey_executor.analysis.machine import Arguments, Machine
from osprey_executor.analysis.sizes import MUCH, found_much
from osprey_executor.analysis.values import Const, Func, Value, only_const
from osprey_executor.models import Effect, Severity

WIDENS = frozenset(("zfill", "ljust", "rjust", "center"))
"""Methods of text that make it as long as they are told."""
FILE_SIZES = frozenset(("seek", "truncate", "ftruncate", "posix_fallocate"))
"""Last names of what makes a file as long as it is told."""
PAIRS = frozenset(("outer", "meshgrid", "kron", "cdist"))
"""Last names of what makes an element for each combination of its arguments."""
_LARGE_FILE = 10**10
_LONG = 9
"""Digits of a width that no report needs."""
_WIDTH = re.compile(r"[0-9]{9,}")
_MANY_CALLS = 35
_MOST_NODES = 500


def check_width(m: Machine, node: ast.AST, given: Arguments) -> None:
    """Note `"x".zfill(10**11)`."""
    known = only_const(given.args[0]) if given.args else None
    if known is not None and isinstance(known.value, int) and known.value >= MUCH:
        found_much(m, node, known.value)


def check_format(m: Machine, node: ast.AST, form: str) -> None:
    """Note `f"{1:1000000000}"` and `"%1000000000d" % 1`."""
    if len(form) >= _LONG and (width := _WIDTH.search(form[:1000])) and int(width[0][:18]) >= MUCH:
        found_much(m, node, int(width[0][:18]))


def check_file_size(m: Machine, node: ast.AST, path: str, given: Arguments) -> None:
    """Note `file.seek(10**12)` and `os.truncate(name, 10**12)`."""
    for value in given.args[:3]:
        known = only_const(value)
        if known is not None and isinstance(known.value, int) and known.value >= _LARGE_FILE:
            told = f"makes a file of {known.value:,} bytes" if known.value < 10**18 else "makes a file without bounds"
            m.find(node, "resource/much-disk", Effect.RESOURCE, told, Severity.WARNING)


def check_pairs(m: Machine, node: ast.AST, path: str, given: Arguments) -> None:
    """Note `numpy.outer(x, x)` of long arrays."""
    size = prod(m.count_of(given.nodes.get(place)) for place in range(len(given.args)))
    if size > 1:
        m.counts[id(node)] = size
        if size >= MUCH:
            found_much(m, node, size)


def check_forks(m: Machine, func: Func) -> None:
    """Note a function that calls itself twice in each turn, with a number that makes the calls beyond counting."""
    node = func.node
    if isinstance(node, ast.Lambda) or any("cache" in ast.unparse(one)[:200] for one in node.decorator_list):
        return
    own: list[ast.Call] = []
    for place, part in enumerate(part for one in node.body for part in ast.walk(one)):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == node.name:
            own.append(part)
        if place > _MOST_NODES:
            return
    nested = any(inner in own for call in own for arg in call.args for inner in ast.walk(arg))
    remembers = any(isinstance(part, ast.Subscript) for one in node.body for part in ast.walk(one))
    if (nested or (len(own) > 1 and m.largest.get(func, 0) >= _MANY_CALLS)) and not remembers:
        told = f"{node.name} calls itself several times in each call, which makes more calls than a run has time for"
        m.find(own[0], "resource/many-turns", Effect.RESOURCE, told, Severity.WARNING)


def noted(m: Machine, func: Func, first: Value) -> None:
    """Note the largest number that a function of the program is called with."""
    for atom in first:
        if isinstance(atom, Const) and type(atom.value) is int and atom.value > m.largest.get(func, 0):
            m.largest[func] = atom.value
