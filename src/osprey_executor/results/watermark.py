"""A band over a PNG that says it is of a rehearsal, set without decoding the picture, which the code made.

The band is new rows above the first one. Their compressed data stand before the picture's own, which is copied as it
is: deflate never looks back beyond its beginning, and the last row of the band is all zero, which is what the filters
of a picture's first row refer to (PNG specification, 9.2). Adler-32 of both is put together as RFC 1950 has it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

MARK = "REHEARSAL: NOTHING WAS WRITTEN"

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
"""Of the colour types that hold colours; what a palette makes of an index is the code's to say."""
_WIDEST = _HIGHEST = 2**13
"""Of a picture that is marked, in pixels: the code made it, and the band is as wide."""
_SHARE = 25
"""The band is this part of the picture's height at least, so that it is seen where the picture is shown small."""
_MARGIN, _HEIGHT, _ADVANCE, _BETWEEN = 2, 7, 6, 4
_WIDTH_OF_SCALE = 320
_LARGEST_SCALE = 12
_AMBER, _BLACK = (255, 191, 0), (0, 0, 0)
_ADLER = 65521
_GLYPHS = {
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "G": "01110 10001 10000 10111 10001 10001 01110",
    "H": "10001 10001 10001 11111 10001 10001 10001",
    "I": "01110 00100 00100 00100 00100 00100 01110",
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "N": "10001 11001 10101 10101 10011 10001 10001",
    "O": "01110 10001 10001 10001 10001 10001 01110",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "S": "01111 10000 10000 01110 00001 00001 11110",
    "T": "11111 00100 00100 00100 00100 00100 00100",
    "W": "10001 10001 10001 10101 10101 11011 10001",
    ":": "00000 00100 00000 00000 00000 00100 00000",
    " ": "00000 00000 00000 00000 00000 00000 00000",
}


def is_png(data: bytes | bytearray) -> bool:
    """Return whether a file calls itself a PNG."""
    return data.startswith(_SIGNATURE)


def watermarked(png: bytes | bytearray) -> bytes:
    """Return the picture under a band that says `MARK`. What is no colour or size of it (text, animation) is left out.

    Raises:
        ValueError: it cannot be marked so that everyone sees it; the message says why.
    """
    head: bytes | None = None
    body: list[bytes] = []
    for kind, data in _chunks(png):
        if kind == b"IHDR" and head is None:
            head = data
        elif kind == b"tRNS":
            raise ValueError("it has a colour that is transparent")
        elif kind == b"IDAT":
            body.append(data)
    if head is None or len(head) != 13:
        raise ValueError("it has no header")
    width, height, depth, colours, *ways = struct.unpack(">IIBBBBB", head)
    if any(ways):
        raise ValueError("it is interlaced")
    if colours not in _CHANNELS or depth not in (8, 16):
        raise ValueError("its colours are in a palette, or of less than 8 bits")
    if not 0 < width <= _WIDEST or not 0 < height <= _HIGHEST:
        raise ValueError(f"it is {width} by {height} pixels, and {_WIDEST} by {_HIGHEST} are the most")
    band, rows, sums = _band(width, height, colours, depth // 8)
    stream = b"".join(body)
    if len(stream) < 6:
        raise ValueError("it has no picture in it")
    both = _combined(sums, int.from_bytes(stream[-4:], "big"), height * (1 + _row_bytes(width, colours, depth // 8)))
    data = b"".join((b"\x78\x01", band, stream[2:-4], both.to_bytes(4, "big")))
    marked = struct.pack(">IIBBBBB", width, height + rows, depth, colours, 0, 0, 0)
    return b"".join((_SIGNATURE, _chunk(b"IHDR", marked), _chunk(b"IDAT", data), _chunk(b"IEND", b"")))


def dots() -> Iterator[tuple[int, int]]:
    """Yield column and row of each dot of `MARK`, as this font has it."""
    for at, letter in enumerate(MARK):
        for row, bits in enumerate(_GLYPHS[letter].split()):
            yield from ((at * _ADVANCE + column, row) for column, bit in enumerate(bits) if bit == "1")


def _chunks(png: bytes | bytearray) -> Iterator[tuple[bytes, bytes]]:
    if not is_png(png):
        raise ValueError("it is no PNG file")
    at = len(_SIGNATURE)
    while at + 12 <= len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        kind = bytes(png[at + 4 : at + 8])
        if kind == b"IEND":
            return
        if at + 12 + size > len(png):
            break
        yield kind, bytes(png[at + 8 : at + 8 + size])
        at += 12 + size
    raise ValueError("it ends in the middle")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _row_bytes(width: int, colours: int, sample: int) -> int:
    return width * _CHANNELS[colours] * sample


def _band(width: int, height: int, colours: int, sample: int) -> tuple[bytes, int, int]:
    """Return the band as raw deflate that goes on, its number of rows, and the Adler-32 of its bytes."""
    scale = min(max(width // _WIDTH_OF_SCALE, 1), _LARGEST_SCALE)
    paper, ink = (_pixel(colour, colours, sample) for colour in (_AMBER, _BLACK))
    # The text is in the band over and over: a cut at one side leaves it readable.
    text = MARK + " " * _BETWEEN
    packed = zlib.compressobj(1, wbits=-15)
    out: list[bytes] = []
    rows, sums = 0, 1

    def put(row: bytes, times: int) -> None:
        nonlocal rows, sums
        line = b"\x00" + row
        for _ in range(times):
            out.append(packed.compress(line))
            sums = zlib.adler32(line, sums)
        rows += times

    plain = paper * width
    lines: list[bytes] = []
    for line in range(_HEIGHT):
        bits = "".join(_GLYPHS[letter].split()[line].ljust(_ADVANCE, "0") for letter in text)
        lines.append(b"".join((ink if bit == "1" else paper) * scale for bit in "0" * _MARGIN + bits))
    put(plain, _MARGIN * scale)
    for _ in range(max(1, height // (_SHARE * (_HEIGHT + _MARGIN) * scale))):
        for once in lines:
            repeated = once * (width * len(paper) // len(once) + 1)
            put(repeated[: len(plain)], scale)
        put(plain, _MARGIN * scale)
    put(bytes(len(plain)), 1)
    out.append(packed.flush(zlib.Z_FULL_FLUSH))
    return b"".join(out), rows, sums


def _pixel(colour: tuple[int, int, int], colours: int, sample: int) -> bytes:
    values = list(colour) if colours in (2, 6) else [max(colour)]
    if colours in (4, 6):
        values.append(255)
    return b"".join(bytes([value]) * sample for value in values)


def _combined(first: int, second: int, length: int) -> int:
    """Return the Adler-32 of two parts of which the second, `length` bytes long, has the sum `second`."""
    a1, b1, a2, b2 = first & 0xFFFF, first >> 16, second & 0xFFFF, second >> 16
    a = (a1 + a2 - 1) % _ADLER
    b = (b1 + b2 + length * (a1 - 1)) % _ADLER
    return b << 16 | a
