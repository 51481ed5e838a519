"""Inputs of a run: copied once, at submission, so that what was approved is what is mounted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from osprey_executor.errors import InvalidRequestError
from osprey_executor.models import show_size
from osprey_executor.results import _files
from osprey_executor.results._files import Kept
from osprey_executor.text import one_line

MOST_BYTES = 2**30
"""Of all inputs together."""


def keep_inputs(folder: Path, inputs: Mapping[str, Path | bytes], *, most_bytes: int = MOST_BYTES) -> dict[str, Kept]:
    """Copy the inputs into `folder`, read-only, and return the size and SHA-256 of each.

    Raises:
        InvalidRequestError: an input cannot be read, is a folder, FIFO or device, or they are too large together.
        StorageError: they cannot be written.
    """
    kept: dict[str, Kept] = {}
    left = most_bytes
    for name, source in inputs.items():
        target = folder / name
        if len(name.encode("utf-8", "replace")) > 255:
            raise InvalidRequestError(f"the name of input {one_line(name, 60)!r} is longer than 255 bytes")
        if isinstance(source, bytes):
            if len(source) > left:
                raise _too_much(name, most_bytes)
            kept[name] = _files.write(target, source, mode=0o400)
        else:
            kept[name] = _copied(name, source, target, left, most_bytes)
        left -= kept[name].size
    return kept


def _copied(name: str, source: Path, target: Path, left: int, most_bytes: int) -> Kept:
    _files.make_folder(target.parent)
    try:
        return _files.copy(source.expanduser(), target, most_bytes=left, follow=True)
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == _files.TOO_LARGE:
            raise _too_much(name, most_bytes) from error
        why = _files.cause_of(error) if isinstance(error, OSError) else str(error)
        if isinstance(error, FileNotFoundError):
            why = "there is no such file"
        raise InvalidRequestError(
            f"input {one_line(name, 100)!r} ({one_line(str(source), 300)}) cannot be read: {why}"
        ) from error


def _too_much(name: str, most_bytes: int) -> InvalidRequestError:
    return InvalidRequestError(
        f"the inputs are too large: with {one_line(name, 100)!r} they are more than {show_size(most_bytes)} together"
    )
