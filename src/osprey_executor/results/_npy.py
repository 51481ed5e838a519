"""The npy format, read without trust: the header is checked against the bytes before anything is made of it.

Format: NEP 1, "A simple file format for NumPy arrays", versions 1.0 to 3.0.
"""

from __future__ import annotations

import ast
import math
import re
import struct
from dataclasses import dataclass
from typing import Any, cast

from osprey_executor.errors import ResultsError
from osprey_executor.results._claims import ArrayClaim

Blob = bytes | bytearray | memoryview

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 65_536
_MOST_EMPTY_ITEMS = 10_000
# Plain types only: no objects, no strings that spell several types or shapes at once.
_PLAIN = re.compile(r"[<>|=][biufcmMSUV?]\d{0,9}(\[\d{0,6}[A-Za-z]{1,2}(/\d{1,6})?\])?")


@dataclass(frozen=True)
class Header:
    """What the header of an npy file says: descr as NEP 1 writes it, order, shape, and where the data starts."""

    descr: Any
    fortran: bool
    shape: tuple[int, ...]
    start: int


def read_header(blob: Blob) -> Header:
    """Return the checked header of an npy file.

    Raises:
        ResultsError: it is not one, or of a type that is never accepted.
    """
    view = memoryview(blob)
    if len(view) < 12 or bytes(view[:6]) != _MAGIC or view[6] not in (1, 2, 3):
        raise ResultsError("an array is not in the npy format")
    wide = view[6] > 1
    (length,) = struct.unpack_from("<I" if wide else "<H", view, 8)
    start = (12 if wide else 10) + length
    if length > _LONGEST_HEADER or start > len(view):
        raise ResultsError("the header of an array is longer than the array")
    text = bytes(view[start - length : start]).decode("utf-8" if view[6] == 3 else "latin-1")
    try:
        told = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        raise ResultsError("the header of an array cannot be read") from None
    if not isinstance(told, dict) or set(cast(dict[Any, Any], told)) != {"descr", "fortran_order", "shape"}:
        raise ResultsError("the header of an array is not that of an npy file")
    fields = cast(dict[str, Any], told)
    shape = fields["shape"]
    if not _is_shape(shape) or not isinstance(fields["fortran_order"], bool):
        raise ResultsError(f"{shape!r:.100} is not the shape of an array")
    _check_descr(fields["descr"], 0)
    return Header(fields["descr"], fields["fortran_order"], shape, start)


def read_array(blob: Blob) -> Any:
    """Return the array in an npy file, or an ArrayClaim where numpy is not installed.

    A bytearray is not copied: the array lives in it.

    Raises:
        ResultsError: the file is malformed, or says more than it holds.
    """
    header = read_header(blob)
    try:
        import numpy as np
    except ImportError:
        return ArrayClaim(_shown(header.descr), header.shape, bytes(blob))
    dtype: Any = np.lib.format.descr_to_dtype(header.descr)
    count = math.prod(header.shape)
    size = len(blob) - header.start
    if dtype.hasobject or count * dtype.itemsize != size:
        raise ResultsError(f"an array of {size} bytes says that it is {dtype} of shape {header.shape}"[:300])
    if dtype.itemsize == 0:
        if count > _MOST_EMPTY_ITEMS:
            raise ResultsError(f"an array says that it has {count} items of no size")
        return np.zeros(header.shape, dtype)
    if count == 0:
        return np.empty(header.shape, dtype, order="F" if header.fortran else "C")
    array: Any = np.frombuffer(blob, dtype=dtype, offset=header.start)
    array = array.reshape(header.shape, order="F" if header.fortran else "C")
    return array if array.flags.writeable else array.copy(order="K")


def is_shape(value: Any) -> bool:
    """Return whether `value` is a list or tuple of at most 32 sizes."""
    return isinstance(value, list | tuple) and _is_shape(tuple(cast(list[Any], value)))


def _is_shape(value: Any) -> bool:
    if not isinstance(value, tuple) or len(cast(tuple[Any, ...], value)) > 32:
        return False
    return all(type(size) is int and 0 <= size < 2**62 for size in cast(tuple[Any, ...], value))


def _check_descr(descr: Any, depth: int) -> None:
    if isinstance(descr, str):
        if not _PLAIN.fullmatch(descr):
            raise ResultsError(f"arrays of type {descr!r:.100} are not accepted")
        return
    if isinstance(descr, tuple) and len(cast(tuple[Any, ...], descr)) == 2:
        inner, shape = cast(tuple[Any, Any], descr)
        if not _is_shape(shape):
            raise ResultsError(f"{shape!r:.100} is not the shape of a field")
        _check_descr(inner, depth + 1)
        return
    if not isinstance(descr, list) or depth > 8:
        raise ResultsError(f"{descr!r:.100} is not the type of an array")
    for item in cast(list[Any], descr):
        if not isinstance(item, tuple) or len(cast(tuple[Any, ...], item)) not in (2, 3):
            raise ResultsError(f"{item!r:.100} is not a field of an array")
        parts = cast(tuple[Any, ...], item)
        if len(parts) == 3 and not _is_shape(parts[2]):
            raise ResultsError(f"{parts[2]!r:.100} is not the shape of a field")
        _check_descr(parts[1], depth + 1)


def _shown(descr: Any) -> str:
    return descr if isinstance(descr, str) else f"{descr!r:.200}"
