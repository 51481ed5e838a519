"""JSON files of a run folder: strict, in ASCII, and of any size."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any, cast

from osprey_executor.results import _files
from osprey_executor.text import one_line

_SMALL = 4000
"""Values, and as many characters sixteen times over, of which the text in memory does not matter."""


def write(path: Path, document: Any, *, mode: int = 0o600) -> _files.Kept:
    """Write strict JSON in ASCII.

    Raises:
        StorageError: it cannot be written.
    """
    if isinstance(document, dict) and _is_small(cast("dict[Any, Any]", document)):
        return _files.write(path, _small_json(cast("dict[str, Any]", document)).encode("ascii"), mode=mode)
    with _files.fresh(path, mode) as descriptor:
        # In pieces: as one text a large document would be in memory two or three times.
        raw = _Hashing(descriptor)
        with io.TextIOWrapper(io.BufferedWriter(raw, _files.PIECE), encoding="ascii", newline="") as file:
            json.dump(document, file, indent=1, allow_nan=False)
            file.write("\n")
    return _files.Kept(raw.size, raw.digest.hexdigest())


def read(path: Path, *, most_bytes: int) -> Any:
    """Return the document of a JSON file of the run folder.

    Raises:
        StorageError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(_files.read_blob(path, most_bytes=most_bytes))
    except (ValueError, RecursionError) as error:
        raise _files.damaged(path, f"it is not JSON ({one_line(str(error))})") from error


def _is_small(document: dict[Any, Any]) -> bool:
    if not all(isinstance(name, str) for name in document):
        return False
    left, waiting = _SMALL, list[Any]([document])
    while waiting and left > 0:
        value = waiting.pop()
        left -= 1
        if isinstance(value, str):
            left -= len(value) // 16
        elif isinstance(value, dict):
            left -= len(cast("dict[str, Any]", value))
            waiting += cast("dict[str, Any]", value).values()
        elif isinstance(value, list):
            waiting += cast("list[Any]", value)
    return left > 0


def _small_json(document: dict[str, Any]) -> str:
    """Return JSON with a line for each value of the document, and for each item of a list that is such a value.

    Python's own layout of lines takes several times as long as all else about a small file.
    """
    encode = json.JSONEncoder(allow_nan=False).encode

    def lines(value: Any) -> str:
        if not isinstance(value, list) or not value:
            return encode(value)
        return "[\n  " + ",\n  ".join(map(encode, cast("list[Any]", value))) + "\n ]"

    items = document.items()
    return "{\n " + ",\n ".join(f"{encode(name)}: {lines(value)}" for name, value in items) + "\n}\n"


class _Hashing(io.RawIOBase):
    """Writes to a descriptor, which stays open, and sums up what it wrote."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.digest, self.size = hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        written = os.write(self._descriptor, data)
        self.digest.update(memoryview(data)[:written])
        self.size += written
        return written
