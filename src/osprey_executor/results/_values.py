"""Values on disk: the codec's document as JSON, its blobs as files beside it, each with its SHA-256."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from osprey_executor.errors import ResultsError
from osprey_executor.models import Limits, show_size
from osprey_executor.results import _files, _json_files
from osprey_executor.results.decoder import decode
from osprey_executor.results.encoder import encode

MOST_BYTES = 4 * 2**30
"""Of one set of values; an engine lets through far less, unless a site raises `limits.results`."""

_SUFFIXES = ((b"\x93NUMPY", ".npy"), (b"ARROW1", ".arrow"), (b"PAR1", ".parquet"))
_BLOB_NAME = re.compile(r"[0-9]{4,}\.(npy|arrow|parquet|bin)")


class _Blob(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    size: Annotated[int, Field(ge=0)]
    sha256: str


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    document: Any
    blobs: tuple[_Blob, ...] = ()


def save_values(path: Path, values: Mapping[str, Any], *, most_bytes: int = MOST_BYTES) -> None:
    """Write `values` to `path` (`name.json`) and their blobs to the folder `name.blobs` beside it.

    Raises:
        ResultsError: they cannot be encoded, or are larger than `most_bytes`.
        StorageError: they cannot be written.
    """
    document, blobs = encode(dict(values))
    size = sum(len(blob) for blob in blobs)
    if size > most_bytes:
        raise ResultsError(
            f"{path.stem} hold {show_size(size)}, more than the {show_size(most_bytes)} that a record keeps: "
            "leave large data as a file instead"
        )
    folder = path.with_suffix(".blobs")
    _files.remove_tree(folder)
    kept: list[dict[str, Any]] = []
    for number, blob in enumerate(blobs):
        suffix = next((suffix for magic, suffix in _SUFFIXES if bytes(blob[: len(magic)]) == magic), ".bin")
        name = f"{number:04d}{suffix}"
        written = _files.write(folder / name, blob, mode=0o400)
        kept.append({"file": name, "size": written.size, "sha256": written.sha256})
    _json_files.write(path, {"format": 1, "document": document, "blobs": kept}, mode=0o400)


def load_values(path: Path, *, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Return the values that `save_values` wrote.

    Raises:
        StorageError: a file is missing, unreadable, too large or not what was written; the message names it.
    """
    try:
        stored = _Stored.model_validate(_json_files.read(path, most_bytes=most_bytes))
    except ValidationError as error:
        raise _files.damaged(path, "it is not a record of values") from error
    blobs: list[bytearray] = []
    for blob in stored.blobs:
        file = path.with_suffix(".blobs") / blob.file
        if not _BLOB_NAME.fullmatch(blob.file):
            raise _files.damaged(path, "it names a blob outside its folder")
        data = _files.read_blob(file, most_bytes=most_bytes)
        if hashlib.sha256(data).hexdigest() != blob.sha256:
            raise _files.damaged(file, "it is not what was written")
        blobs.append(data)
    try:
        values = decode(stored.document, blobs, limits=Limits(results=most_bytes))
    except ResultsError as error:
        raise _files.damaged(path, str(error)) from error
    if not isinstance(values, dict):
        raise _files.damaged(path, "it holds no named values")
    return cast(dict[str, Any], values)


def share_values(source: Path, target: Path) -> None:
    """Give stored values a second name.

    Raises:
        StorageError: they cannot be shared.
    """
    here, there = source.with_suffix(".blobs"), target.with_suffix(".blobs")
    _files.remove_tree(there)
    try:
        blobs = sorted(here.iterdir()) if here.is_dir() else []
    except OSError as error:
        raise _files.storage_error(here, "read", error) from error
    for blob in blobs:
        _files.share(blob, there / blob.name)
    _files.share(source, target)
