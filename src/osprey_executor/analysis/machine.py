"""The state of one analysis: scopes, values and the budget. Handlers of syntax and calls are given to it."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from osprey_executor.analysis.aims import Aim, aimed
from osprey_executor.analysis.catalogue import Catalogue, Rule
from osprey_executor.analysis.places import is_remote, may_name_secrets, severity_of, told_of
from osprey_executor.analysis.record import Record
from osprey_executor.analysis.scopes import Place, Scope
from osprey_executor.analysis.texts import concat
from osprey_executor.analysis.values import (
    NOTHING,
    UNKNOWN,
    Box,
    Class,
    Const,
    Func,
    Ref,
    Value,
    is_text,
    spelling,
)
from osprey_executor.models import Confidence, Effect, Severity

_NEVER_TAKES = frozenset((ast.Constant, ast.JoinedStr, ast.BinOp, ast.Compare, ast.List, ast.Tuple, ast.Dict, ast.Set))
"""Expressions that give no function of a library themselves."""
_STEPS_A_LOOK = 256
_LONG_TEXT = 2000


class OverBudget(Exception):
    """The program needs more steps than the analysis may take."""


NO_KEYWORDS: Mapping[str, Value] = MappingProxyType({})
_NO_NODES: Mapping[int | str, ast.expr] = MappingProxyType({})


class Arguments(NamedTuple):
    """The arguments of one call, evaluated. A tuple, because one is made for each call."""

    args: tuple[Value, ...] = ()
    keywords: Mapping[str, Value] = NO_KEYWORDS
    nodes: Mapping[int | str, ast.expr] = _NO_NODES
    """Where an argument stands in the source, by place and keyword."""
    complete: bool = True
    """False: there are starred arguments that cannot be told apart."""
    made_with: Value = ()
    """What the object was made with whose method is called."""

    def get(self, *places: int | str) -> Value | None:
        """Return the first argument at one of these positions or keywords; None where there is none."""
        for place in places:
            if isinstance(place, int):
                if place < len(self.args):
                    return self.args[place]
            elif place in self.keywords:
                return self.keywords[place]
        return None if self.complete else UNKNOWN

    def everything(self) -> list[Value]:
        """Return all arguments."""
        return [*self.args, *self.keywords.values()]


NO_ARGUMENTS = Arguments()
_MAY_FILL_BUFFERS = ("science-", "files-dump")
_BUFFERS = frozenset(("io.BytesIO", "io.StringIO"))
Handler = Callable[["Machine", Any], Any]
Model = Callable[["Machine", ast.AST, Arguments], Value | None]
Look = Callable[["Machine", ast.AST, str, Arguments], None]
Caller = Callable[["Machine", ast.AST, Value, Arguments], Value]


class Callee(NamedTuple):
    """What is known of calling a path of a library."""

    owner: str
    last: str
    root: str
    rest: str
    model: Model | None
    rule: Rule | None
    looks: tuple[Look, ...]
    """Who looks whether it takes more than there is."""
    is_odd: bool
    """Whether its last name is one by which another thing is called."""
    is_quiet: bool
    """Whether it surely does nothing to the world, and so gives nothing that could."""


@dataclass(frozen=True)
class Semantics:
    """What syntax and well-known functions mean: tables of handlers."""

    expressions: Mapping[type[ast.AST], Handler]
    statements: Mapping[type[ast.AST], Handler]
    models: Mapping[str, Model]
    caller: Caller


@cache
def _kinds(of: type[ast.AST]) -> Sequence[type[ast.AST]]:
    return [kind for kind in vars(ast).values() if isinstance(kind, type) and issubclass(kind, of)]


def _no_gaps(
    handlers: Mapping[type[ast.AST], Handler], of: type[ast.AST], other: Handler
) -> dict[type[ast.AST], Handler]:
    """Return the table with a handler for each kind of node, so that nobody has to ask whether there is one."""
    return {**dict.fromkeys(_kinds(of), other), **handlers}


def _unknown(_machine: Machine, _node: ast.expr) -> Value:
    return UNKNOWN


def _nothing(_machine: Machine, _node: ast.stmt) -> None:
    return None


class Machine(Record):
    """One analysis on its way."""

    MOST_SECONDS = 5.0
    """Processor time of the calling thread."""

    def __init__(self, source: str, catalogue: Catalogue, semantics: Semantics, budget: int) -> None:
        super().__init__(source)
        self.catalogue = catalogue
        self.semantics = semantics
        self._expressions = _no_gaps(semantics.expressions, ast.expr, _unknown)
        self._statements = _no_gaps(semantics.statements, ast.stmt, _nothing)
        self._rules: dict[str, Rule | None] = {}
        self.callees: dict[str, Callee] = {}
        """By path: what a call does, once it was looked up."""
        self._models: dict[str, Model | None] = {}
        self.budget = budget
        self.deadline = time.thread_time() + self.MOST_SECONDS
        """The last resort: steps end a program first, and are the same on every machine."""
        self._next_look = budget
        self.func: Func | None = None
        self.functions: list[Func] = []
        self.made: dict[Any, Box | Func | Class] = {}
        """Containers, functions and classes by the place that makes them."""
        self.trees: dict[Any, ast.AST] = {}
        """Text that is analysed as code; kept, because places are known by the identity of their nodes."""
        self.modules: set[str] = set()
        """Paths that were imported as modules."""
        self.stars: list[str] = []
        self.module_stale = False
        self.mutations = 0
        self.loop_depth = 0
        self.text_depth = 0
        self.imported: set[str] = set()
        self.counts: dict[int, int] = {}
        """How many elements an expression makes, by the identity of its node."""
        self.largest: dict[Func, int] = {}
        """The largest number that a function of the program is called with first."""
        self.turns = 1
        """How often the loops around go, as far as that is known."""
        self.brought: dict[str, ast.AST] = {}
        """What was imported of libraries that are known, and where."""
        self.unlisted: dict[str, None] = {}
        """Roots of libraries of which nothing is known."""
        self.files: dict[str, Value] = {}
        """What the program wrote to files of known names."""
        self.path_changed = False
        self.recursive: dict[Func, None] = {}
        """Functions that were called while they ran."""
        self.caught: frozenset[str] = frozenset()
        """Exceptions that the statements around the present one catch, in the same function."""
        self.endless: list[ast.AST] = []
        """Loops that surely never end."""
        self.never_run_out: set[Func] = set()
        """Generators of the program that give items without end."""
        self.doubt = False
        """Whether what is called is one of several things."""
        self.replaced: dict[str, Value] = {}
        """Names of control-system libraries that the program sets, and what they may be since."""
        self.columns: dict[int, tuple[list[Box], int]] = {}
        """By the identity of a target among several: the rows that it takes its values from, and its place in them."""
        self.worked_out: dict[tuple[int, str | None], list[str | None] | None] = {}
        """By call and channel: values that were worked out; None once nobody can tell them."""
        self.sensitive = may_name_secrets(source)
        """Whether the name of a file of secrets stands anywhere in the source."""

    def forget(self) -> None:
        """Let go of what holds each other in a ring, so that all of it is freed at once and not by the collector."""
        self.module.forget()
        for func in self.functions:
            func.outer.forget()
            func.scope.forget()
            func.params.clear()
            func.callers.clear()
            func.returns = NOTHING
        for made in self.made.values():
            if isinstance(made, Box):
                made.items.clear()
                made.rest = NOTHING
            elif isinstance(made, Class):
                made.attributes.clear()

    def count_of(self, node: ast.expr | None) -> int:
        """Return how many elements an expression makes, as far as that is known; of a name, what it was given."""
        if isinstance(node, ast.Name):
            place = self.scope.places.get(node.id)
            node = place.source if place is not None else None
        return self.counts.get(id(node), 1)

    def peek(self, node: ast.expr) -> Value:
        """Return the value of an expression that is only looked at or called."""
        self.budget = left = self.budget - 1
        if left < 0:
            raise OverBudget
        return self._expressions[type(node)](self, node)

    def eval(self, node: ast.expr) -> Value:
        """Return the value of an expression; a write function among it is noted as taken."""
        self.budget = left = self.budget - 1
        if left < self._next_look:
            self._look_at_the_clock()
        kind = type(node)
        value = self._expressions[kind](self, node)
        if kind in _NEVER_TAKES:
            return value
        for atom in value:
            if type(atom) is Ref and not atom.made:
                self._used(node, atom)
        return value

    def _look_at_the_clock(self) -> None:
        if self.budget < 0 or time.thread_time() > self.deadline:
            raise OverBudget
        self._next_look = max(self.budget - _STEPS_A_LOOK, 0)

    def charge(self, value: Value) -> Value:
        """Take steps for texts that are long, so that many of them end the analysis before they fill the memory."""
        for atom in value:
            if type(atom) is Const and isinstance(atom.value, str | bytes) and len(atom.value) > _LONG_TEXT:
                self.budget -= len(atom.value) >> 5
        return value

    def _used(self, node: ast.AST, ref: Ref) -> None:
        rule = self.rule(ref.path)
        if rule is None:
            return
        if rule.effect is Effect.CONTROL_WRITE:
            self.take(node, ref)
        elif rule.use:
            self.find(node, rule.id, rule.effect, rule.message, rule.severity, ask=rule.ask)

    @property
    def looked_up(self) -> Set[str]:
        """Names of libraries that the program uses."""
        return self._rules.keys()

    def rule(self, path: str) -> Rule | None:
        """Return the catalogue's rule for calling `path`, found once for each path of a program."""
        try:
            return self._rules[path]
        except KeyError:
            found = self._rules[path] = self.catalogue.rule(path)
            return found

    def from_star(self, name: str) -> Value | None:
        """Return what `from library import *` brings under a name, None where nothing is known of it."""
        for star in self.stars:
            path = self.catalogue.aliases.get(f"{star}.{name}", f"{star}.{name}")
            if self.catalogue.rule(path) or path in self.catalogue.classes or self.model(path):
                return (Ref(path),)
        return None

    def run(self, body: Sequence[ast.stmt]) -> None:
        """Run statements in order."""
        statements = self._statements
        for node in body:
            self.budget = left = self.budget - 1
            if left < self._next_look:
                self._look_at_the_clock()
            statements[type(node)](self, node)

    def model(self, path: str) -> Model | None:
        """Return the model that tells what calling `path` does, by its path or by the catalogue's word."""
        try:
            return self._models[path]
        except KeyError:
            models = self.semantics.models
            found = models.get(path) or models.get(self.catalogue.model(path))
            self._models[path] = found
            return found

    def call(self, node: ast.AST, callee: Value, given: Arguments) -> Value:
        """Return what calling `callee` gives, and note what it does."""
        return self.semantics.caller(self, node, callee, given)

    def member(self, path: str, channels: Value) -> Ref:
        """Return what an attribute of an object of a library is, where the catalogue tells what channel it has."""
        if channels:
            known = self.catalogue.component(path)
            if known is not None:
                return Ref(known[0], True, concat(channels, (Const(known[1]),)))
        return Ref(path, False, channels)

    def bind(self, name: str, value: Value, node: ast.AST | None = None, source: ast.expr | None = None) -> None:
        """Bind a name where the running body would; `node` and `source` tell where and by what."""
        scope, of = self.scope, None
        if name in scope.globals:
            scope, of = self.module, scope
        elif name in scope.nonlocals and (owner := self._owner(name)) is not None:
            scope, of = owner, scope
        if node is not None:
            scope.places[name] = Place(node, source, of)
        scope.bind(name, value or UNKNOWN, self._changed)

    def _owner(self, name: str) -> Scope | None:
        scope = self.scope.outer
        while scope is not None and name not in scope.ever:
            scope = scope.outer
        return scope

    def lookup(self, name: str) -> Value | None:
        """Return what a name holds here, None where nothing binds it."""
        scope = self.scope
        if name not in scope.globals:
            if scope.journals and name not in scope.journals[-1]:
                scope.first_reads.add(name)
            held = scope.vars.get(name)
            if held is not None:
                return held
        return self.lookup_around(name)

    def lookup_around(self, name: str) -> Value | None:
        """Return what a name holds in the scopes around this one, None where none of them binds it."""
        scope = self.scope
        outer = scope.outer
        while outer is not None:
            if outer.kind != "class":
                held = outer.vars.get(name) if scope.kind == "class" and outer is scope.outer else outer.ever.get(name)
                if self.func is not None:
                    outer.readers.setdefault(name, {})[self.func] = None
                if held is not None:
                    return held
            outer = outer.outer
        return None

    def _changed(self, func: Func) -> None:
        if func.runs:
            func.stale = True

    def mutated(self) -> None:
        """Note that a container or object holds more than before."""
        self.mutations += 1

    def apply(self, node: ast.AST, rule: Rule, ref: Ref, given: Arguments | None) -> None:
        """Note what a rule of the catalogue says about a call; `given` None: nobody knows the arguments."""
        severity = rule.severity
        if rule.id.removeprefix("file/").startswith(_MAY_FILL_BUFFERS) and given is not None and _into_memory(given):
            return
        if rule.effect is Effect.CONTROL_WRITE:
            aims = aimed(self, rule, ref, given)
            for aim in aims:
                self._aim(node, aim)
            channels = list(dict.fromkeys(aim.channel for aim in aims))
            known = [channel for channel in channels if channel is not None]
            message = rule.about(known if len(known) == len(channels) else ())
        else:
            message = rule.about()
            if rule.path is not None and given is not None:
                message += self._path_told(rule.path, ref, given)
                severity = max(severity, severity_of(message), key=list(Severity).index)
        sure = not (given is None or self.doubt or "?" in ref.path or rule.likely)
        confidence = (
            Confidence.CERTAIN if sure and rule.effect is not Effect.OPAQUE else None if sure else Confidence.LIKELY
        )
        self.find(node, rule.id, rule.effect, message, severity, ask=rule.ask, confidence=confidence)
        self.find_also(node, rule)
        if rule.effect is Effect.FILE_WRITE and given is not None and any(map(_is_remote, given.args[:1])):
            told = "writes a file over the network"
            self.find(node, "network/remote-file", Effect.NETWORK, told)

    def _path_told(self, places: int | str | tuple[int | str, ...], ref: Ref, given: Arguments) -> str:
        """Return which file a rule is about, as far as that is known."""
        held = ref.channels if places == "self" else given.get(*(places if isinstance(places, tuple) else (places,)))
        told = told_of(held, one=self.doubt) if held else ""
        return f": {told}" if told else ""

    def _aim(self, node: ast.AST, aim: Aim) -> None:
        """Note a write; a value that was worked out holds until another turn tells that it may be anything."""
        line, key = self.where(node)[0], (id(node), aim.channel)
        worked_out = self.worked_out.setdefault(key, [])
        if aim.computed and worked_out is not None:
            worked_out.append(aim.value)
        elif aim.computed:
            return
        else:
            for value in worked_out or ():
                self.targets.pop((aim.channel, line, value), None)
            self.worked_out[key] = None
        self.write(aim.channel, aim.value, line)

    def find_also(self, node: ast.AST, rule: Rule) -> None:
        """Note what a rule does besides its main effect."""
        for effect in rule.also:
            self.find(node, f"{effect}/{rule.id.partition('/')[2]}", effect, rule.message)


def _into_memory(given: Arguments) -> bool:
    """Return whether a call writes into a buffer, and so into no file: `savefig(io.BytesIO())`."""
    return any(
        value and all(isinstance(one, Ref) and one.path in _BUFFERS for one in value) for value in given.everything()
    )


def _is_remote(value: Value) -> bool:
    return any(is_remote(spelling(atom)) for atom in value if is_text(atom))
