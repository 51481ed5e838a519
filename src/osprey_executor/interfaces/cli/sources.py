"""Programs and input files that the command line names: read, and refused in one sentence where they cannot be used."""

from __future__ import annotations

import io
import os
import stat
import sys
import tokenize
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from osprey_executor.errors import InvalidRequestError
from osprey_executor.text import one_line

MOST_CODE: Final = 16 * 2**20
_MOST_STREAMED: Final = 256 * 2**20


def read_code(name: str) -> str:
    """Return the program in the file `name`; `-` is standard input.

    The text encodes to exactly the bytes of the file, but for a byte order mark, which is no part of a program. Another
    encoding than UTF-8 is refused where it would change the meaning of the bytes: what a person sees on the card must
    be what Python reads.

    Raises:
        InvalidRequestError: the file cannot be read, is empty, binary, too long, or not UTF-8.
    """
    data = _read(name, MOST_CODE)
    shown = _shown(name)
    if not data.strip():
        raise InvalidRequestError(f"{shown} is empty: there is no code to run")
    if b"\x00" in data:
        raise InvalidRequestError(f"{shown} is a binary file, not Python source")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(
            f"{shown} is not UTF-8 text (byte 0x{data[error.start]:02x} at position {error.start}): save it as UTF-8"
        ) from None
    text = text.removeprefix("\ufeff")
    _refuse_other_encoding(data, text, shown)
    return text


def input_files(names: Sequence[str]) -> dict[str, Path | bytes]:
    """Return the input files by the name that the code finds them under; a pipe is read here, as it can be read once.

    Raises:
        InvalidRequestError: a file cannot be read, or two have the same name.
    """
    found: dict[str, Path | bytes] = {}
    for name in names:
        path = Path(name)
        key = "stdin" if name == "-" else path.name
        if key in found:
            raise InvalidRequestError(
                f"two --input files are named {one_line(key)}: the code finds inputs by name, so rename one"
            )
        if name == "-" or not _is_regular(name):
            found[key] = _read(name, _MOST_STREAMED)
        else:
            _read(name, 1)
            found[key] = path.absolute()
    return found


def task_of(name: str) -> str:
    """Return the task in words of a program that came without one."""
    return "run the code from standard input" if name in ("-", "/dev/stdin") else f"run {one_line(Path(name).name)}"


def _shown(name: str) -> str:
    return "the code on standard input" if name in ("-", "/dev/stdin") else one_line(name)


def _is_regular(name: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(name).st_mode)  # noqa: PTH116 - Path.is_file() hides why it says no
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from None


def _read(name: str, most: int) -> bytes:
    try:
        if name == "-":
            data = sys.stdin.buffer.read(most + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from None
    if len(data) > most and most > 1:
        raise InvalidRequestError(f"{_shown(name)} is longer than {most // 2**20} MiB")
    return data


def _unreadable(name: str, error: OSError | ValueError) -> InvalidRequestError:
    why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return InvalidRequestError(f"cannot read {_shown(name)}: {why}")


def _refuse_other_encoding(data: bytes, text: str, shown: str) -> None:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        same = data.decode(encoding) == text
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise InvalidRequestError(f"{shown} cannot be decoded: {one_line(str(error))}") from None
    if not same:
        raise InvalidRequestError(f"{shown} declares the encoding {encoding} and uses it: save it as UTF-8")
