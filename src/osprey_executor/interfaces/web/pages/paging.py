"""Long lists, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Paged(Generic[T]):
    """One page of a list. Pages count from 1."""

    items: tuple[T, ...]
    number: int
    pages: int
    total: int


def paged(items: Sequence[T], number: int, size: int) -> Paged[T]:
    """Return a page of `items`; one beyond the last is the last."""
    pages = max(-(-len(items) // size), 1)
    number = min(max(number, 1), pages)
    return Paged(tuple(items[(number - 1) * size : number * size]), number, pages, len(items))
