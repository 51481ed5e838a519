"""Text about objects that may not want to be shown."""

from __future__ import annotations

from reprlib import Repr
from typing import Any

_type_name = type.__dict__["__name__"].__get__
_exact = str.__str__
"""Makes a plain str of one whose class has methods of its own; repr() and str() may return such."""
_HOLDERS = (list, tuple, dict, set, frozenset)

# Of nested values only the upper levels: the whole of them can be endless, as shared parts are written again and again.
_brief = Repr()
_brief.maxlevel = 4
_brief.maxother = _brief.maxstring = _brief.maxlong = 2000


def class_name(value: Any) -> str:
    """Return the name of the class of `value`, whatever its metaclass says."""
    return str(_type_name(type(value)))[:200]


def safe_repr(value: Any, most: int) -> str:
    """Return `repr(value)`, of nested values its beginning, cut to `most` characters; never raises."""
    try:
        if type(value) in _HOLDERS:
            text = _brief.repr(value)
        elif issubclass(type(value), _HOLDERS):
            text = "<{} object>".format(class_name(value))
        else:
            text = _exact(repr(value))
    except BaseException:
        text = "<{} object whose repr fails>".format(class_name(value))
    return _cut(text, most)


def safe_str(value: Any, most: int) -> str:
    """Return `str(value)`, cut to `most` characters; never raises."""
    try:
        text = _exact(str(value))
    except BaseException:
        text = "<{} object whose str fails>".format(class_name(value))
    return _cut(text, most)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
