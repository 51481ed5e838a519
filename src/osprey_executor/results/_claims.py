"""What stands for a value that this side cannot or need not rebuild. All of it is a claim of the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class OpaqueClaim:
    """A value that could not be kept: the name of its class and its `repr`, both hostile text."""

    kind: str
    text: str

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class ArrayClaim:
    """A numpy array where numpy is not installed: element type, shape, and the bytes of its npy file."""

    dtype: str
    shape: tuple[int, ...]
    npy: bytes | None = field(repr=False, default=None)
    items: tuple[Any, ...] = field(repr=False, default=())
    """The elements in C order where `dtype` is `object`; `npy` is None then."""


@dataclass(frozen=True)
class FrameClaim:
    """A value of pandas where pandas is not installed: its kind and its parts, decoded."""

    kind: str
    parts: Mapping[str, Any] = field(repr=False)
