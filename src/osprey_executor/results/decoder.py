"""Values that left a sandbox, rebuilt without trust. A document can be a lie; it can never be code.

Every blob is used at most once and every size is checked against the bytes that are there, so a document cannot ask for
more memory than a small multiple of its own size. Nothing is compressed, nothing is unpickled.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from importlib import import_module
from typing import Any, NoReturn, cast

from osprey_executor.errors import ResultsError
from osprey_executor.models.limits import Limits, show_size
from osprey_executor.results._claims import FrameClaim
from osprey_executor.results._decode_plain import PLAIN, Parts
from osprey_executor.results._npy import Blob

MOST_DOCUMENT = 8 * 2**20
"""Largest document, in bytes of JSON."""
_MOST_CONTAINERS = 300_000
_DEEPEST = 250
_LONGEST_INT = 20
_MOST_SAME_HASH = 50
_MOST_LISTED = 2_000_000
"""Elements of all lists that travel as blobs: as Python objects they take up to ten times their bytes."""
_BULK = frozenset({"floats", "ints", "strings"})
_NESTED = frozenset({list, dict})
_NUMPY = frozenset({"ndarray", "objects", "scalar", "masked"})


def parse_document(raw: bytes | bytearray | memoryview) -> Any:
    """Return the document that the JSON text `raw` spells, not decoded yet.

    Raises:
        ResultsError: it is not strict JSON, or beyond 8 MiB or 300 000 brackets.
    """
    data = bytes(raw)
    if len(data) > MOST_DOCUMENT:
        raise ResultsError(f"the values take {show_size(len(data))} as JSON; at most {show_size(MOST_DOCUMENT)} fit")
    if data.count(b"[") + data.count(b"{") > _MOST_CONTAINERS:
        raise ResultsError(
            f"the values are more than {_MOST_CONTAINERS} nested lists and dicts: hand over arrays or a table instead"
        )
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_not_json, parse_int=_short_int)
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"the values are not the JSON that they must be: {error!s:.200}") from None


def decode(document: Any, blobs: Sequence[Blob], *, limits: Limits | None = None) -> Any:
    """Return the value of a parsed document and its blobs.

    Arrays in blobs that are bytearrays are not copied: they live on in them. Without numpy an array becomes an
    `ArrayClaim`, without pandas a table becomes a `FrameClaim`; what the code could not encode is an `OpaqueClaim`.

    Raises:
        ResultsError: the document is malformed, lies about a size, or passes `limits.results`; nothing else is raised.
    """
    size = sum(len(blob) for blob in blobs)
    most = (limits or Limits()).results
    if size > most:
        raise ResultsError(f"the values take {show_size(size)}; limits.results allows {show_size(most)}")
    try:
        return _Decoder(blobs).value(document, 0)
    except ResultsError:
        raise
    except RecursionError:
        raise ResultsError("the values are nested too deep") from None
    except Exception as error:
        raise ResultsError(f"the values cannot be rebuilt: {type(error).__name__}: {error!s:.300}") from None


def decode_results(raw: bytes | bytearray | memoryview, blobs: Sequence[Blob], *, limits: Limits) -> dict[str, Any]:
    """Return `results` from the JSON text of their document and their blobs.

    Raises:
        ResultsError: as `decode`, or they are not a dict whose names are text.
    """
    size = len(raw) + sum(len(blob) for blob in blobs)
    if size > limits.results:
        raise ResultsError(f"the results take {show_size(size)}; limits.results allows {show_size(limits.results)}")
    value = decode(parse_document(raw), blobs, limits=limits)
    if not isinstance(value, dict):
        raise ResultsError("`results` is not a dict")
    results = cast(dict[Any, Any], value)
    for name in results:
        if type(name) is not str or name.encode("utf-8", "replace").decode() != name:
            raise ResultsError(f"{name!r:.100} is not a name of a result: names are text")
    return results


class _Decoder:
    def __init__(self, blobs: Sequence[Blob]) -> None:
        self._blobs: list[Blob | None] = list(blobs)
        self._listed = 0

    def value(self, document: Any, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ResultsError(f"the values are nested more than {_DEEPEST} deep")
        if isinstance(document, list):
            items = cast(list[Any], document)
            return [self.value(item, depth + 1) if type(item) in _NESTED else item for item in items]
        if not isinstance(document, dict):
            return document
        fields = cast(dict[str, Any], document)
        if "$type" not in fields:
            return {key: self.value(item, depth + 1) for key, item in fields.items()}
        return self._tagged(fields, depth + 1)

    def _tagged(self, fields: dict[str, Any], depth: int) -> Any:
        kind = fields["$type"]
        if not isinstance(kind, str):
            raise ResultsError(f"{kind!r:.100} is not a kind of value")
        parts = Parts(kind, {key: self.value(item, depth) for key, item in fields.items() if key != "$type"})
        if "blob" in fields:
            parts.blob = self._take(fields["blob"])
        if kind in _BULK:
            self._count(kind, parts.data())
        if kind in ("set", "frozenset"):
            return (set if kind == "set" else frozenset)(_fair(parts.items("items")))
        if kind == "dict":
            pairs = parts.items("items")
            if not all(isinstance(pair, list) and len(cast(list[Any], pair)) == 2 for pair in pairs):
                raise ResultsError("the items of a dict are not pairs")
            _fair([pair[0] for pair in pairs])
            return dict(pairs)
        build: Callable[[Parts], Any] | None = PLAIN.get(kind)
        if build is None:
            build = _science(kind)
        return build(parts)

    def _count(self, kind: str, blob: Blob) -> None:
        told = int.from_bytes(bytes(blob[:8]), "little") if kind == "strings" else len(blob) // 8
        self._listed += min(told, len(blob) // 4)
        if self._listed > _MOST_LISTED:
            raise ResultsError(f"lists of the values hold more than {_MOST_LISTED} elements: hand over arrays instead")

    def _take(self, index: Any) -> Blob:
        if type(index) is not int or not 0 <= index < len(self._blobs):
            raise ResultsError(f"there is no blob {index!r:.50}")
        blob, self._blobs[index] = self._blobs[index], None
        if blob is None:
            raise ResultsError(f"blob {index} is used twice")
        return blob


def _science(kind: str) -> Callable[[Parts], Any]:
    if kind in _NUMPY:
        from osprey_executor.results._decode_arrays import ARRAYS

        return ARRAYS[kind]
    from osprey_executor.results._decode_frames import FRAMES

    build = FRAMES.get(kind)
    if build is None:
        raise ResultsError(f"{kind!r:.100} is not a kind of value")
    try:
        import_module("pandas")
    except ImportError:
        return lambda parts: FrameClaim(kind, parts.fields)
    return build


def _fair(keys: list[Any]) -> list[Any]:
    """Refuse keys that were chosen to collide: a dict of them would take hours to make.

    Raises:
        ResultsError: a key is not hashable, or too many have the same hash.
    """
    try:
        counts = Counter([hash(cast(Hashable, key)) for key in keys])
    except TypeError:
        raise ResultsError("a key of a dict or a member of a set is not hashable") from None
    if counts and max(counts.values()) > _MOST_SAME_HASH:
        raise ResultsError("the keys of a dict or the members of a set were chosen to have the same hash")
    return keys


def _not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _short_int(digits: str) -> int:
    if len(digits) > _LONGEST_INT:
        raise ValueError("a number is too long")
    return int(digits)
