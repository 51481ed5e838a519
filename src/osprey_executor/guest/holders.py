"""How lists, dicts, sets and classes of the program are encoded. A subclass is read through its base."""

from __future__ import annotations

import sys
from array import array
from collections import OrderedDict, defaultdict, deque
from enum import Enum
from struct import pack
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, cast

from .leaves import BRACKET, LATE, LEAVES, MOMENTS, SURROGATE, Method, encode_range, text_size
from .shown import class_name

if TYPE_CHECKING:
    from .encoding import Encoder

_EMPTY: Dict[str, str] = {}
_BULK = 64
_MISSING = 0xFFFFFFFF
_MOMENTS = ("datetime", "date", "time", "timedelta", "Timestamp", "Timedelta", "NaT", "NA")
_HASHABLE = frozenset((*_MOMENTS, "float", "int", "str", "bytes", "complex", "Path", "Decimal", "Fraction", "repr"))
# Methods of the bases: what a subclass makes of them is not called.
_list_items: Callable[[Any], Iterable[Any]] = vars(list)["__iter__"]
_tuple_items: Callable[[Any], Iterable[Any]] = vars(tuple)["__iter__"]
_set_items: Callable[[Any], Iterable[Any]] = vars(set)["__iter__"]
_frozenset_items: Callable[[Any], Iterable[Any]] = vars(frozenset)["__iter__"]
_dict_items: Callable[[Any], Iterable[Any]] = vars(dict)["items"]


def _list(encoder: Encoder, value: Any) -> Any:
    items: list[Any] = list(_list_items(value)) if issubclass(type(value), list) else list(value)
    if len(items) >= _BULK:
        bulk = bulk_list(encoder, items)
        if bulk is not None:
            return bulk
    return _items(encoder, items)


def bulk_list(encoder: Encoder, items: list[Any]) -> Any:
    """Return a list of nothing but floats, small integers or text as one blob, or None where it is something else."""
    kinds = set(map(type, items))
    if kinds == {float} or kinds == {int}:
        try:
            numbers = array("d" if kinds == {float} else "q", items)
        except OverflowError:
            return None
        encoder.bulk(len(items))
        if sys.byteorder == "big":
            numbers.byteswap()
        return encoder.tagged("floats" if kinds == {float} else "ints", blob=encoder.blob(numbers.tobytes()))
    if str in kinds and kinds <= {str, type(None)}:
        texts = [None if item is None else item.encode("utf-8", "surrogatepass") for item in items]
        lengths = array("I", [_MISSING if text is None else len(text) for text in texts])
        if lengths.itemsize != 4:
            return None
        encoder.bulk(len(items))
        if sys.byteorder == "big":
            lengths.byteswap()
        data = b"".join([pack("<Q", len(items)), lengths.tobytes(), *(text for text in texts if text is not None)])
        return encoder.tagged("strings", blob=encoder.blob(data))
    return None


def _items(encoder: Encoder, items: Iterable[Any]) -> list[Any]:
    return [encoder.inside(item, "[{}]".format(index)) for index, item in enumerate(items)]


def _tuple(encoder: Encoder, value: Any) -> Any:
    return encoder.tagged("tuple", items=_items(encoder, list(_tuple_items(value))))


def _set(encoder: Encoder, value: Any) -> Any:
    return encoder.tagged("set", items=_members(encoder, list(_set_items(value))))


def _frozenset(encoder: Encoder, value: Any) -> Any:
    return encoder.tagged("frozenset", items=_members(encoder, list(_frozenset_items(value))))


def _members(encoder: Encoder, items: Iterable[Any]) -> list[Any]:
    return [key_of(encoder, item, "{…}") for item in items]


def key_of(encoder: Encoder, value: Any, where: str) -> Any:
    """Return the document of a key or a member of a set, which must be hashable on the other side too."""
    if issubclass(type(value), tuple):
        value = tuple(_tuple_items(value))
    document = encoder.inside(value, where)
    return document if _hashable(document) else encoder.opaque(value, "it cannot be a key or a member of a set there")


def _hashable(document: Any) -> bool:
    if isinstance(document, list):
        return False
    if not isinstance(document, dict):
        return True
    fields: Dict[str, Any] = cast("Dict[str, Any]", document)
    kind = fields.get("$type")
    if kind in ("tuple", "frozenset"):
        return all(_hashable(item) for item in fields["items"])
    if kind == "scalar":
        return not str(fields["dtype"]).startswith("|V")
    return kind in _HASHABLE or (kind == "Enum" and _hashable(fields["value"]))


def _dict(encoder: Encoder, value: Any) -> Any:
    items: list[Any] = list(_dict_items(value)) if issubclass(type(value), dict) else list(value.items())
    if all(type(key) is str and not key.startswith("$") and not SURROGATE.search(key) for key, _ in items):
        document: dict[str, Any] = {}
        for key, item in items:
            encoder.spend(text_size(key))
            document[key] = encoder.inside(item, "[{!r}]".format(key))
        return document
    pairs: list[Any] = []
    for key, item in items:
        name = "[{}]".format(repr(key)[:100] if type(key) in (str, int, float, bool) else class_name(key))
        pairs.append([key_of(encoder, key, name), encoder.inside(item, name)])
        encoder.spend(BRACKET)
    return encoder.tagged("dict", items=pairs)


def _enum(encoder: Encoder, value: Any) -> Any:
    return encoder.tagged(
        "Enum",
        **{"class": class_name(value), "name": str(value.name), "value": encoder.inside(value.value, ".value")},
    )


def _named_tuple(encoder: Encoder, value: Any) -> Any:
    encoder.note("is a {}, kept as a dict".format(class_name(value)))
    kind = cast("Any", type(value))
    fields: tuple[str, ...] = kind._fields
    items: list[Any] = list(_tuple_items(value))
    return _dict(encoder, {field: items[index] for index, field in enumerate(fields)})


def _dataclass(encoder: Encoder, value: Any) -> Any:
    encoder.note("is a {}, kept as a dict".format(class_name(value)))
    kind = cast("Any", type(value))
    return _dict(encoder, {name: getattr(value, name) for name in kind.__dataclass_fields__})


def own_class(kind: Any) -> Method | None:
    """Return how to encode an object of a class that the program or a library defined as plain data."""
    if issubclass(kind, Enum):
        return _enum
    if issubclass(kind, tuple) and type(getattr(cast("Any", kind), "_fields", None)) is tuple:
        return _named_tuple
    if type(getattr(cast("Any", kind), "__dataclass_fields__", None)) is dict:
        return _dataclass
    return None


def by_base(kind: Any) -> Method | None:
    """Return how to encode an object of an unknown subclass of something known."""
    for base, method in _BASES.items():
        if issubclass(kind, base):
            return method
    for name, (attribute, method) in LATE.items():
        base = getattr(sys.modules.get(name), attribute, None)
        if isinstance(base, type) and issubclass(kind, base):
            return method
    return None


_HOLDERS: Dict[type, Method] = {dict: _dict, list: _list, tuple: _tuple, set: _set, frozenset: _frozenset, deque: _list}
EXACT: Dict[type, Method] = {
    **_HOLDERS,
    **MOMENTS,
    range: encode_range,
    OrderedDict: _dict,
    defaultdict: _dict,
    MappingProxyType: _dict,
    type(_EMPTY.keys()): _list,
    type(_EMPTY.values()): _list,
    array: _list,
    memoryview: LEAVES[bytes],
}
_BASES: Dict[type, Method] = {**_HOLDERS, **MOMENTS, **LEAVES}
