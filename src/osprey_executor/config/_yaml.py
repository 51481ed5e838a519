"""A strict reader of YAML: plain data and the line of every key, or one sentence that says what is wrong where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError

from osprey_executor.errors import ConfigurationError
from osprey_executor.text import one_line

MOST_BYTES = 2**20
# Aliases count as often as they are used, so a few lines that stand for billions of values end here.
_MOST_NODES = 20_000
_PLAIN = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_TAG = "holds a YAML tag that stands for more than plain data; write the plain value"

KeyPath = tuple[str, ...]


@dataclass(frozen=True)
class Document:
    """A file as it was read."""

    label: str
    """How messages name the file."""
    data: dict[str, Any]
    lines: Mapping[KeyPath, int] = field(default_factory=dict[KeyPath, int])
    """Line of each key, counted from 1."""


def read_document(path: Path) -> Document:
    """Read a YAML file whose top level is a mapping; an empty file is an empty mapping.

    Raises:
        ConfigurationError: the file cannot be read, is not YAML, or means two things at once.
    """
    return parse_document(_text_of(path), str(path))


def parse_document(text: str, label: str, *, most_values: int = _MOST_NODES) -> Document:
    """Parse the text of a configuration file; `label` names it in messages, `most_values` bounds what it may hold.

    Raises:
        ConfigurationError: see `read_document`.
    """
    loader = yaml.SafeLoader("")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            return Document(label, {})
        if not isinstance(root, yaml.MappingNode):
            raise _error(label, root, f"the top level is {_kind(root)}; it must be a mapping of sections, `name: ...`")
        walk = _Walk(label, loader, most_values)
        return Document(label, walk.mapping(root, ()), walk.lines)
    except yaml.MarkedYAMLError as error:
        raise ConfigurationError(_explain(label, text, error)) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigurationError(f"{label} line {line}: holds a control character; remove it") from None
    except RecursionError:
        raise ConfigurationError(f"{label}: is nested too deeply to be a configuration") from None
    finally:
        loader.dispose()  # pyright: ignore[reportUnknownMemberType]


@dataclass
class _Walk:
    label: str
    loader: yaml.SafeLoader
    most: int
    lines: dict[KeyPath, int] = field(default_factory=dict[KeyPath, int])
    seen: int = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.seen += 1
        if self.seen > self.most:
            raise _error(self.label, node, f"holds more than {self.most} values (aliases count each time)")
        if isinstance(node, yaml.CollectionNode) and node.tag not in _PLAIN:
            raise _error(self.label, node, _TAG)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items = cast("list[yaml.Node]", node.value)
            return [self.value(item, (*path, str(index))) for index, item in enumerate(items)]
        if node.tag == _TIMESTAMP:  # not JSON, and a configuration has no use for dates
            return str(node.value)
        try:
            value: Any = self.loader.construct_object(node)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        except (ValueError, OverflowError, LookupError):  # what PyYAML lets through of `!!int x`, or of too many digits
            raise _error(self.label, node, f"{one_line(str(node.value), 40)!r} is not {_tag(node)}") from None
        return value if isinstance(value, bool | int | float | str | None) else str(node.value)

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            if not isinstance(key, yaml.ScalarNode):
                raise _error(self.label, key, f"a key is {_kind(key)}; keys are words")
            name = str(key.value)
            if key.tag == "tag:yaml.org,2002:merge":
                merged = {**self._bases(value, path), **merged}
                continue
            here = (*path, name)
            if name in own:
                first = self.lines[here]
                raise _error(self.label, key, f"{one_line('.'.join(here))} stands twice, first in line {first}")
            self.lines[here] = key.start_mark.line + 1
            own[name] = self.value(value, here)
        return {**merged, **own}

    def _bases(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        nodes = cast("list[yaml.Node]", node.value) if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Any] = {}
        for base in nodes:
            if not isinstance(base, yaml.MappingNode):
                raise _error(self.label, base, f"`<<` merges {_kind(base)}; it can merge mappings only")
            self.seen += 1
            found = {**self.mapping(base, path), **found}
        return found


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: no such file; write one with `osprey-executor config init` or name another one"
        ) from None
    except IsADirectoryError:
        raise ConfigurationError(f"{path}: is a folder; name the file in it, such as {path / 'config.yml'}") from None
    except PermissionError:
        raise ConfigurationError(f"{path}: may not be read by this user; change its permissions") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > MOST_BYTES:
        raise ConfigurationError(f"{path}: is larger than 1 MiB, so it is not a configuration file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not a text file in UTF-8; save it as UTF-8 YAML") from None
    if "\0" in text:
        raise ConfigurationError(f"{path}: is a binary file, not YAML")
    return text


def _explain(label: str, text: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    source = text.splitlines()[line - 1] if 0 < line <= len(text.splitlines()) else ""
    if isinstance(error, ConstructorError):
        return f"{label} line {line}: {_TAG}"
    if "\t" in source[: len(source) - len(source.lstrip())]:
        return f"{label} line {line}: is indented with a tab; YAML wants spaces"
    problem = one_line(error.problem or "is not valid YAML")
    return f"{label} line {line}: is not valid YAML: {problem}"


def _error(label: str, node: yaml.Node, what: str) -> ConfigurationError:
    return ConfigurationError(f"{label} line {node.start_mark.line + 1}: {what}")


def _tag(node: yaml.Node) -> str:
    return f"a value of the YAML type {one_line(str(node.tag).rpartition(':')[2], 40)}"


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "a mapping" if isinstance(node, yaml.MappingNode) else "a single value"
