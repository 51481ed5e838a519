"""Which values are secrets, and how they are kept out of print and record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from pydantic import SecretStr

MASK = "********"
_SECRET_WORDS = re.compile(r"(api)?key|tokens?|secrets?|passwords?|passwd|pwd|passphrases?|credentials?|authorization")
_COUNTED = {"max", "min", "input", "output", "total", "cached", "prompt", "completion", "used", "num", "n"}
"""In front of `tokens`, these say that it is a number of them."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\WA-Z_]+")


def is_secret_name(name: str) -> bool:
    """Tell whether a key of this name holds a secret: `api_key`, `accessToken`; not `max_tokens`."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or not _SECRET_WORDS.fullmatch(words[-1]):
        return False
    return not (words[-1] == "tokens" and len(words) > 1 and words[-2] in _COUNTED)


def sealed(value: Any) -> Any:
    """Return plain data in which every text under a secret's name is a `SecretStr`."""
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, Any]", value)
        return {key: _sealed_item(key, item) for key, item in mapping.items()}
    if isinstance(value, list | tuple):
        return [sealed(item) for item in cast("list[Any]", value)]
    return value


def unsealed(value: Any) -> Any:
    """Return plain data with every secret revealed: for the one who uses it, never for print."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {key: unsealed(item) for key, item in cast("Mapping[str, Any]", value).items()}
    return [unsealed(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


def _sealed_item(key: str, item: Any) -> Any:
    if is_secret_name(key) and isinstance(item, str):
        return SecretStr(str(item))
    return sealed(item)
