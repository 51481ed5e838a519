"""`${NAME}` and `${NAME:-default}`, expanded after parsing: a value never changes the structure of a file."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream

from osprey_executor.errors import ConfigurationError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_BYTES = 2**18


class Expanded(str):
    """Text that came from the environment; it remembers how it was written."""

    __slots__ = ("raw", "unset")

    raw: str
    """As written, references unexpanded."""
    unset: str | None
    """The first variable that is not set and has no default; the text is then empty."""

    def __new__(cls, text: str, raw: str, unset: str | None = None) -> Expanded:
        """Make the expanded text; `raw` and `unset` are kept beside it."""
        made = super().__new__(cls, text)
        made.raw = raw
        made.unset = unset
        return made


class BadReference(ValueError):
    """A `${` that is no reference."""


def expand(value: Any, variables: Mapping[str, str]) -> Any:
    """Return a value with its references expanded if it is text that has some; `$${` stands for a literal `${`.

    Raises:
        BadReference: a reference has no closing brace or no name.
    """
    return expand_text(value, variables) if isinstance(value, str) and "${" in value else value


def expand_text(text: str, variables: Mapping[str, str]) -> Expanded:
    """Return one text with its references expanded.

    Raises:
        BadReference: see `expand`.
    """
    out: list[str] = []
    unset: str | None = None
    at = 0
    while (start := text.find("${", at)) >= 0:
        if start and text[start - 1] == "$":
            out += [text[at : start - 1], "${"]
            at = start + 2
            continue
        out.append(text[at:start])
        end = _closing(text, start)
        found, missing = _resolve(text[start + 2 : end], variables)
        out.append(found)
        unset = unset or missing
        at = end + 1
    out.append(text[at:])
    return Expanded("" if unset else "".join(out), text, unset)


def variables_for(folder: Path | None, environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the environment over what `.env` in `folder` says, and warnings about lines of `.env` that say nothing.

    Raises:
        ConfigurationError: there is a `.env` that cannot be read.
    """
    if folder is None:
        return dict(environ), []
    path = folder / ".env"
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return dict(environ), []
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error.strerror}; mend its permissions or remove it"
        ) from None
    if len(raw) > _MOST_BYTES:
        raise ConfigurationError(f"{path}: is larger than 256 KiB, so it is not a file of variables")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not a text file in UTF-8; write one NAME=value a line") from None
    found: dict[str, str] = {}
    warnings: list[str] = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            warnings.append(f"{path} line {binding.original.line}: is not NAME=value and was left out")
        elif binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value
    return {**found, **environ}, warnings


def _closing(text: str, start: int) -> int:
    depth = 0
    at = start
    while at < len(text):
        if text.startswith("${", at):
            depth += 1
            at += 2
            continue
        if text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise BadReference("`${` has no closing `}`; write ${NAME}, or $${ for a literal ${")


def _resolve(inside: str, variables: Mapping[str, str]) -> tuple[str, str | None]:
    name, mark, default = inside.partition(":-")
    if not _NAME.fullmatch(name):
        raise BadReference("`${...}` does not hold the name of a variable; write ${NAME} or ${NAME:-default}")
    value = variables.get(name)
    if mark:
        if value:
            return value, None
        nested = expand_text(default, variables)
        return str(nested), nested.unset
    return ("", name) if value is None else (value, None)
