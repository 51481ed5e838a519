"""Source in, findings and effects out. Parses only, never raises; what it cannot finish asks."""

from __future__ import annotations

import ast
import gc
import platform
import warnings
from collections.abc import Collection, Generator
from contextlib import contextmanager

from osprey_executor.analysis import (
    blowups,
    calls,
    computed,
    containers,
    devices,
    dynamic,
    files,
    formulas,
    functions,
    hosts,
    iterators,
    openers,
    pickles,
    plain,
    protocols,
    registry,
    resources,
    sizes,
    spending,
    starters,
    stdlib,
    web,
)
from osprey_executor.analysis.apart import analyzed_apart
from osprey_executor.analysis.expressions import EXPRESSIONS
from osprey_executor.analysis.hidden import hidden
from osprey_executor.analysis.machine import Machine, OverBudget, Semantics
from osprey_executor.analysis.quality import Gates, flaws
from osprey_executor.analysis.reasons import why_asked
from osprey_executor.analysis.site import Site
from osprey_executor.analysis.source import Unreadable, decoded
from osprey_executor.analysis.statements import STATEMENTS
from osprey_executor.analysis.weight import is_heavy
from osprey_executor.models import AnalysisReport, Confidence, Effect, Finding, Severity, Verdict, WriteTarget
from osprey_executor.text import one_line

_PYTHON = ".".join(platform.python_version_tuple()[:2])
_MOST_BOUND = 1500
"""Definitions and imports of a program that the gates look at in this process."""
_MOST_SOURCE = 512 * 1024
_STEPS_PER_BYTE = 4
_LEAST_STEPS = 100_000
_MOST_STEPS = 4_000_000
_ROUNDS = 3
_SEMANTICS = Semantics(
    EXPRESSIONS,
    STATEMENTS,
    {
        **containers.MODELS,
        **iterators.MODELS,
        **computed.MODELS,
        **dynamic.MODELS,
        **starters.MODELS,
        **stdlib.MODELS,
        **files.MODELS,
        **formulas.MODELS,
        **pickles.MODELS,
        **plain.MODELS,
        **protocols.MODELS,
        **web.MODELS,
        **openers.MODELS,
        **devices.MODELS,
        **hosts.MODELS,
        **registry.MODELS,
        **sizes.MODELS,
        **spending.MODELS,
    },
    calls.call,
)


def analyze(source: str | bytes, *, site: Site | None = None, gates: Gates | None = None) -> AnalysisReport:
    """Return what a program does to the world, as far as its source tells.

    Args:
        source: the program, text or bytes as they would be executed.
        site: what is denied, and what the site adds; None: nothing is denied, and the catalogue is this package's.
        gates: what the program is held against; None: only what it does is looked for, not what is wrong with it.
    """
    site = site or Site()
    if len(source) > _MOST_SOURCE:
        return _gave_up((), "analysis/limit", f"the source is larger than {_MOST_SOURCE // 1024} KiB", site)
    try:
        text = decoded(source)
        heavy = is_heavy(text) or (gates is not None and _binds_much(text))
    except Exception:  # unreadable, by whatever codec: the analysis in this process tells how
        heavy = False
    if not heavy:
        return analyzed_here(source, site, gates)
    told = "the source takes more time or memory to be parsed and followed than the analysis may take"
    return analyzed_apart(source, site, gates) or _gave_up((), "analysis/limit", told, site)


def _binds_much(text: str) -> bool:
    """Return whether the gates may take long: pyflakes compares each definition with those in other branches."""
    return sum(map(text.count, ("def ", "class ", "import "))) > _MOST_BOUND


def analyzed_here(source: str | bytes, site: Site, gates: Gates | None) -> AnalysisReport:
    """Return what a program does, found in this process, whatever that takes of it."""
    try:
        with _collector_paused():
            return _analyzed(source, site, gates)
    except Exception as error:  # a crash of the analysis must ask, never pass and never stop the run
        crash = f"the analysis broke ({type(error).__name__}: {one_line(str(error))})"
        return _gave_up((), "analysis/crash", crash, site)


@contextmanager
def _collector_paused() -> Generator[None]:
    # A syntax tree is a great many objects of which none is garbage: looking for it takes a third of the time.
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _analyzed(source: str | bytes, site: Site, gates: Gates | None) -> AnalysisReport:
    try:
        text = decoded(source)
    except Unreadable as error:
        return _broken(str(error), 1, 1)
    seen = hidden(text)
    try:
        tree = _parsed(text)
    except SyntaxError as error:
        told = f"{error.msg or 'invalid syntax'} (read as Python {_PYTHON})"
        return _broken(told, error.lineno or 1, error.offset or 1, seen)
    except (RecursionError, MemoryError):
        return _gave_up(seen, "analysis/limit", "the source is nested too deeply to be parsed here", site)
    except ValueError as error:
        return _broken(str(error), 1, 1, seen)
    budget = min(max(_LEAST_STEPS, _STEPS_PER_BYTE * len(text)), _MOST_STEPS)
    machine = Machine(text, site.catalogue, _SEMANTICS, budget)
    try:
        return _followed(machine, tree, text, seen, site, gates)
    finally:
        machine.forget()


def _followed(
    machine: Machine, tree: ast.Module, text: str, seen: list[Finding], site: Site, gates: Gates | None
) -> AnalysisReport:
    gave_up = ""
    try:
        _run(machine, tree)
    except OverBudget:
        gave_up = "the program is too involved to be followed to its end"
    except RecursionError:
        gave_up = "the program is nested too deeply to be followed"
    for func in machine.recursive:
        resources.check_recursion(machine, func)
        blowups.check_forks(machine, func)
    gave_up = _add_patterns(machine, site, text) or gave_up
    if gave_up:
        return _gave_up((*seen, *machine.found.values()), "analysis/limit", gave_up, site)
    _mention_taken(machine)
    _mention_imports(machine)
    if gates is not None:
        seen.extend(flaws(machine, tree, gates))
    return _report(machine, seen, site)


def _add_patterns(m: Machine, site: Site, text: str) -> str:
    """Note what the site's patterns fit; return why they were not all tried, empty where they were."""
    lines = {target.line for target in m.targets.values()}
    found, gave_up = site.patterns.findings(text)
    for finding in found:
        m.found.setdefault((finding.rule, finding.line, finding.column), finding)
        if finding.effect is Effect.CONTROL_WRITE:
            m.ask(finding.line, finding.effect, finding.message)
            if finding.line not in lines:
                m.write(None, None, finding.line)
    return gave_up


def _parsed(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _run(m: Machine, tree: ast.Module) -> None:
    for round_ in range(_ROUNDS):
        if round_ == 0 or m.module_stale:
            m.module_stale = False
            m.scope, m.func = m.module, None
            m.run(tree.body)
        for _ in range(_ROUNDS):
            waiting = [func for func in m.functions if func.runs == 0 or (func.stale and func.runs < 8)]
            for func in waiting:
                functions.run(m, func)
            if not waiting:
                break
        if not m.module_stale:
            break


def _report(m: Machine, seen: list[Finding], site: Site) -> AnalysisReport:
    findings = _merged(sorted((*seen, *m.found.values()), key=lambda one: (one.line, one.column, one.rule)))
    effects = frozenset(one.effect for one in findings if one.effect)
    writes = _writes(m)
    verdict, reason = Verdict.ALLOW, _allowed(effects, list(m.unlisted))
    if m.asking:
        writing = {line: message for (writes, line), message in m.asking.items() if writes}
        doubtful = {line: message for (writes, line), message in m.asking.items() if not writes}
        verdict, reason = Verdict.ASK, why_asked(writing, doubtful)
    if denied := _denied(findings, site):
        verdict, reason = Verdict.DENY, denied
    return AnalysisReport(
        findings=tuple(findings), effects=effects, verdict=verdict, reason=one_line(reason, 500), writes=writes
    )


def _merged(findings: list[Finding]) -> list[Finding]:
    """Return findings without those that say the same of one line again."""
    kept: dict[object, Finding] = {}
    for one in findings:
        kept.setdefault((one.rule, one.line, one.message) if one.effect else id(one), one)
    return list(kept.values())


def _denied(findings: Collection[Finding], site: Site) -> str:
    """Return why the site refuses what was found; empty where it does not."""
    forbidden = next((one for one in findings if site.denies(one)), None) if site.deny else None
    if forbidden is None:
        return ""
    return f"the site's policy denies {forbidden.effect or forbidden.rule}: line {forbidden.line}, {forbidden.message}"


def _mention_taken(m: Machine) -> None:
    known = bool(m.targets)
    for (line, column), path in list(m.taken.items()):
        name = path.rpartition(".")[2]
        rule = m.catalogue.rule(path)
        message = f"takes the write function {name} as a value, to be called by another name"
        message += f": {rule.about()}" if rule is not None and rule.futile else ""
        m.ask(line, Effect.CONTROL_WRITE, message)
        key = ("control/write-taken", line, column)
        m.found.setdefault(
            key,
            Finding(
                rule="control/write-taken",
                line=line,
                column=column,
                severity=Severity.WARNING,
                effect=Effect.CONTROL_WRITE,
                message=message,
                confidence=Confidence.LIKELY,
            ),
        )
        if not known:
            m.write(None, None, line)


def _mention_imports(m: Machine) -> None:
    """Name the effect of a module that is there for it and was imported, where no use of it was seen."""
    seen = {finding.effect for finding in m.found.values()}
    used = {path.partition(".")[0] for path in m.looked_up if path in m.catalogue.quiet or _is_constant(path)}
    for path, node in m.brought.items():
        rule = m.catalogue.rule(f"{path}.*")
        if rule is None or not rule.whole or rule.effect in seen or path.partition(".")[0] in used:
            continue
        used_for = rule.message.partition(", ")[2] if rule.message.startswith("uses ") else ""
        told = f"imports {path}, {used_for}" if used_for else f"imports {path}: {rule.message}"
        m.find(node, rule.id, rule.effect, told, confidence=Confidence.POSSIBLE)


def _is_constant(path: str) -> bool:
    """Return whether a name is that of a constant, `signal.SIGHUP`: the module was imported for it."""
    return path.rpartition(".")[2].isupper()


def _writes(m: Machine) -> tuple[WriteTarget, ...]:
    return tuple(sorted(m.targets.values(), key=lambda one: one.line))


def _allowed(effects: frozenset[Effect], unlisted: list[str]) -> str:
    if not effects:
        reason = "computes only"
    elif effects == frozenset((Effect.CONTROL_READ,)):
        reason = "reads channels only"
    else:
        reason = "writes no channel; " + ", ".join(sorted(effect.replace("_", " ") for effect in effects))
    if unlisted:
        others = len(unlisted) - 1
        more = f" and {others} other{'s' * (others > 1)}" if others else ""
        reason += f", as far as is known: no catalogue lists {one_line(unlisted[0], 60)}{more}"
    return reason


def _broken(message: str, line: int, column: int, seen: Collection[Finding] = ()) -> AnalysisReport:
    finding = Finding(
        rule="syntax/error", line=max(line, 1), column=max(column, 1), severity=Severity.ERROR, message=message
    )
    return AnalysisReport(findings=(*seen, finding), verdict=Verdict.ALLOW, reason="does not parse, so it cannot run")


def _gave_up(seen: Collection[Finding], rule: str, reason: str, site: Site) -> AnalysisReport:
    finding = Finding(
        rule=rule,
        line=1,
        column=1,
        severity=Severity.ERROR,
        effect=Effect.OPAQUE,
        message=f"{reason}: read it yourself",
        confidence=Confidence.POSSIBLE,
    )
    findings = (*seen, finding)
    denied = _denied(findings, site)
    return AnalysisReport(
        findings=findings,
        effects=frozenset(one.effect for one in findings if one.effect),
        verdict=Verdict.DENY if denied else Verdict.ASK,
        reason=one_line(denied or reason, 500),
        writes=(WriteTarget(channel=None, line=1),),
    )
