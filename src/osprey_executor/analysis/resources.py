"""Programs without an end: loops that nothing ends, sizes that nothing holds, functions that only call themselves."""

from __future__ import annotations

import ast
from math import comb, inf, perm, prod

from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.quality import never_ends
from osprey_executor.analysis.values import Box, Const, Ref, Value, only_const
from osprey_executor.models import Effect, Severity

_MUCH = 500_000_000
"""Elements; the memory of a run is 2 GiB unless the site says otherwise."""
_MANY_BITS = 1_000_000_000
_MANY_TURNS = 1_000_000_000
_ENDLESS_ITERATORS = frozenset(("itertools.count", "itertools.cycle", "itertools.repeat"))
SIZED = frozenset(
    (
        *("bytearray", "bytes", "zeros", "ones", "empty", "full", "rand", "randn", "random", "arange", "urandom"),
        *("token_bytes", "create_string_buffer", "list", "normal", "uniform"),
    )
)
"""Last names of what makes as many elements as its arguments say."""


def check_while(m: Machine, node: ast.While) -> None:
    """Note a loop that nothing in it ends."""
    if never_ends(node):
        _endless(m, node)


def check_for(m: Machine, node: ast.For | ast.AsyncFor) -> None:
    """Note a loop over an iterator without end that nothing in it ends."""
    call = node.iter
    if not isinstance(call, ast.Call):
        return
    path = next((atom.path for atom in m.peek(call.func) if isinstance(atom, Ref)), "")
    endless = path in _ENDLESS_ITERATORS and not (path == "itertools.repeat" and len(call.args) > 1)
    endless = endless or (path == "builtins.iter" and len(call.args) == 2)
    if endless and never_ends(ast.While(test=ast.Constant(value=True), body=node.body, orelse=[])):
        _endless(m, node)


def _endless(m: Machine, node: ast.stmt) -> None:
    m.find(
        node,
        "resource/endless-loop",
        Effect.RESOURCE,
        "loops without an end: it takes processor time, and what it collects takes memory, until the run is stopped",
        Severity.WARNING,
    )


def check_product(m: Machine, node: ast.AST, first: Value, second: Value) -> None:
    """Note `'x' * 10**10` and `[0] * 10**10`."""
    for value, other in ((first, second), (second, first)):
        count = only_const(value)
        if count is None or not isinstance(count.value, int) or isinstance(count.value, bool):
            continue
        long = any(not isinstance(atom, Const) or isinstance(atom.value, str | bytes) for atom in other)
        if long and count.value >= _MUCH // 8 and not all(type(atom).__name__ == "Unknown" for atom in other):
            _much(m, node, count.value)


def check_size(m: Machine, node: ast.AST, args: tuple[Value, ...]) -> None:
    """Note `bytearray(10**10)` and `numpy.zeros((10**5, 10**5))`."""
    size = 1
    for value in args[:4]:
        for atom in value:
            parts = list(atom.items.values()) if isinstance(atom, Box) else [value]
            for part in parts[:8]:
                known = only_const(part)
                if known is not None and isinstance(known.value, int | float) and known.value > 1:
                    size *= int(min(known.value, 10**18))
    if size >= _MUCH:
        _much(m, node, size)


def check_power(m: Machine, node: ast.AST, first: Value, second: Value, *, shift: bool = False) -> None:
    """Note `10 ** 10 ** 10` and `1 << 10**10`: numbers that take minutes and gigabytes to make."""
    one, two = only_const(first), only_const(second)
    if one is None or two is None or not isinstance(one.value, int) or not isinstance(two.value, int | float):
        return
    bits = two.value * (1 if shift else max(one.value.bit_length() - 1, 0))
    if bits >= _MANY_BITS:
        told = f"makes a number of {int(min(bits, 10**18)):,} bits, which takes more time and memory than a run has"
        m.find(node, "resource/much-memory", Effect.RESOURCE, told, Severity.WARNING)


def _turns(m: Machine, node: ast.AST, count: float) -> None:
    if count >= _MANY_TURNS:
        told = f"goes through {int(min(count, 10**18)):,} items, which takes minutes at least, and gigabytes if kept"
        m.find(node, "resource/many-turns", Effect.RESOURCE, told, Severity.WARNING)


def check_range(m: Machine, node: ast.AST, numbers: range) -> None:
    """Note `range(10**12)`."""
    count = size_of(numbers)
    m.counts[id(node)] = count
    _turns(m, node, count)


def size_of(numbers: range) -> int:
    """Return how many numbers there are; `len` fails beyond 64 bits."""
    return max(0, -((numbers.start - numbers.stop) // numbers.step))


def _sizes(m: Machine, values: tuple[Value, ...], given: Arguments) -> list[int]:
    sizes: list[int] = []
    for place, value in enumerate(values):
        atom = value[0] if len(value) == 1 else None
        if isinstance(atom, Box) and atom.exact and not atom.rest:
            sizes.append(len(atom.items))
        elif isinstance(atom, Const) and isinstance(atom.value, str):
            sizes.append(len(atom.value))
        elif place in given.nodes and id(given.nodes[place]) in m.counts:
            sizes.append(m.counts[id(given.nodes[place])])
    return sizes


def check_combined(m: Machine, node: ast.AST, name: str, given: Arguments) -> None:
    """Note `itertools.product(range(1000), repeat=4)` and its kin."""
    sizes = _sizes(m, given.args if name == "product" else given.args[:1], given)
    told = given.get("repeat") if name == "product" else given.get(1, "r")
    known = only_const(told) if told else None
    times = known.value if known is not None and isinstance(known.value, int) else None
    if sizes and 0 <= (times or 0) < 10**6:
        _turns(m, node, _ways_of(name, sizes, times))


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
        _turns(m, node, float(_MANY_TURNS))
    return None


def _much(m: Machine, node: ast.AST, count: int) -> None:
    m.find(
        node,
        "resource/much-memory",
        Effect.RESOURCE,
        f"makes {count:,} elements at once, more than the memory of a run holds",
        Severity.WARNING,
    )


def check_recursion(m: Machine, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
    """Note a function that calls itself before anything could end it."""
    if isinstance(node, ast.Lambda):
        return
    for statement in node.body[:50]:
        if isinstance(statement, ast.Expr | ast.Assign | ast.Return | ast.AugAssign):
            for part in ast.walk(statement):
                if isinstance(part, ast.Lambda | ast.IfExp | ast.BoolOp | ast.comprehension):
                    break
                if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == node.name:
                    m.find(
                        part,
                        "resource/endless-recursion",
                        Effect.RESOURCE,
                        f"{node.name} calls itself before anything can end it",
                        Severity.WARNING,
                    )
                    return
        if not isinstance(
            statement, ast.Expr | ast.Assign | ast.AugAssign | ast.AnnAssign | ast.FunctionDef | ast.Import
        ):
            return


MODELS: dict[str, Model] = {
    **{
        f"itertools.{name}": _combined(name)
        for name in ("permutations", "combinations", "combinations_with_replacement")
    },
    "math.factorial": _factorial,
}
