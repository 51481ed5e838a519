"""Text computed from constants: joined, formatted, sliced, decoded. Nothing of the program itself runs."""

from __future__ import annotations

import base64
import binascii
import bz2
import codecs
import html
import lzma
import re
import string
import textwrap
import urllib.parse
import zlib
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from osprey_executor.analysis.values import (
    HOLE,
    PLAIN,
    UNKNOWN,
    Atom,
    Const,
    Pattern,
    Value,
    holes,
    joined,
    merged_texts,
    spelling,
)

_MOST = 200_000
_MOST_WAYS = 256

_TEXT_METHODS = frozenset(
    [
        "upper",
        "lower",
        "strip",
        "lstrip",
        "rstrip",
        "replace",
        "split",
        "rsplit",
        "title",
        "swapcase",
        "capitalize",
        "encode",
        "decode",
        "translate",
        "removeprefix",
        "removesuffix",
        "hex",
        "splitlines",
        "casefold",
        "partition",
        "rpartition",
    ]
)
_WIDE_METHODS = frozenset(["zfill", "center", "ljust", "rjust"])
_SAME_SHAPE = frozenset(["strip", "lstrip", "rstrip", "encode", "decode", "upper", "lower", "casefold"])

_TOO_WIDE = re.compile("[0-9]{4}")
_NUMBER_CODES = frozenset("bcdiouxXneEfFgG%")
"""Last characters of the specifications by which only numbers are formatted."""
_CONVERSIONS: dict[int, Callable[[Any], str]] = {115: str, 114: repr, 97: ascii}
_Coder = Callable[[Any], Any]


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj(47).decompress(data, _MOST)


DECODERS: dict[str, _Coder] = {
    "base64.b64decode": base64.b64decode,
    "base64.standard_b64decode": base64.b64decode,
    "base64.urlsafe_b64decode": base64.urlsafe_b64decode,
    "base64.decodebytes": base64.decodebytes,
    "base64.b32decode": base64.b32decode,
    "base64.b16decode": base64.b16decode,
    "base64.b85decode": base64.b85decode,
    "base64.a85decode": base64.a85decode,
    "base64.b64encode": base64.b64encode,
    "binascii.unhexlify": binascii.unhexlify,
    "binascii.a2b_hex": binascii.unhexlify,
    "binascii.a2b_base64": binascii.a2b_base64,
    "builtins.bytes.fromhex": bytes.fromhex,
    "builtins.bytearray.fromhex": bytes.fromhex,
    "zlib.decompress": _inflated,
    "gzip.decompress": _inflated,
    "zlib.compress": zlib.compress,
    "bz2.decompress": lambda data: bz2.BZ2Decompressor().decompress(data, _MOST),
    "lzma.decompress": lambda data: lzma.LZMADecompressor(memlimit=2**26).decompress(data, _MOST),
    "urllib.parse.unquote": urllib.parse.unquote,
    "urllib.parse.unquote_plus": urllib.parse.unquote_plus,
    "html.unescape": html.unescape,
    "builtins.chr": chr,
    "builtins.ord": ord,
    "builtins.hex": hex,
    "textwrap.dedent": textwrap.dedent,
    "sys.intern": lambda text: text,
}
"""Functions whose result on a constant is worth knowing."""


def decoded(path: str, value: Value) -> Value | None:
    """Return what the decoder `path` makes of constants, None where that cannot be told."""
    made: list[Value] = []
    for atom in value:
        if not isinstance(atom, Const) or _too_long(atom.value):
            return None
        try:
            made.append((Const(DECODERS[path](atom.value)),))
        except (ValueError, TypeError, ArithmeticError, zlib.error, lzma.LZMAError, OSError, EOFError, MemoryError):
            return None
    return joined(made) if made else None


def codec_decoded(value: Value, codec: Value) -> Value | None:
    """Return what `codecs.decode(value, codec)` gives for constants."""
    if len(value) != 1 or len(codec) != 1 or not isinstance(value[0], Const) or not isinstance(codec[0], Const):
        return None
    name = str(codec[0].value).lower().replace("-", "_")
    if _too_long(value[0].value) or name.startswith(("zip", "zlib", "bz2")):
        return None
    try:
        return (Const(codecs.decode(value[0].value, name)),)
    except Exception:  # codecs raise anything; an undecodable text is just unknown
        return None


def concat(first: Value, second: Value) -> Value:
    """Return `first + second` for texts."""
    return _combined([first, second], lambda texts: "".join(texts), as_bytes=_all_bytes(first) and _all_bytes(second))


def formatted(parts: list[Value]) -> Value:
    """Return the text of an f-string whose parts are `parts`."""
    return _combined(parts, lambda texts: "".join(texts))


def field(value: Value, spec: str, conversion: int) -> Value:
    """Return one replacement field of an f-string or of `str.format`."""
    return joined([(_field(atom, spec, conversion),) for atom in value]) if value else (Pattern(HOLE),)


def _field(atom: Atom, spec: str, conversion: int) -> Atom:
    if spec and not isinstance(atom, Const) and (spec[-1] in _NUMBER_CODES or "%" in spec):  # a number, or a date
        return Pattern(HOLE, PLAIN)
    if not isinstance(atom, Const):
        return atom if isinstance(atom, Pattern) else Pattern(HOLE)
    if len(spec) > 20 or _TOO_WIDE.search(spec) or _too_long(atom.value):
        return Pattern(HOLE)
    try:
        shown = atom.value if conversion < 0 else _CONVERSIONS[conversion](atom.value)
        return Const(format(shown, spec))
    except (ValueError, TypeError, KeyError):
        return Pattern(HOLE)


def _combined(parts: list[Value], make: Callable[[list[str]], str], *, as_bytes: bool = False) -> Value:
    ways = 1
    for part in parts:
        ways *= len(part) or 1
    if ways == 1 and len(parts) < 50:
        return _one_way([part[0] if part else UNKNOWN[0] for part in parts], make, as_bytes=as_bytes)
    if ways > _MOST_WAYS:
        parts = [part if len(part) < 2 else merged_texts(part) for part in parts]
    if sum(len(spelling(part[0])) for part in parts if part) > _MOST:
        return (Pattern(HOLE),)
    ways_taken = product(*[part or UNKNOWN for part in parts])
    return joined([_one_way(way, make, as_bytes=as_bytes) for way in ways_taken])


def _one_way(way: Sequence[Atom], make: Callable[[list[str]], str], *, as_bytes: bool) -> Value:
    text = make([spelling(atom) for atom in way])
    if len(text) > _MOST:
        return (Pattern(HOLE),)
    if all(isinstance(atom, Const) for atom in way):
        return (Const(text.encode() if as_bytes else text),)
    plain = all(isinstance(atom, Const) or (isinstance(atom, Pattern) and atom.kind == PLAIN) for atom in way)
    return (Pattern(holes(text), PLAIN) if plain else Pattern(holes(text)),)


def _all_bytes(value: Value) -> bool:
    return bool(value) and all(isinstance(atom, Const) and isinstance(atom.value, bytes) for atom in value)


def percent(template: Const, values: list[Value] | None) -> Value:
    """Return `template % values`; values None: unknown."""
    if not isinstance(template.value, str) or _too_long(template.value):
        return UNKNOWN
    exact = [value[0].value for value in values or [] if len(value) == 1 and isinstance(value[0], Const)]
    if values is not None and len(exact) == len(values):
        made = _percent(template.value, tuple(exact))
        if made is not None:
            return (Const(made),)
    pieces = _percent_pieces(template.value)
    fields = [piece for piece in pieces if piece[0]]
    if values is not None and len(fields) == len(values):
        parts: list[Value] = []
        left = iter(values)
        for spec, text in pieces:
            parts.append(_percent_field(spec, next(left)) if spec else (Const(text),))
        return formatted(parts)
    return (Pattern(holes("".join(HOLE if spec else text for spec, text in pieces))),)


def _percent_field(spec: str, value: Value) -> Value:
    made: list[Value] = []
    for atom in value:
        text = _percent(spec, (atom.value,)) if isinstance(atom, Const) else None
        if text is not None:
            made.append((Const(text),))
        elif spec[-1] in _NUMBER_CODES:
            made.append((Pattern(HOLE, PLAIN),))
        else:
            made.append((atom if isinstance(atom, Pattern) else Pattern(HOLE),))
    return joined(made) if made else (Pattern(HOLE),)


def _percent(template: str, values: tuple[Any, ...]) -> str | None:
    if any(len(digits) > 3 for digits in "".join(c if c.isdigit() else " " for c in template).split()):
        return None
    if "*" in template:
        return None
    try:
        return template % values
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def _percent_pieces(template: str) -> list[tuple[str, str]]:
    pieces: list[tuple[str, str]] = []
    place = 0
    while (at := template.find("%", place)) >= 0:
        pieces.append(("", template[place:at]))
        end = at + 1
        if template[end : end + 1] == "(":
            end = max(template.find(")", end) + 1, end + 1)
        while end < len(template) and template[end] in "#0- +123456789.*":
            end += 1
        if template[end : end + 1] == "%":
            pieces.append(("", "%"))
        else:
            pieces.append((template[at : end + 1], ""))
        place = end + 1
    pieces.append(("", template[place:]))
    return [piece for piece in pieces if piece[0] or piece[1]]


def braces(template: str, args: list[Value], keywords: dict[str, Value]) -> Value:
    """Return `template.format(*args, **keywords)`."""
    parts: list[Value] = []
    count = 0
    try:
        for text, name, spec, conversion in string.Formatter().parse(template):
            parts.append((Const(text),))
            if name is None:
                continue
            key: int | str = name
            if name == "":
                key, count = count, count + 1
            elif name.isdigit():
                key = int(name)
            value = args[key] if isinstance(key, int) and key < len(args) else UNKNOWN
            if isinstance(key, str):
                value = keywords.get(key, UNKNOWN)
            parts.append(field(value, spec or "", ord(conversion) if conversion else -1))
    except ValueError:
        return UNKNOWN
    return formatted(parts)


def dollars(template: str, keywords: dict[str, Value]) -> Value:
    """Return `string.Template(template).substitute(**keywords)`."""
    parts: list[Value] = []
    place = 0
    for found in string.Template.pattern.finditer(template):
        parts.append((Const(template[place : found.start()]),))
        name = found["named"] or found["braced"]
        parts.append((Const("$"),) if found["escaped"] else keywords.get(name or "", UNKNOWN))
        place = found.end()
    parts.append((Const(template[place:]),))
    return formatted(parts)


def called(owner: Const, name: str, args: list[Any]) -> Any:
    """Return the result of a harmless method of a constant text.

    Raises:
        ValueError: the method is not one of those, or its result cannot be told.
    """
    value = owner.value
    if not isinstance(value, str | bytes) or _too_long(value):
        raise ValueError(name)
    if name in _WIDE_METHODS:
        if not args or not isinstance(args[0], int) or args[0] > 1000:
            raise ValueError(name)
    elif name not in _TEXT_METHODS:
        raise ValueError(name)
    if name == "replace" and len(args) > 1 and len(str(args[1])) * (len(value) + 1) > _MOST:
        raise ValueError(name)
    if name in ("encode", "decode") and args and str(args[0]).lower().replace("-", "_").startswith(("idna", "puny")):
        raise ValueError(name)
    try:
        return getattr(value, name)(*args)
    except Exception as error:
        raise ValueError(name) from error


def reshaped(owner: Pattern, name: str) -> Value:
    """Return what a method makes of a partly known text."""
    if name in ("upper", "lower", "casefold"):
        return (owner._replace(text=getattr(owner.text, name)()),)
    if name in _SAME_SHAPE:
        return (owner,)
    return (Pattern(HOLE),) if name in _TEXT_METHODS or name in _WIDE_METHODS else UNKNOWN


def sliced(owner: Const, key: Any) -> Value:
    """Return `owner[key]` for a constant text and a constant index or slice."""
    try:
        return (Const(owner.value[key]),)
    except (IndexError, TypeError, ValueError, KeyError):
        return UNKNOWN


def glued(separator: Value, parts: list[Value] | None) -> Value:
    """Return `separator.join(parts)`; parts None: number unknown."""
    if parts is None or len(separator) != 1 or len(parts) > 2000:
        return (Pattern(HOLE),)
    between: list[Value] = []
    for number, part in enumerate(parts):
        if number:
            between.append(separator)
        between.append(part)
    bytes_only = _all_bytes(separator) and all(_all_bytes(part) for part in parts)
    return _combined(between, lambda texts: "".join(texts), as_bytes=bytes_only) if between else (Const(""),)


def _too_long(value: Any) -> bool:
    if isinstance(value, str | bytes):
        return len(value) > _MOST
    return isinstance(value, int) and value.bit_length() > 64


def number(operator: str, first: Const, second: Const) -> Value:
    """Return a sum, difference, product, quotient or remainder of small constant numbers."""
    one, two = first.value, second.value
    if not isinstance(one, int | float) or not isinstance(two, int | float) or _too_long(one) or _too_long(two):
        return UNKNOWN
    try:
        match operator:
            case "Add":
                return (Const(one + two),)
            case "Sub":
                return (Const(one - two),)
            case "Mult":
                return (Const(one * two),)
            case "FloorDiv":
                return (Const(one // two),)
            case "Mod":
                return (Const(one % two),)
            case "Pow":
                return (Const(one**two),) if 0 <= two <= 64 and abs(one) <= 2**16 else UNKNOWN
            case "LShift":
                return (Const(one << two),) if isinstance(one, int) and isinstance(two, int) and two < 64 else UNKNOWN
            case "BitXor":
                return (Const(one ^ two),) if isinstance(one, int) and isinstance(two, int) else UNKNOWN
            case _:
                return UNKNOWN
    except (ArithmeticError, TypeError, ValueError):
        return UNKNOWN


def parents(paths: Value) -> Value:
    """Return the folders that files of these names are in."""
    found: dict[Atom, None] = {}
    for atom in paths:
        text = spelling(atom)
        folder, slash, _ = text.rpartition("/")
        folder = folder or ("/" if slash else HOLE if text.startswith(HOLE) else ".")
        found[Pattern(folder) if HOLE in folder else Const(folder)] = None
    return tuple(found)
