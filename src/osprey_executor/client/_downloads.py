"""Files that a service gives, at home: below one folder, and never in the place of another file."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from osprey_executor.errors import InvalidRequestError
from osprey_executor.text import one_line


def place_of(folder: Path, name: str) -> Path:
    """Return where the file of that name goes below `folder`.

    Raises:
        InvalidRequestError: the name is none, or leads out of the folder.
    """
    parts = PurePosixPath(name).parts
    strange = [part for part in parts if part in ("/", "//", "..") or "\\" in part or not part.isprintable()]
    plain = bool(parts) and not strange
    path = folder.joinpath(*parts) if plain else folder
    if not plain or not path.parent.resolve().is_relative_to(folder.resolve()):
        raise InvalidRequestError(f"{one_line(name, 120)!r} is no name of a file below {folder}")
    return path


@contextmanager
def written(path: Path) -> Generator[BinaryIO]:
    """Yield a new file to be written, which is there whole or not at all.

    Raises:
        InvalidRequestError: there is one already, or it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            try:
                yield file
            except BaseException:
                with suppress(OSError):
                    path.unlink()
                raise
    except OSError as error:
        raise InvalidRequestError(f"{path} cannot be written: {error.strerror}") from None
