"""The source itself, before it is parsed: its encoding."""

from __future__ import annotations

import codecs
import io
import tokenize

from osprey_executor.text import one_line


class Unreadable(ValueError):
    """The bytes are not the text of a program."""


def decoded(source: str | bytes) -> str:
    """Return the text of a program, decoded as Python does.

    Raises:
        Unreadable: the bytes do not fit their encoding, or hold a null byte.
    """
    if isinstance(source, bytes):
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
            text = codecs.decode(source, encoding)
        except (SyntaxError, UnicodeError, LookupError, ValueError) as error:
            raise Unreadable(f"the source cannot be decoded: {error}") from None
    else:
        text = source
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise Unreadable(f"the source holds a null byte in line {line}; Python cannot run it")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Unreadable(f"the source holds half a character at position {error.start}; Python cannot run it") from None
    if isinstance(source, str):
        _refuse_other_meaning(text)
    return text.removeprefix("\ufeff")


def _refuse_other_meaning(text: str) -> None:
    """Refuse text whose declared encoding makes Python run other code than a person sees: it is executed as UTF-8."""
    data = text.encode("utf-8", "replace")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        same = codecs.decode(data, encoding).removeprefix("\ufeff") == text.removeprefix("\ufeff")
    except (SyntaxError, UnicodeError, LookupError, ValueError) as error:
        raise Unreadable(f"the source cannot be decoded: {error}") from None
    if not same:
        raise Unreadable(
            f"the source declares the encoding {one_line(encoding, 40)}, with which Python would run other code than "
            "is shown here; declare utf-8, or nothing"
        )
