"""Text about objects that may not want to be shown."""

from __future__ import annotations

from typing import Any

_type_name = type.__dict__["__name__"].__get__


def class_name(value: Any) -> str:
    """Return the name of the class of `value`, whatever its metaclass says."""
    return str(_type_name(type(value)))[:200]


def safe_repr(value: Any, most: int) -> str:
    """Return `repr(value)`, cut to `most` characters; never raises."""
    try:
        text = repr(value)
    except (Exception, SystemExit):
        text = "<{} object whose repr fails>".format(class_name(value))
    return text if len(text) <= most else text[: most - 1] + "…"


def safe_str(value: Any, most: int) -> str:
    """Return `str(value)`, cut to `most` characters; never raises."""
    try:
        text = str(value)
    except (Exception, SystemExit):
        text = "<{} object whose str fails>".format(class_name(value))
    return text if len(text) <= most else text[: most - 1] + "…"
