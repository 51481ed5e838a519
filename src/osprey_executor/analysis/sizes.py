"""Sizes of what is made: more elements, bits or turns than a run has memory or time for."""

from __future__ import annotations

import ast
import re
from math import comb, inf, perm, prod

from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import Box, Const, Value, is_text, only_const
from osprey_executor.models import Effect, Severity

MUCH = 500_000_000
"""Elements; the memory of a run is 2 GiB unless the site says otherwise."""
_MANY_BITS = 1_000_000_000
_MANY_TURNS = 1_000_000_000
MOST = 10**18
_COLLECTED = ("list", "set", "tuple", "sorted")
"""What makes as many elements as its argument has."""
_FIRST: dict[str, slice] = {
    **dict.fromkeys((*_COLLECTED, "arange"), slice(0)),
    **dict.fromkeys(("full", "urandom", "token_bytes", "randbytes"), slice(1)),
    **dict.fromkeys(("tile", "repeat", "mmap"), slice(1, 2)),
    **dict.fromkeys(("linspace", "normal", "uniform", "randint"), slice(2, 3)),
}
"""Which arguments tell how many there are; of all others all that are numbers do."""
_SAID = ("size", "shape", "num")
SIZED = frozenset(
    (
        *("bytearray", "bytes", "zeros", "ones", "empty", "full", "rand", "randn", "random", "arange", "urandom"),
        *("token_bytes", "create_string_buffer", "normal", "uniform", "standard_normal", "randint", "eye"),
        *("randbytes", "linspace", "identity", "tile", "repeat", "mmap", "SharedMemory"),
        *_COLLECTED,
    )
)
"""Last names of what makes as many elements as its arguments say."""
_REGEX = frozenset(("compile", "match", "search", "fullmatch", "split", "findall", "finditer", "sub", "subn"))
_NESTED = re.compile(
    r"\((\?:|\?P<\w{1,30}>)?[^()]{1,60}(?<!\\)[+*](?:(?:\\.|[^()\\])[?*]){0,3}\)[+*{]|\((\?:)?(\w)\|\3\)[+*{]"
)


def check_product(m: Machine, node: ast.AST, first: Value, second: Value) -> None:
    """Note `'x' * 10**10` and `[0] * 10**10`."""
    for value, other in ((first, second), (second, first)):
        count = only_const(value)
        if count is None or not isinstance(count.value, int) or isinstance(count.value, bool):
            continue
        left = getattr(node, "left", None)
        before = m.counts.get(id(left), 1) if isinstance(left, ast.BinOp) else 1
        long = any(isinstance(atom, Box) or is_text(atom) for atom in other)
        if (long or before > 1) and count.value > 1:
            size = m.counts[id(node)] = count.value * before
            if size >= MUCH // 8:
                found_much(m, node, size)


def check_size(m: Machine, node: ast.AST, path: str, given: Arguments) -> None:
    """Note `bytearray(10**10)` and `numpy.zeros((10**5, 10**5))`."""
    name = path.rpartition(".")[2]
    size = m.count_of(given.nodes.get(0))
    if name == "arange":
        size = _arange(given)
    values = [*given.args[_FIRST.get(name, slice(4))], *(given.keywords[key] for key in _SAID if key in given.keywords)]
    for value in values:
        for atom in value:
            parts = list(atom.items.values()) if isinstance(atom, Box) else [value]
            for part in parts[:8]:
                known = only_const(part)
                if known is not None and isinstance(known.value, int | float) and known.value > 1:
                    size *= int(min(known.value, MOST))
    if size > 1:
        m.counts[id(node)] = size
    if size >= MUCH:
        found_much(m, node, size)


def _arange(given: Arguments) -> int:
    known = [only_const(value) for value in given.args[:3]]
    bounds = [one.value for one in known if one is not None and isinstance(one.value, int | float)]
    if not bounds or len(bounds) < len(known):
        return 1
    start, stop = (0, bounds[0]) if len(bounds) == 1 else bounds[:2]
    step = bounds[2] if len(bounds) > 2 and bounds[2] else 1
    try:
        return max(int(min((stop - start) / step, MOST)), 1)
    except (ValueError, OverflowError):  # of numbers that are none, or have no end
        return 1


def check_power(m: Machine, node: ast.AST, first: Value, second: Value, *, shift: bool = False) -> None:
    """Note `10 ** 10 ** 10` and `1 << 10**10`: numbers that take minutes and gigabytes to make."""
    one, two = only_const(first), only_const(second)
    if one is None or two is None or not isinstance(one.value, int) or not isinstance(two.value, int | float):
        return
    bits = two.value * (1 if shift else max(one.value.bit_length() - 1, 0))
    if bits >= _MANY_BITS:
        told = f"makes a number of {_told(bits)} bits, which takes more time and memory than a run has"
        m.find(node, "resource/much-memory", Effect.RESOURCE, told, Severity.WARNING)


def check_range(m: Machine, node: ast.AST, numbers: range) -> None:
    """Note `range(10**12)`."""
    count = size_of(numbers)
    m.counts[id(node)] = count
    _turns(m, node, count)


def size_of(numbers: range) -> int:
    """Return how many numbers there are; `len` fails beyond 64 bits."""
    return max(0, -((numbers.start - numbers.stop) // numbers.step))


def check_comprehension(m: Machine, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
    """Note `[bytearray(10**8) for _ in range(100)]`: what each turn makes, times the turns."""
    turns = prod(m.counts.get(id(part.iter), 1) for part in node.generators if not part.ifs)
    _turns(m, node, turns)
    size = turns * m.counts.get(id(node.value if isinstance(node, ast.DictComp) else node.elt), 1)
    if size > 1 and not isinstance(node, ast.GeneratorExp):
        m.counts[id(node)] = size
        if size >= MUCH:
            found_much(m, node, size)


def check_kept(m: Machine, node: ast.AST, kept: ast.expr | None) -> None:
    """Note what is kept in each turn of loops whose turns are known: `blocks.append(bytearray(10**7))`."""
    size = m.count_of(kept) * m.turns
    if size >= MUCH and size > m.turns:
        found_much(m, node, size)


def checked_turns(m: Machine, node: ast.AST, turns: int) -> int:
    """Return how often a loop goes round, and note it where that is beyond all time."""
    if m.turns < _MANY_TURNS:
        _turns(m, node, turns * m.turns)
    return turns


def check_combined(m: Machine, node: ast.AST, name: str, given: Arguments) -> None:
    """Note `itertools.product(range(1000), repeat=4)` and its kin."""
    sizes = _sizes(m, given.args if name == "product" else given.args[:1], given)
    told = given.get("repeat") if name == "product" else given.get(1, "r")
    known = only_const(told) if told else None
    times = known.value if known is not None and isinstance(known.value, int) else None
    if sizes and 0 <= (times or 0) < 10**6:
        _turns(m, node, _ways_of(name, sizes, times))


def _sizes(m: Machine, values: tuple[Value, ...], given: Arguments) -> list[int]:
    sizes: list[int] = []
    for place, value in enumerate(values):
        atom = value[0] if len(value) == 1 else None
        if isinstance(atom, Box) and atom.exact and not atom.rest:
            sizes.append(len(atom.items))
        elif isinstance(atom, Const) and isinstance(atom.value, str):
            sizes.append(len(atom.value))
        elif id(given.nodes.get(place)) in m.counts:
            sizes.append(m.counts[id(given.nodes[place])])
    return sizes


def _combined(name: str) -> Model:
    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        check_combined(m, node, name, given)
        return None

    return model


def _ways_of(name: str, sizes: list[int], times: int | None) -> float:
    try:
        if name == "product":
            return float(prod(sizes)) ** (1 if times is None else times)
        size = min(sizes[0], 10_000)
        if name == "permutations":
            return float(perm(size, size if times is None else times))
        times = min(times or 0, 10_000)
        return float(comb(size, times) if name == "combinations" else comb(size + times - 1, times))
    except (OverflowError, ValueError):
        return inf


def _factorial(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    known = only_const(given.args[0]) if given.args else None
    if known is not None and isinstance(known.value, int) and known.value >= 10**7:
        _turns(m, node, _MANY_TURNS)
    return None


def _regex(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    known = only_const(given.args[0]) if given.args else None
    text = known.value if known is not None and isinstance(known.value, str) else ""
    if len(text) < 2000 and _NESTED.search(text):
        told = "a regular expression with a repetition of a repetition, which some texts keep busy without end"
        m.find(node, "resource/regular-expression", Effect.RESOURCE, told)
    return None


def _turns(m: Machine, node: ast.AST, count: float) -> None:
    if count >= _MANY_TURNS:
        told = f"goes through {_told(count)} items, which takes minutes at least, and gigabytes if kept"
        m.find(node, "resource/many-turns", Effect.RESOURCE, told, Severity.WARNING)


def found_much(m: Machine, node: ast.AST, count: int) -> None:
    """Note that one expression makes so many elements."""
    told = f"makes {_told(count)} elements, more than the memory of a run holds"
    m.find(node, "resource/much-memory", Effect.RESOURCE, told, Severity.WARNING)


def _told(count: float) -> str:
    return f"{int(count):,}" if count < MOST else "far too many"


MODELS: dict[str, Model] = {
    **{
        f"itertools.{name}": _combined(name)
        for name in ("permutations", "combinations", "combinations_with_replacement")
    },
    "math.factorial": _factorial,
    **{f"re.{name}": _regex for name in _REGEX},
}
