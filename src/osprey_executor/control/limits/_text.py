"""The file of limits as plain data that knows its lines: YAML or JSON, each key once, of bounded size."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from osprey_executor.config import parse_document
from osprey_executor.errors import ConfigurationError
from osprey_executor.text import one_line

_MOST_BYTES = 8 * 2**20
_MOST_VALUES = 500_000
KeyPath = tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """Plain data and where each key stands."""

    label: str
    data: dict[str, Any]
    line_of: Callable[[KeyPath], int | None]

    def told(self, path: KeyPath, what: str) -> str:
        """Return `what` with file, line and key before it."""
        line = self.line_of(path)
        where = f"{self.label} line {line}" if line else self.label
        return f"{where}: {one_line('.'.join(path))} {what}" if path else f"{where}: {what}"


def bytes_of(path: Path) -> bytes:
    """Return the content of the file.

    Raises:
        ConfigurationError: it cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file; name the limits database, or create it") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > _MOST_BYTES:
        raise ConfigurationError(f"{path}: is larger than {_MOST_BYTES // 2**20} MiB, too large for a limits database")
    return raw


def parse(raw: bytes, path: Path) -> Source:
    """Parse the content; a name that ends in `.json` is JSON, any other YAML.

    Raises:
        ConfigurationError: it is neither, or a key stands twice.
    """
    label = str(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{label}: is not a text file in UTF-8") from None
    if path.suffix.lower() == ".json":
        return Source(label, _json(text, label), lambda keys: _line_in_json(text, keys))
    document = parse_document(text, label, most_values=_MOST_VALUES)
    return Source(label, document.data, lambda keys: _nearest(document.lines, keys))


def _json(text: str, label: str) -> dict[str, Any]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in items:
            if key in found:
                line = text.count("\n", 0, text.rfind(json.dumps(key, ensure_ascii=False))) + 1
                raise ConfigurationError(f"{label} line {line}: {one_line(key)} stands twice in one object")
            found[key] = value
        return found

    def constant(word: str) -> NoReturn:
        raise ConfigurationError(f"{label}: holds {word}, which is no JSON and no limit; write a finite number")

    try:
        data = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{label} line {error.lineno}: is not valid JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"{label}: holds a number or a nesting that is too large") from None
    if not isinstance(data, dict):
        raise ConfigurationError(f"{label}: the top level must be an object of channels")
    return data  # pyright: ignore[reportUnknownVariableType]


def _line_in_json(text: str, keys: KeyPath) -> int | None:
    """Look each key up behind the one before it: no parser of the standard library tells where a key stood."""
    at, found = 0, None
    for key in keys:
        match = re.compile(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:").search(text, at)
        if match is None:
            break
        at, found = match.end(), text.count("\n", 0, match.start()) + 1
    return found


def _nearest(lines: Any, keys: KeyPath) -> int | None:
    return next((lines[keys[:depth]] for depth in range(len(keys), 0, -1) if keys[:depth] in lines), None)
