"""The source itself, before it is parsed: its encoding, its size, and characters that hide."""

from __future__ import annotations

import codecs
import io
import re
import tokenize
import unicodedata

from osprey_executor.models import Finding, Severity
from osprey_executor.text import one_line, visible

_MOST_FINDINGS = 50
_SUSPICIOUS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_CONTROL = bytes((*range(9), 11, 12, *range(14, 32), 127))
"""The characters that hide in a text of ASCII; to take them out is ten times as fast as to search for them."""
_IDENTIFIER = re.compile(r"[^\W\d]\w*")


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


def hidden(text: str) -> list[Finding]:
    """Return a finding for each character that hides or reorders text, and each identifier that looks like another."""
    found: list[Finding] = []
    body = text.removeprefix("\ufeff")
    if body.isascii() and len(body.encode("ascii").translate(None, _CONTROL)) == len(body):
        return found
    for number, line in enumerate(body.split("\n"), 1):
        if len(found) >= _MOST_FINDINGS:
            break
        for match in _SUSPICIOUS.finditer(line):
            if match[0] == "\r" and match.end() == len(line):
                continue
            name = unicodedata.name(match[0], "control character").lower()
            found.append(
                Finding(
                    rule="hidden/character",
                    line=number,
                    column=match.start() + 1,
                    severity=Severity.WARNING,
                    message=f"a hidden character ({visible(match[0])}, {name}): the line may not be what it looks like",
                )
            )
            if len(found) >= _MOST_FINDINGS:
                break
        if not line.isascii():
            found.extend(_look_alikes(line, number))
    return found[:_MOST_FINDINGS]


def _look_alikes(line: str, number: int) -> list[Finding]:
    found: list[Finding] = []
    code = line.partition("#")[0]
    double = single = counted = 0
    for match in _IDENTIFIER.finditer(code):
        word = match[0]
        double += code.count('"', counted, match.start())
        single += code.count("'", counted, match.start())
        counted = match.start()
        if word.isascii() or double % 2 or single % 2:  # within quotes
            continue
        plain = unicodedata.normalize("NFKC", word)
        scripts = {unicodedata.name(char, "?").split()[0] for char in word if char.isalpha()}
        if plain != word:
            message = f"the name {word} is another spelling of {plain}: Python takes them as one"
        elif (
            "LATIN" in scripts
            and scripts & {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"}
            and any(char.isascii() and char.isalpha() for char in word)
        ):
            message = f"the name {word} mixes letters of {' and '.join(sorted(scripts)).lower()} that look alike"
        else:
            continue
        found.append(
            Finding(
                rule="hidden/look-alike",
                line=number,
                column=match.start() + 1,
                severity=Severity.WARNING,
                message=message,
            )
        )
    return found
