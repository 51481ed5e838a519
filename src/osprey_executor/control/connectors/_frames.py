"""Frames between this process and a connector's child: a JSON document and the arrays that it names.

A frame is two 4-byte big-endian lengths, of the document and of all arrays together, then the document and the arrays.
In the document an array is `{"array": [dtype, offset, bytes]}`. Neither side unpickles anything.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from typing import Any, cast

_LENGTHS = struct.Struct(">II")
_LARGEST = 256 * 2**20
_DTYPE = re.compile(r"[<>|]?(?:[fiu][1248]|b1)")


def pack(message: dict[str, Any]) -> bytes:
    """Return the frame of a message whose values are JSON's, or numpy arrays.

    Raises:
        TypeError: one is of another type.
    """
    arrays: list[bytes] = []
    size = 0

    def array(value: Any) -> dict[str, Any]:
        nonlocal size
        if not hasattr(value, "tobytes"):
            raise TypeError(f"a value of type {type(value).__name__}")
        raw: bytes = value.tobytes()
        where = [value.dtype.str, size, len(raw)]
        arrays.append(raw)
        size += len(raw)
        return {"array": where}

    document = json.dumps(message, default=array).encode()
    return b"".join((_LENGTHS.pack(len(document), size), document, *arrays))


class Unpacker:
    """Makes messages of the pieces of a stream.

    Args:
        largest: bytes of a whole frame.
        document: bytes of its document alone; None: as much as the frame. Parsed, it takes many times as much.
    """

    def __init__(self, largest: int = _LARGEST, document: int | None = None) -> None:
        self._kept = bytearray()
        self._largest, self._document = largest, largest if document is None else document

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """Yield each message that is complete with this piece.

        Raises:
            ValueError: a frame is broken; nothing after it can be trusted.
        """
        self._kept += piece
        while len(self._kept) >= _LENGTHS.size:
            document_size, arrays_size = _LENGTHS.unpack_from(self._kept)
            if document_size > self._document or document_size + arrays_size > self._largest:
                raise ValueError(f"a frame of {document_size + arrays_size} bytes")
            arrays_at = _LENGTHS.size + document_size
            end = arrays_at + arrays_size
            if len(self._kept) < end:
                return
            document, arrays = bytes(self._kept[_LENGTHS.size : arrays_at]), bytes(self._kept[arrays_at:end])
            del self._kept[:end]
            yield _message(document, arrays)


def _message(document: bytes, arrays: bytes) -> dict[str, Any]:
    room = len(arrays)

    def restored(found: dict[str, Any]) -> Any:
        nonlocal room
        if found.keys() != {"array"}:
            return found
        from numpy import frombuffer

        dtype, offset, length = cast(tuple[str, int, int], tuple(found["array"]))
        room -= length
        # Named twice, the same bytes would take memory again and again.
        if not _DTYPE.fullmatch(dtype) or min(offset, length, room) < 0:
            raise ValueError("a frame with an array that is none")
        return frombuffer(arrays[offset : offset + length], dtype=dtype).copy()

    # A hook costs more than the parsing itself, and most messages hold no array.
    told: Any = json.loads(document, object_hook=restored) if arrays or b'"array"' in document else json.loads(document)
    if not isinstance(told, dict):
        raise ValueError("a frame that is no message")
    return cast(dict[str, Any], told)
