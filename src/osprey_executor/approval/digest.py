"""One digest over all that an approval binds: SHA-256 of canonical JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast


def digest_of(parts: Mapping[str, Any]) -> str:
    """Return the SHA-256, in lower-case hexadecimal, of `parts` in canonical form.

    Canonical: keys sorted, no white space, ASCII. Text is taken code point by code point, without normalisation, since
    Python runs it that way. Lists, floats and bytes are tagged, so that no two different values are written alike.

    Raises:
        TypeError: a value is of a type that has no canonical form.
    """
    return hashlib.sha256(canonical(parts)).hexdigest()


def canonical(parts: Mapping[str, Any]) -> bytes:
    """Return the canonical form that is hashed and signed.

    Raises:
        TypeError: a value is of a type that has no canonical form.
    """
    text = json.dumps(_plain(parts), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii")


def _plain(value: object) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return ["float", value.hex()]
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    if isinstance(value, Mapping):
        items = cast(Mapping[Any, object], value)
        if not all(isinstance(key, str) for key in items):
            raise TypeError("keys of what is approved must be text")
        return {key: _plain(item) for key, item in items.items()}
    if isinstance(value, Sequence):
        return ["list", *(_plain(item) for item in cast(Sequence[object], value))]
    raise TypeError(f"{type(value).__name__} has no canonical form: turn it into text, numbers, lists and mappings")
