"""A text in the pieces in which it is streamed."""

from __future__ import annotations

from collections.abc import Iterator

_SIZE = 12


def pieces(text: str) -> Iterator[str]:
    """Yield the text in pieces of twelve characters."""
    for start in range(0, len(text), _SIZE):
        yield text[start : start + _SIZE]
