"""A configuration on its way from the file to the types: plain data that knows where each key stood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from osprey_executor.config._environment import Expanded
from osprey_executor.config._yaml import KeyPath
from osprey_executor.errors import ConfigurationError
from osprey_executor.text import one_line

Key = str | KeyPath
"""A key by its dotted path, or by its parts where a part may hold a dot."""
_ABSENT = object()


@dataclass
class Draft:
    """Plain data, mutable until the types take over."""

    label: str
    data: dict[str, Any]
    lines: Mapping[KeyPath, int] = field(default_factory=dict[KeyPath, int])
    origin: dict[KeyPath, KeyPath] = field(default_factory=dict[KeyPath, KeyPath])
    """Where in the file a key stood that stands elsewhere now."""
    warnings: list[str] = field(default_factory=list[str])

    def has(self, path: Key) -> bool:
        """Tell whether there is such a key."""
        return self._find(_split(path)) is not _ABSENT

    def get(self, path: Key, default: Any = None) -> Any:
        """Return the value of a key."""
        found = self._find(_split(path))
        return default if found is _ABSENT else found

    def section(self, path: Key) -> dict[str, Any]:
        """Return a mapping; an absent or empty one is empty.

        Raises:
            ConfigurationError: it is something else.
        """
        found: Any = self.data
        keys = _split(path)
        for depth, key in enumerate(keys, start=1):
            found = cast("dict[str, Any]", found).get(key)
            if found is None:
                return {}
            if not isinstance(found, dict):
                raise self.error(keys[:depth], "must be a mapping of keys, `name: ...`")
        return cast("dict[str, Any]", found)

    def take(self, path: Key) -> Any:
        """Return the value of a key and remove the key, and the mappings that are empty then; None if absent."""
        keys = _split(path)
        found = self._find(keys)
        if found is _ABSENT:
            return None
        for depth in range(len(keys), 0, -1):
            parent = self.data if depth == 1 else self._find(keys[: depth - 1])
            del parent[keys[depth - 1]]
            if parent or depth == 1:
                break
        return found

    def put(self, path: Key, value: Any, origin: Key | None = None) -> None:
        """Set a key; `origin` names the key of the file that it came from."""
        keys = _split(path)
        at = self.data
        for depth, key in enumerate(keys[:-1], start=1):
            if at.get(key) is None:
                at[key] = {}
            if not isinstance(at[key], dict):
                raise self.error(keys[:depth], "must be a mapping of keys, `name: ...`")
            at = at[key]
        at[keys[-1]] = value
        if origin is not None:
            self.origin[keys] = self.origin.get(_split(origin), _split(origin))

    def move(self, source: Key, target: Key) -> bool:
        """Give a key its name of today; tell whether there was such a key.

        Raises:
            ConfigurationError: both names are used and differ.
        """
        if not self.has(source):
            return False
        value = self.take(source)
        if value is None:
            return False
        if self.get(target) is None:
            self.put(target, value, source)
        elif self.get(target) != value:
            raise self.error(target, f"and {dotted(source)} say different things; keep {dotted(target)} only")
        return True

    def truth(self, path: Key, value: Any) -> bool:
        """Return a value as true or false.

        Raises:
            ConfigurationError: it is neither.
        """
        if isinstance(self.known(path, value), bool):
            return value
        word = value.strip().lower() if isinstance(value, str) else value
        if word in ("true", "yes", "on"):
            return True
        if word in ("false", "no", "off"):
            return False
        raise self.error(path, "must be true or false")

    def known(self, path: Key, value: Any) -> Any:
        """Return a value that is needed now.

        Raises:
            ConfigurationError: it refers to a variable that is not set.
        """
        if isinstance(value, Expanded) and value.unset:
            name = value.unset
            raise self.error(path, f"uses ${{{name}}}, which is not set: set {name}, or write ${{{name}:-default}}")
        return value

    def error(self, path: Key, what: str) -> ConfigurationError:
        """Make the error that names file, line and key."""
        return ConfigurationError(self.told(path, what))

    def told(self, path: Key, what: str) -> str:
        """Return `what` with file, line and key before it."""
        keys = _split(path) if isinstance(path, str) else path
        shown = self.origin.get(keys, keys)
        line = self._line(keys)
        where = f"{self.label} line {line}" if line else self.label
        return f"{where}: {dotted(shown)} {what}" if shown else f"{where}: {what}"

    def _line(self, keys: KeyPath) -> int | None:
        for depth in range(len(keys), 0, -1):
            here = self.origin.get(keys[:depth], keys[:depth])
            for path in (here, ("osprey", *here)):
                if path in self.lines:
                    return self.lines[path]
        return None

    def _find(self, keys: KeyPath) -> Any:
        at: Any = self.data
        for key in keys:
            if not isinstance(at, dict) or key not in at:
                return _ABSENT
            at = cast("dict[str, Any]", at)[key]
        return at


def dotted(path: Key) -> str:
    """Return a path as messages show it."""
    return path if isinstance(path, str) else one_line(".".join(path))


def _split(path: Key) -> KeyPath:
    return tuple(path.split(".")) if isinstance(path, str) else path
