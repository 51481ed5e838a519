"""What is wrong with a program, whatever it does to the world: names, modules, results, endless loops."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from osprey_executor.analysis.machine import Machine
from osprey_executor.analysis.quality._compiled import JUDGED, may_be_refused, refused
from osprey_executor.analysis.quality._loops import busy_for_ever
from osprey_executor.analysis.quality._names import checked, mistaken_names
from osprey_executor.analysis.quality._tree import LOOKED_AT, Seen, look, set_again
from osprey_executor.analysis.values import Box, Const, Unknown, Value
from osprey_executor.models import Finding, FindingKind, Severity
from osprey_executor.text import one_line

_MOST_FLAWS = 1000
_BROUGHT = {"mpl_toolkits": "matplotlib", "pylab": "matplotlib", "pkg_resources": "setuptools"}
"""Modules that come with others, and that no folder of their own tells of."""
_KINDS = LOOKED_AT | JUDGED
_ALWAYS = frozenset(("osprey", "osprey_executor"))
"""What every run finds, whatever its environment has."""


@dataclass(frozen=True)
class Gates:
    """What a program is held against."""

    expected: tuple[str, ...] = ()
    """Keys that `results` must have."""
    modules: Collection[str] | None = None
    """Top-level modules of the environment besides the standard library; None: nobody knows."""
    standard: Collection[str] = ()
    """The standard library's modules there."""


def flaws(m: Machine, tree: ast.Module, gates: Gates) -> list[Finding]:
    """Return what is wrong with a program that was followed by `m`, in no order, and no more than anybody reads."""
    dynamic = bool(m.stars) or any(rule.startswith("dynamic/") for rule, _, _ in m.found)
    told, nodes = checked(tree, m.text, _KINDS)
    mistaken = list(mistaken_names(told, dynamic=dynamic))
    seen = look(nodes)
    broken = refused(tree) if may_be_refused(m.text, nodes) else None
    if broken is not None and all(one.line != broken.line for one in mistaken):
        mistaken.append(broken)
    found = chain(
        m.flaws.values(),
        _results(m, tree, seen, gates, dynamic=dynamic),
        _missing_modules(seen, gates),
        mistaken,
        _endless(m, tree, seen),
    )
    return list(islice(found, _MOST_FLAWS))


def flaw(rule: str, line: int, column: int, message: str, severity: Severity = Severity.ERROR) -> Finding:
    """Return a finding for the author of a program."""
    return Finding(
        rule=f"quality/{rule}",
        line=max(line, 1),
        column=max(column, 1),
        severity=severity,
        message=message,
        kind=FindingKind.QUALITY,
    )


def _missing_modules(seen: Seen, gates: Gates) -> Iterator[Finding]:
    if gates.modules is None:
        return
    known = {*gates.modules, *gates.standard, *_ALWAYS, *seen.written}
    for root, (line, column) in seen.imports.items():
        if root not in known and _BROUGHT.get(root) not in known:
            yield flaw(
                "missing-module",
                line,
                column,
                f"the environment of the run has no module {one_line(root, 80)}: do without it, or use what is there",
            )


def _results(m: Machine, tree: ast.Module, seen: Seen, gates: Gates, *, dynamic: bool) -> Iterator[Finding]:
    ever = m.module.ever.get("results")
    if ever is None:
        if not (dynamic or seen.publishes or seen.sets_globals):
            yield _no_results(gates, (1, 1), "nothing is left in `results`, the dictionary that a run returns")
        return
    if dynamic or seen.publishes or seen.sets_globals:
        return
    # What a function sets may be set before or after; what the module itself sets last is what is left.
    held = ever if "results" in m.rebound else m.module.vars.get("results", ever)
    place = seen.results or (1, 1)
    dropped = {key: at for key, at in seen.dropped.items() if not set_again(tree, key, at)}
    boxes = [atom for atom in held if isinstance(atom, Box) and atom.mapping]
    if "" in dropped:
        yield _no_results(gates, dropped[""], "`results` is emptied or deleted again")
    elif not boxes and all(isinstance(atom, Const | Box) for atom in held):
        yield _no_results(gates, place, "`results` is no dictionary")
    elif gates.expected and not any(isinstance(atom, Unknown) for atom in held):
        yield from _missing_keys(held, boxes, set(dropped), seen, gates)


def _missing_keys(held: Value, boxes: list[Box], dropped: set[str], seen: Seen, gates: Gates) -> Iterator[Finding]:
    if len(boxes) < len([atom for atom in held if not isinstance(atom, Const)]):
        return
    unsure = any(not box.exact or box.rest for box in boxes) or seen.fills_results
    found = {str(key) for box in boxes for key in box.items} - dropped
    missing = [key for key in gates.expected if (key in dropped if unsure else key not in found)]
    if missing and boxes:
        told = ", ".join(one_line(key, 60) for key in missing[:8])
        there = ", ".join(one_line(key, 60) for key in sorted(found)[:8]) or "no keys"
        yield flaw("missing-key", *(seen.results or (1, 1)), f"`results` lacks {told}; it has {there}")


def _no_results(gates: Gates, place: tuple[int, int], told: str) -> Finding:
    if gates.expected:
        told += f"; it must have {', '.join(map(one_line, gates.expected[:8]))}"
    return flaw("no-results", *place, told, Severity.ERROR if gates.expected else Severity.WARNING)


def _endless(m: Machine, tree: ast.Module, seen: Seen) -> Iterator[Finding]:
    loops = {id(loop): loop for loop in (*seen.unending, *m.endless)}
    for loop in busy_for_ever(tree, list(loops.values())):
        line, column, _, _ = m.where(loop)
        yield flaw(
            "endless-loop",
            line,
            column,
            "this loop never ends and never waits: give it an end (a break, a count, a deadline) and a time.sleep",
        )
