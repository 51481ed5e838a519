"""Frames between this process and the Channel Access process: a JSON document and the arrays that it names.

A frame is two 4-byte big-endian lengths, of the document and of all arrays together, then the document and the arrays.
In the document an array is `{"array": [dtype, offset, bytes]}`. Neither side unpickles anything.
"""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any, cast

_LENGTHS = struct.Struct(">II")
_LARGEST = 256 * 2**20


def pack(message: dict[str, Any]) -> bytes:
    """Return the frame of a message whose values are JSON's, or numpy arrays."""
    arrays: list[bytes] = []
    size = 0

    def array(value: Any) -> dict[str, Any]:
        nonlocal size
        raw: bytes = value.tobytes()
        where = [value.dtype.str, size, len(raw)]
        arrays.append(raw)
        size += len(raw)
        return {"array": where}

    document = json.dumps(message, default=array).encode()
    return b"".join((_LENGTHS.pack(len(document), size), document, *arrays))


async def receive(stream: asyncio.StreamReader) -> dict[str, Any] | None:
    """Return the next message, None at the end of the stream.

    Raises:
        ValueError: the frame is broken.
    """
    try:
        head = await stream.readexactly(_LENGTHS.size)
        document_size, arrays_size = _LENGTHS.unpack(head)
        if document_size + arrays_size > _LARGEST:
            raise ValueError(f"a frame of {document_size + arrays_size} bytes")
        document = await stream.readexactly(document_size)
        arrays = await stream.readexactly(arrays_size) if arrays_size else b""
    except (asyncio.IncompleteReadError, ConnectionError):
        return None

    def restored(found: dict[str, Any]) -> Any:
        if found.keys() != {"array"}:
            return found
        from numpy import frombuffer

        dtype, offset, length = cast(tuple[str, int, int], tuple(found["array"]))
        return frombuffer(arrays[offset : offset + length], dtype=dtype).copy()

    return cast(dict[str, Any], json.loads(document, object_hook=restored))
