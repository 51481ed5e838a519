"""Makes one catalogue of the files of many libraries; a later file extends the earlier ones and never replaces them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar, cast

from osprey_executor.analysis.catalogue._catalogue import BETTER, Catalogue, Rule
from osprey_executor.models import Effect, Severity

_ROOMS = {
    Effect.CONTROL_WRITE: "control",
    Effect.CONTROL_READ: "control",
    Effect.FILE_READ: "file",
    Effect.FILE_WRITE: "file",
    Effect.FILE_DELETE: "file",
    Effect.SECRET: "secret",
    Effect.PROCESS: "process",
    Effect.NETWORK: "network",
    Effect.RESOURCE: "resource",
    Effect.INTERPRETER: "interpreter",
    Effect.DYNAMIC_CODE: "dynamic",
    Effect.OPAQUE: "opaque",
}
_LIBRARY_KEYS = frozenset(
    (
        *(
            "modules",
            "control",
            "reaches",
            "bare",
            "hints",
            "aliases",
            "classes",
            "components",
            "exports",
            "rule",
            "signatures",
        ),
        *("quiet", "harmless"),
    )
)
_RULE_KEYS = frozenset(
    (
        *(
            "effect",
            "severity",
            "room",
            "ask",
            "likely",
            "use",
            "also",
            "names",
            "programs",
            "channel",
            "value",
            "returns",
            "says",
        ),
        *("model", "reaches", "part", "joint", "suffix", "named", "pairs", "reads", "path"),
    )
)
_Key = TypeVar("_Key")


def compiled(libraries: Iterable[tuple[str, Mapping[str, Any]]]) -> Catalogue:
    """Return the catalogue of libraries, each a name and the content of its file.

    Raises:
        ValueError: a file holds something else than a catalogue.
    """
    made = _Making()
    for name, library in libraries:
        try:
            made.add(name, library)
        except (TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"{name}: is not a catalogue: {error}") from error
    return made.catalogue()


class _Making:
    """A catalogue while it is made."""

    def __init__(self) -> None:
        self.exact: dict[str, Rule] = {}
        self.deep: dict[tuple[str, str], Rule] = {}
        self.below: dict[str, Rule] = {}
        self.quiet: set[str] = set()
        self.harmless: set[str] = set()
        self._earlier: tuple[dict[tuple[str, str], Rule], dict[str, Rule]] = {}, {}
        """What the files before the present one said of many names at once."""
        self.any_attribute: dict[str, Rule] = {}
        self.programs: dict[str, Rule] = {}
        self.aliases: dict[str, str] = {}
        self.classes: dict[str, tuple[int | str, ...]] = {}
        self.components: dict[str, tuple[str, str]] = {}
        self.exports: dict[str, tuple[str, ...]] = {}
        self.models: dict[str, str] = {}
        self.signatures: dict[str, tuple[str, ...]] = {}
        self.bare: dict[str, str] = {}
        self.roots: set[str] = set()
        self.control: set[str] = set()
        self.hints: set[str] = set()

    def add(self, name: str, library: Mapping[str, Any]) -> None:
        _known(name, library, _LIBRARY_KEYS)
        self._earlier = dict(self.deep), dict(self.below)
        modules: list[str] = _texts(name, "modules", library.get("modules", []))
        for old, new in library.get("aliases", {}).items():
            if old.partition(".")[0] in self.control - set(modules) and self.aliases.get(old, new) == new != old:
                raise ValueError(f"{name}: the alias {old} would take names from a library that is already listed")
            self.aliases.setdefault(old, new)
        self.roots.update(modules)
        if library.get("control"):
            self.control.update(modules)
        self.hints.update(_texts(name, "hints", library.get("hints", [])))
        for path in _texts(name, "quiet", library.get("quiet", [])):
            if _part_of(path, self.below):
                raise ValueError(f"{name}: quiet {path} would silence what is already listed")
            self.quiet.add(path)
        self.harmless.update(_texts(name, "harmless", library.get("harmless", [])))
        for path, channel in library.get("classes", {}).items():
            self.classes.setdefault(path, tuple(channel))
        for path, names in library.get("exports", {}).items():
            self.exports[path] = (*self.exports.get(path, ()), *names)
        for path, (kind, suffix) in library.get("components", {}).items():
            self.components.setdefault(path, (str(kind), str(suffix)))
        for path, arguments in library.get("signatures", {}).items():
            self.signatures.setdefault(path, tuple(arguments))
        for path in library.get("bare", []):
            self.bare.setdefault(path.rpartition(".")[2], path)
        for written in library.get("rule", []):
            _known(f"{name}: a rule", written, _RULE_KEYS)
            if not written.get("says"):
                raise ValueError(f"{name}: a rule lacks `says`, the words for a person")
            self._rule(name, {"reaches": library.get("reaches"), **written})

    def _rule(self, name: str, entry: dict[str, Any]) -> None:
        rule_of = _rules(name, entry)
        for path in _texts(name, "names", entry.get("names", [])):
            if entry.get("model"):
                self.models.setdefault(path, str(entry["model"]))
                if not entry.get("effect"):
                    continue
            rule = rule_of(path)
            root, _, last = path.partition(".**.")
            if path.endswith(".**"):
                _keep(self.below, path.removesuffix(".**"), rule)
                self.roots.add(path.partition(".")[0])
            elif last:
                _keep(self.deep, (root, last), rule)
                self.roots.add(root)
            elif path.endswith(".*="):
                _keep(self.any_attribute, path.removesuffix(".*="), rule)
            else:
                general = self._general(path) if path not in self.exact else None
                _keep(self.exact, path, rule)
                if general is not None:  # what an earlier file says of all such names holds for this one too
                    _keep(self.exact, path, general)
        for program in _texts(name, "programs", entry.get("programs", [])):
            _keep(self.programs, program, rule_of(program))

    def _general(self, path: str) -> Rule | None:
        deep, below = self._earlier
        root, last = path.partition(".")[0], path.rpartition(".")[2]
        while (root, last) not in deep and (path := path.rpartition(".")[0]):
            if path in below:
                return below[path]
        return deep.get((root, last))

    def catalogue(self) -> Catalogue:
        return Catalogue(
            exact=self.exact,
            deep=self.deep,
            below=self.below,
            quiet=frozenset(self.quiet),
            harmless=frozenset(self.harmless - self.roots),
            any_attribute=self.any_attribute,
            aliases=self.aliases,
            classes=self.classes,
            components=self.components,
            exports=self.exports,
            roots=frozenset(self.roots),
            control=frozenset(self.control),
            hints=frozenset(self.hints),
            bare=self.bare,
            programs=self.programs,
            models=self.models,
            signatures=self.signatures,
        )


def _part_of(path: str, listed: Collection[str]) -> bool:
    while path := path.rpartition(".")[0]:
        if path in listed:
            return True
    return False


def _keep(rules: dict[_Key, Rule], key: _Key, rule: Rule) -> None:
    """Add a rule; of two for one name the one that asks stays and does both, so that an extension only adds."""
    before = rules.get(key)
    if before is None:
        rules[key] = rule
        return
    kept, other = (rule, before) if rule.ask and not before.ask else (before, rule)
    more = {other.effect, *other.also} - {None, kept.effect, *kept.also}
    rules[key] = kept._replace(also=(*kept.also, *sorted(effect for effect in more if effect))) if more else kept


def _known(name: str, given: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(f"{name}: there is no key {unknown[0]}; there are {', '.join(sorted(known))}")


def _texts(name: str, key: str, given: object) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(item, str) for item in cast("list[object]", given)):
        raise ValueError(f"{name}: {key} must be a list of names")
    return cast("list[str]", given)


def _effects(library: str, given: str | list[str]) -> tuple[Effect, ...]:
    return tuple(_effect(library, text) for text in ([given] if isinstance(given, str) else given))


def _effect(library: str, text: str) -> Effect:
    try:
        return Effect(text)
    except ValueError:
        raise ValueError(f"{library}: there is no effect {text}; there are {', '.join(Effect)}") from None


def _rules(library: str, entry: dict[str, Any]) -> Callable[[str], Rule]:
    """Return what makes the rule for a name of one entry; what all of its names share is made once."""
    effect = _effect(library, entry["effect"]) if entry.get("effect") else None
    asks = effect in (Effect.CONTROL_WRITE, Effect.OPAQUE)
    room = entry.get("room") or (_ROOMS[effect] if effect else "note")
    shared = Rule(
        id="",
        effect=effect,
        severity=Severity(entry.get("severity", "warning" if asks else "info")),
        message=str(entry["says"]),
        ask=bool(entry.get("ask", asks)),
        channel=_places(entry.get("channel")),
        value=_places(entry.get("value")),
        part=_places(entry.get("part")),
        path=_places(entry.get("path")),
        joint=str(entry.get("joint", "")),
        suffix=str(entry.get("suffix", "")),
        named=str(entry.get("named", "")),
        pairs=bool(entry.get("pairs", False)),
        reads=frozenset(_texts(library, "reads", entry.get("reads", []))),
        returns=entry.get("returns"),
        futile=effect in BETTER and entry.get("reaches") is False,
        likely=bool(entry.get("likely", False)),
        also=_effects(library, entry.get("also", [])),
        use=bool(entry.get("use", False)),
    )

    def rule(path: str) -> Rule:
        whole = path.endswith(".**")
        path = path.removesuffix(".**").rstrip("=").replace(".**.", ".")
        last = path if entry.get("programs") else path.rpartition(".")[2]
        shown = last.replace("[]", "item").replace("*", "attribute").replace(" ", "-").lower()
        return shared._replace(
            id=f"{room}/{library}-{shown}",
            message=shared.message.replace("{name}", path if whole else last),
            suffix=shared.suffix.replace("{name}", last),
            whole=whole,
            likely=bool(entry.get("likely", whole)),
        )

    return rule


def _places(given: Any) -> tuple[int | str, ...] | str | None:
    return tuple(cast("list[int | str]", given)) if isinstance(given, list) else given
