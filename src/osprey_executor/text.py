"""Hostile text made visible. Whatever shows text of code, models, channels or files passes it through here."""

from __future__ import annotations

import re
import unicodedata

# Control characters but tab and newline; bidirectional marks, overrides and isolates; zero-width characters;
# line and paragraph separators; tags; variation selectors; interlinear annotation; lone surrogates.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_MOST_MARKS = 3
_NEW_LINE = re.compile(r"\r\n|\r|\n")


def visible(text: str) -> str:
    """Return `text` with every character that could hide, reorder or repaint written as an escape.

    Tabs and newlines stay; a run of more than three combining marks is escaped too, as it paints over its neighbours.
    Source: Unicode Technical Report 36, "Trojan Source" (CVE-2021-42574), ECMA-48.
    """
    return _stacked(_HIDDEN.sub(lambda found: _escape(found[0]), text))


def one_line(text: str, most: int = 200) -> str:
    """Return `text` visible, on one line, and cut to `most` characters with an ellipsis."""
    # No more than can be shown, and one beyond: a result may be a text of many megabytes.
    flat = visible(text[: 2 * most + 2].replace("\r\n", "\n")).replace("\n", "\\n").replace("\t", "\\t")
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def fenced(text: str, language: str = "") -> str:
    """Return `text` visible in a fence of Markdown that nothing in it can close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{visible(text).rstrip()}\n{fence}"


def _escape(char: str) -> str:
    point = ord(char)
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def _stacked(text: str) -> str:
    if text.isascii():
        return text
    out: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me") else 0
        out.append(_escape(char) if marks > _MOST_MARKS else char)
    return "".join(out)


def source_lines(code: str) -> list[str]:
    """Return the lines of a program as Python counts them; `str.splitlines` knows more ends of lines than Python."""
    return _NEW_LINE.split(code)
