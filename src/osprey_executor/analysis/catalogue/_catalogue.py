"""Reads the files of the catalogue and answers for a dotted path: what does calling or assigning it do?"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, cast

from osprey_executor.models import Effect, Severity

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
)

REACHES_NOTHING = "reaches nothing from the sandbox in this version"
_BETTER = {
    Effect.CONTROL_WRITE: f"which {REACHES_NOTHING}; use osprey_executor.runtime.write_channel",
    Effect.CONTROL_READ: f"which {REACHES_NOTHING}; use osprey_executor.runtime.read_channel",
}


@dataclass(frozen=True, slots=True)
class Rule:
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
    returns: str | None = None
    futile: bool = False
    """Whether it is a way to channels that does not lead out of the sandbox."""

    def about(self, channels: Sequence[str] = ()) -> str:
        """Return what a call does, to which channels as far as they are known, and what to use where it is futile."""
        told = self.message
        if channels:
            others = len(channels) - 1
            told += f": {channels[0]}" + (f" and {others} other channel{'s' * (others > 1)}" if others else "")
        return f"{told}, {_BETTER[self.effect]}" if self.futile and self.effect else told


@dataclass(frozen=True)
class Catalogue:
    """All rules, ready for look-up."""

    exact: Mapping[str, Rule] = field(default_factory=dict[str, Rule])
    """By path; an assignment by path and `=`."""
    deep: Mapping[tuple[str, str], Rule] = field(default_factory=dict[tuple[str, str], Rule])
    """By root and last name, for objects of a library however they were come by."""
    any_attribute: Mapping[str, Rule] = field(default_factory=dict[str, Rule])
    """By class: an assignment to any attribute."""
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    classes: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict[str, tuple[int | str, ...]])
    """Classes, with the arguments that name their channel."""
    roots: frozenset[str] = frozenset()
    control: frozenset[str] = frozenset()
    """Roots of control-system libraries."""
    hints: frozenset[str] = frozenset()
    """Method names that speak of a write on an object that nobody can name."""
    bare: Mapping[str, str] = field(default_factory=dict[str, str])
    """Names so telling that they count without an import."""
    programs: Mapping[str, Rule] = field(default_factory=dict[str, Rule])
    """Commands of a shell."""

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
        return found

    def is_control(self, path: str) -> bool:
        """Return whether `path` is of a control-system library."""
        return path.partition(".")[0] in self.control

    def sounds_like_a_write(self, path: str) -> bool:
        """Return whether a name that no rule lists speaks of a write."""
        last = path.rpartition(".")[2].lower()
        words = last.replace("__", "_").split("_")
        return any(word in _WRITING for word in words) or last.startswith(("set", "put", "write"))


def empty_catalogue() -> Catalogue:
    """Return a catalogue that knows nothing."""
    return Catalogue()


@cache
def builtin_catalogue() -> Catalogue:
    """Return the catalogue that this package ships."""
    folder = resources.files("osprey_executor.analysis.catalogue") / "data"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".toml")), key=lambda item: item.name)
    return _compiled((item.name.removesuffix(".toml"), tomllib.loads(item.read_text("utf-8"))) for item in files)


def _compiled(libraries: Iterable[tuple[str, dict[str, Any]]]) -> Catalogue:
    exact: dict[str, Rule] = {}
    deep: dict[tuple[str, str], Rule] = {}
    any_attribute: dict[str, Rule] = {}
    aliases: dict[str, str] = {}
    classes: dict[str, tuple[int | str, ...]] = {}
    roots: set[str] = set()
    control: set[str] = set()
    hints: set[str] = set()
    bare: dict[str, str] = {}
    programs: dict[str, Rule] = {}
    for name, library in libraries:
        modules: list[str] = library.get("modules", [])
        roots.update(modules)
        if library.get("control"):
            control.update(modules)
        aliases.update(library.get("aliases", {}))
        hints.update(library.get("hints", []))
        for path, channel in library.get("classes", {}).items():
            classes[path] = tuple(channel)
        for path in library.get("bare", []):
            bare[path.rpartition(".")[2]] = path
        for written in library.get("rule", []):
            entry: dict[str, Any] = {"reaches": library.get("reaches"), **written}
            for path in entry.get("names", []):
                rule = _rule(name, path, entry)
                root, _, last = path.partition(".**.")
                if last:
                    deep[root, last] = rule
                elif path.endswith(".*="):
                    any_attribute[path.removesuffix(".*=")] = rule
                else:
                    exact[path] = rule
            for program in entry.get("programs", []):
                programs[program] = _rule(name, program, entry)
    return Catalogue(
        exact,
        deep,
        any_attribute,
        aliases,
        classes,
        frozenset(roots),
        frozenset(control),
        frozenset(hints),
        bare,
        programs,
    )


_ROOMS = {
    Effect.CONTROL_WRITE: "control",
    Effect.CONTROL_READ: "control",
    Effect.FILE_WRITE: "file",
    Effect.PROCESS: "process",
    Effect.NETWORK: "network",
    Effect.DYNAMIC_CODE: "dynamic",
    Effect.OPAQUE: "opaque",
}


def _rule(library: str, path: str, entry: dict[str, Any]) -> Rule:
    effect = Effect(entry["effect"]) if entry.get("effect") else None
    last = path.rstrip("=").replace("[]", "item").rpartition(".")[2].replace("*", "attribute").lower()
    asks = effect in (Effect.CONTROL_WRITE, Effect.OPAQUE)
    severity = Severity(entry.get("severity", "warning" if asks else "info"))
    room = entry.get("room") or (_ROOMS[effect] if effect else "note")
    return Rule(
        id=f"{room}/{library}-{last}",
        effect=effect,
        severity=severity,
        message=entry["says"].replace("{name}", path.rstrip("=").replace(".**.", ".").rpartition(".")[2]),
        ask=bool(entry.get("ask", asks)),
        channel=_places(entry.get("channel")),
        value=_places(entry.get("value")),
        returns=entry.get("returns"),
        futile=effect in _BETTER and not entry.get("reaches", False),
    )


def _places(given: Any) -> tuple[int | str, ...] | str | None:
    return tuple(cast(list[int | str], given)) if isinstance(given, list) else given
