"""Answers for a dotted path: what does calling or assigning it do?"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from osprey_executor.models import Effect, Severity

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_WRITING = (
    "put",
    "set",
    "write",
    "send",
    "move",
    "trigger",
    "ramp",
    "kick",
    "command",
    "invoke",
    "publish",
    "execute",
    "tweak",
    "abort",
    "reset",
    "home",
    "jog",
    "enable",
    "disable",
    "arm",
    "fire",
    "apply",
    "restore",
    "drive",
    "increment",
    "toggle",
    "switch",
    "turn",
    "power",
    "degauss",
    "inject",
)

_TELLING_WORDS = 6
_SWITCHES = ("on", "off")
REACHES_NOTHING = "reaches nothing from the sandbox in this version"
BETTER = {
    Effect.CONTROL_WRITE: f"which {REACHES_NOTHING}; use osprey_executor.runtime.write_channel",
    Effect.CONTROL_READ: f"which {REACHES_NOTHING}; use osprey_executor.runtime.read_channel",
}


class Rule(NamedTuple):
    """What a call of, or an assignment to, one name does."""

    id: str
    effect: Effect | None
    severity: Severity
    message: str
    ask: bool = False
    """Whether it asks although its effect alone would not."""
    channel: int | str | tuple[int | str, ...] | None = None
    """Arguments that name the channel; `self`: the object was made with it."""
    value: int | str | tuple[int | str, ...] | None = None
    part: int | str | tuple[int | str, ...] | None = None
    """Arguments that name the part of what `channel` names: the field of a device, the attribute of a proxy."""
    joint: str = ""
    """What stands between a channel and its part."""
    path: int | str | tuple[int | str, ...] | None = None
    """Arguments that name the file that is changed; `self`: the object was made with it."""
    suffix: str = ""
    """What is surely written of what the object was made with: `.VAL` of a motor."""
    named: str = ""
    """How the channel is called by its arguments where it has no name: `DB{0}.{1}`."""
    pairs: bool = False
    """Whether the arguments are channels and values by turns."""
    reads: frozenset[str] = frozenset()
    """Options with which a command only asks."""
    returns: str | None = None
    futile: bool = False
    """Whether it is known to be a way to channels for which the sandbox has no gateway."""
    also: tuple[Effect, ...] = ()
    """What more it does: an opaque call may surely reach the network."""
    use: bool = False
    """Whether using the name as a value counts, not only calling it."""
    whole: bool = False
    """Whether it speaks for all of a module or class, and so for no single name."""
    likely: bool = False
    """Whether the name alone does not tell for sure, as for `close` of any object of a library."""

    def about(self, channels: Sequence[str] = ()) -> str:
        """Return what a call does, to which channels as far as they are known, and what to use where it is futile."""
        told = self.message
        if channels:
            others = len(channels) - 1
            told += f": {channels[0]}" + (f" and {others} other channel{'s' * (others > 1)}" if others else "")
        return f"{told}, {BETTER[self.effect]}" if self.futile and self.effect else told


@dataclass(frozen=True)
class Catalogue:
    """All rules, ready for look-up."""

    exact: Mapping[str, Rule] = field(default_factory=dict[str, Rule])
    """By path; an assignment by path and `=`."""
    deep: Mapping[tuple[str, str], Rule] = field(default_factory=dict[tuple[str, str], Rule])
    """By root and last name, for objects of a library however they were come by."""
    below: Mapping[str, Rule] = field(default_factory=dict[str, Rule])
    """By module or class: what everything of it does that has no rule of its own and is not quiet."""
    quiet: frozenset[str] = frozenset()
    """Names that do nothing to the world although what they belong to does; one that ends with `.**` speaks for all
    below it."""
    harmless: frozenset[str] = frozenset()
    """Roots of libraries that only compute, so that nothing needs to be said of them."""
    any_attribute: Mapping[str, Rule] = field(default_factory=dict[str, Rule])
    """By class: an assignment to any attribute."""
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    classes: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict[str, tuple[int | str, ...]])
    """Classes, with the arguments that name their channel."""
    components: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    """By path: what an attribute of an object is, and what stands after the object's channel in its own."""
    roots: frozenset[str] = frozenset()
    control: frozenset[str] = frozenset()
    """Roots of control-system libraries."""
    hints: frozenset[str] = frozenset()
    """Method names that speak of a write on an object that nobody can name."""
    bare: Mapping[str, str] = field(default_factory=dict[str, str])
    """Names so telling that they count without an import."""
    programs: Mapping[str, Rule] = field(default_factory=dict[str, Rule])
    """Commands of a shell, some with the word that tells what they do: `git`, `git push`."""
    models: Mapping[str, str] = field(default_factory=dict[str, str])
    """By path: which model of the analysis tells what a call does, as `unpickle` for `pickle.load`."""
    signatures: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """By path: the names of all arguments; one with `?` may be left out."""

    exports: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """By module: all names that it has."""

    def rule_ids(self) -> frozenset[str]:
        """Return the ids of all rules."""
        tables = (self.exact, self.deep, self.below, self.any_attribute, self.programs)
        return frozenset(rule.id for table in tables for rule in table.values())

    def rule(self, path: str, assign: str = "") -> Rule | None:
        """Return the rule for calling `path`, or with `assign` `=` for assigning to it."""
        found = self.exact.get(path + assign)
        if found is None and "." in path:
            root, _, rest = path.partition(".")
            if root in self.roots:
                last = rest.rpartition(".")[2]
                found = self.deep.get((root, last + assign))
                if found is None and assign:
                    found = self.any_attribute.get(path.rpartition(".")[0])
                elif found is None and self.below and path not in self.quiet:
                    found = self._below(path)
        return found

    def _below(self, path: str) -> Rule | None:
        """Return what everything below the longest listed part of `path` does."""
        while (path := path.rpartition(".")[0]) and f"{path}.**" not in self.quiet:
            if path in self.below:
                return self.below[path]
        return None

    def is_quiet(self, path: str) -> bool:
        """Return whether a name is part of what is listed as doing nothing to the world, whole."""
        while path := path.rpartition(".")[0]:
            if f"{path}.**" in self.quiet:
                return True
        return False

    def command(self, words: Sequence[str]) -> Rule | None:
        """Return the rule for a command: of the first word that tells what it does, else of the program alone."""
        name = words[0].rpartition("/")[2]
        told = (self.programs.get(f"{name} {word}") for word in words[1:_TELLING_WORDS])
        return next((rule for rule in told if rule is not None), None) or self.programs.get(name)

    def model(self, path: str) -> str:
        """Return the name of the model that tells what calling `path` does; empty: none."""
        owner, _, last = path.rpartition(".")
        found = self.models.get(path) or self.models.get(f"{owner}.**")
        root = owner.partition(".")[0]
        return found or self.models.get(f"{root}.**.{last}") or self.models.get(f"{root}.**", "")

    def component(self, path: str) -> tuple[str, str] | None:
        """Return what an attribute of an object is, and what stands after the object's channel in its own."""
        root, _, rest = path.partition(".")
        return self.components.get(path) or self.components.get(f"{root}.**.{rest.rpartition('.')[2]}")

    def knows(self, module: str) -> bool:
        """Return whether it is known what a module can do, be it nothing."""
        root = module.partition(".")[0]
        return root in self.roots or root in self.harmless or root in sys.stdlib_module_names

    def is_control(self, path: str) -> bool:
        """Return whether `path` is of a control-system library."""
        return path.partition(".")[0] in self.control

    def sounds_like_a_write(self, path: str) -> bool:
        """Return whether a name that no rule lists speaks of a write."""
        name = path.rpartition(".")[2]
        words = [word.lower() for word in _WORDS.findall(name)]
        lower = name.lower()
        return (
            any(word in _WRITING for word in words) or lower.startswith(("set", "put", "write")) or lower in _SWITCHES
        )


def empty_catalogue() -> Catalogue:
    """Return a catalogue that knows nothing."""
    return Catalogue()
