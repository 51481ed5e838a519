"""One record of the trail as a line, and what signs a head."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from osprey_executor.keys import state_key

TRAIL = "audit.jsonl"
HEAD = "audit.head"
NOTHING = "0" * 64
"""What the first record names as the one before it."""
_LONGEST_TEXT = 1000
_MOST_ITEMS = 200


def line_of(record: Mapping[str, Any]) -> bytes:
    """Return a record as one line of ASCII, without its end."""
    return json.dumps(bounded(record), sort_keys=False, allow_nan=False, separators=(",", ":")).encode("ascii")


def hash_of(line: bytes) -> str:
    """Return what the next record names, and a head: SHA-256 of a line without its end."""
    return hashlib.sha256(line).hexdigest()


def read_record(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line; None: it is none."""
    try:
        record: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", record) if isinstance(record, dict) else None


def bounded(value: Any) -> Any:
    """Return a value that no text and no list in it makes large; what was left out is said."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else f"{value[:_LONGEST_TEXT]}… ({len(value)} characters)"
    if isinstance(value, Mapping):
        return {str(key): bounded(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = list(cast("list[Any]", value))
        more = [f"… and {len(items) - _MOST_ITEMS} more"] if len(items) > _MOST_ITEMS else []
        return [*(bounded(item) for item in items[:_MOST_ITEMS]), *more]
    return value if value is None or isinstance(value, bool | int) else str(value)


def signed(head: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """Return a head with its signature."""
    return {**head, "signature": _signature(head, key)}


def is_signed(head: Mapping[str, Any], key: bytes) -> bool:
    """Tell whether a head carries the signature of a key."""
    rest = {name: value for name, value in head.items() if name != "signature"}
    return hmac.compare_digest(_signature(rest, key).encode(), str(head.get("signature")).encode("ascii", "replace"))


def _signature(head: Mapping[str, Any], key: bytes) -> str:
    text = json.dumps(head, sort_keys=True, separators=(",", ":")).encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def audit_key(home: Path) -> bytes:
    """Return the key of a state folder that signs heads, and nothing else.

    Raises:
        StorageError: it cannot be made or read.
    """
    return state_key(home, "audit.key", "audit key")
