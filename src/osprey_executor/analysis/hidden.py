"""Characters that hide or reorder text, and names and channels that look like others."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator

from osprey_executor.models import Finding, Severity
from osprey_executor.text import one_line, visible

_MOST_PLACES = 10
"""Of one character, or one word."""
_MOST_WORDS = 100
_MOST_KINDS = 60
"""The first ones by their number; those that turn the direction of text are among them."""
_SUSPICIOUS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_CONTROL = bytes((*range(9), 11, 12, *range(14, 32), 127))
"""The characters that hide in a text of ASCII; to take them out is ten times as fast as to search for them."""
_NEW_LINE = re.compile(r"\r\n|\r|\n")
_ALONE = re.compile(r"\r(?!\n)")
_PICTURE = "\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff"
_OF_PICTURES = re.compile(f"(?<=[{_PICTURE}#*0-9])\ufe0f|(?<=[{_PICTURE}\ufe0f])\u200d(?=[{_PICTURE}])")
"""What makes a coloured sign of a plain one, and one sign of two: every mobile phone writes it."""
_LEXED = re.compile(
    r"(?P<comment>\#[^\r\n]*)"
    r'|"{3}(?:\\.|[^\\])*?(?:"{3}|\Z)|' + r"'{3}(?:\\.|[^\\])*?(?:'{3}|\Z)"
    r'|"(?:\\.|[^"\\\r\n])*"?|' + r"'(?:\\.|[^'\\\r\n])*'?",
    re.DOTALL,
)
"""Comments and texts of a program."""
_WORD = re.compile(r"[^\W\d]\w*")
_NAME_IN_TEXT = re.compile(r"[\w:.\-]+")
_PART = re.compile(r"[^\W\d_]+")
_TWINS = dict(
    zip(
        # Cyrillic, Greek, Armenian, and letters of Latin that only linguists know.
        "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u04cf\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405\u050c"
        "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u0585\u057d\u0570\u0578\u0251\u0261\u0131\u0269",
        "aeopcyxijshdqwlABEKMHOPCTYXIJSG" + "ABEZHIKMNOPTYXo" + "ouhn" + "agii",
        strict=True,
    )
)
"""By letter: the one of ASCII that it looks like."""
_TELLING = frozenset(
    (*dir(builtins), *keyword.kwlist, "caput", "caget", "put", "get", "set", "write", "read", "copy", "os", "sys", "PV")
)


def hidden(text: str) -> list[Finding]:
    """Return findings for characters that hide or reorder text, and for words that look like others.

    Of each character and each word the first places are told, and how many more there are.
    """
    body = text.removeprefix("\ufeff")
    alone = "\r" in body and "\n" in body and _ALONE.search(body) is not None
    if not alone and body.isascii() and len(body.encode("ascii").translate(None, _CONTROL)) == len(body):
        return []
    starts = [0, *(found.end() for found in _NEW_LINE.finditer(body))]
    found = list(_characters(_OF_PICTURES.sub(" ", body), starts, alone=alone))
    if not body.isascii():
        found.extend(_look_alikes(body, starts))
    return found


def _characters(body: str, starts: list[int], *, alone: bool) -> Iterator[Finding]:
    kinds = [char for char in sorted(set(body)) if _SUSPICIOUS.match(char)]
    if len(kinds) > _MOST_KINDS:
        told = f"{len(kinds) - _MOST_KINDS:,} more kinds of hidden characters"
        yield _finding("hidden/character", told, body.index(kinds[_MOST_KINDS]), starts)
    for char in kinds[:_MOST_KINDS]:
        name = unicodedata.name(char, "control character").lower()
        told = f"a hidden character ({visible(char)}, {name}): the line may not be what it looks like"
        yield from _told("hidden/character", told, re.finditer(re.escape(char), body), body.count(char), starts)
    if alone:
        told = "a carriage return alone, which ends a line for Python and not for all that shows it"
        count = body.count("\r") - body.count("\r\n")
        yield from _told("hidden/character", told, _ALONE.finditer(body), count, starts)


def _told(rule: str, told: str, places: Iterator[re.Match[str]], count: int, starts: list[int]) -> Iterator[Finding]:
    for number, place in zip(range(_MOST_PLACES), places, strict=False):
        more = count - _MOST_PLACES
        last = number == _MOST_PLACES - 1 and more > 0
        yield _finding(rule, f"{told}; there are {more:,} more of it" if last else told, place.start(), starts)


def _finding(rule: str, message: str, position: int, starts: list[int]) -> Finding:
    line = bisect_right(starts, position)
    column = position - starts[line - 1] + 1
    return Finding(rule=rule, line=line, column=column, severity=Severity.WARNING, message=message)


def _look_alikes(body: str, starts: list[int]) -> Iterator[Finding]:
    """Yield a finding for each first place of a word that looks like another, in code and in texts."""
    known = _TELLING | set(re.findall(r"[A-Za-z_]\w+", body, re.ASCII))
    judged: dict[tuple[bool, str], str] = {}
    told: dict[str, int] = {}
    for quoted, position, word in _words(body):
        if (quoted, word) not in judged:
            judged[quoted, word] = _deceives(word, known, quoted=quoted)
        message = judged[quoted, word]
        if not message:
            continue
        told[word] = told.get(word, 0) + 1
        if told[word] <= _MOST_PLACES and len(told) <= _MOST_WORDS:
            if len(told) == _MOST_WORDS or told[word] == _MOST_PLACES:
                message += "; there may be more of it"
            yield _finding("hidden/look-alike", message, position, starts)


def _words(body: str) -> Iterator[tuple[bool, int, str]]:
    """Yield the words that are not of ASCII only: whether within a text, where, and what."""
    end = 0
    for found in (*_LEXED.finditer(body), None):
        start = len(body) if found is None else found.start()
        for word in _WORD.finditer(body, end, start):
            if not word[0].isascii():
                yield False, word.start(), word[0]
        if found is None:
            return
        end = found.end()
        if found["comment"] is None and not found[0].isascii():
            for word in _NAME_IN_TEXT.finditer(body, start, end):
                if not word[0].isascii():
                    yield True, word.start(), word[0]


def _deceives(word: str, known: frozenset[str] | set[str], *, quoted: bool) -> str:
    """Return what to say of a word that looks like another; empty for an honest one."""
    shown = one_line(word, 60)
    what = "text" if quoted else "name"
    plain = unicodedata.normalize("NFKC", word)
    if not quoted and sum(map(str.isascii, plain)) > sum(map(str.isascii, word)):
        return f"the name {shown} is another spelling of {one_line(plain, 60)}: Python takes them as one"
    strange = [char for char in word if not char.isascii() and char.isalpha()]
    twins = [char for char in strange if char in _TWINS]
    if not twins:
        return ""
    latin = any(char.isascii() and char.isalpha() for char in word)
    mixed = any(
        any(char in _TWINS for char in part) and any(char.isascii() for char in part) for part in _PART.findall(word)
    )
    twin = "".join(_TWINS.get(char, char) for char in word)
    scripts = sorted({unicodedata.name(char, "?").split()[0].lower() for char in twins} | {"latin"})
    if mixed or (latin and len(twins) == len(strange)):
        return f"the {what} {shown} mixes letters of {' and '.join(scripts)} that look alike: it is not {twin}"
    if not quoted and len(word) > 1 and twin.isascii() and twin in known:
        return f"the name {shown} looks like {twin}, and is not: its letters are {' and '.join(scripts[:1])}"
    return ""
