"""A configuration as a run keeps it: JSON, references unexpanded, secrets left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, SecretStr

from osprey_executor.config._secrets import MASK
from osprey_executor.config._yaml import KeyPath


def plain(value: Any, mask: str | None = MASK) -> Any:
    """Return settings as JSON data. Secrets become `mask`; where that is None, they and their keys are left out."""
    if isinstance(value, SecretStr):
        return mask
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return plain({name: getattr(value, name) for name in fields}, mask)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {key: plain(item, mask) for key, item in items if not (mask is None and isinstance(item, SecretStr))}
    if isinstance(value, list | tuple):
        return [plain(item, mask) for item in cast("list[Any]", value)]
    return str(value) if isinstance(value, Path) else value


def leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield every single value in settings with its key; an empty mapping or list counts as one."""
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping) and value:
        for key, item in cast("Mapping[str, Any]", value).items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list | tuple) and value:
        for index, item in enumerate(cast("list[Any]", value)):
            yield from leaves(item, (*path, str(index)))
    else:
        yield path, value


def value_at(value: Any, path: KeyPath) -> Any:
    """Return what stands at a key; None where there is no such key."""
    for key in path:
        if isinstance(value, BaseModel):
            value = getattr(value, key, None)
        elif isinstance(value, Mapping):
            value = cast("Mapping[str, Any]", value).get(key)
        elif isinstance(value, list | tuple):
            value = _item(cast("list[Any]", value), key)
        else:
            return None
    return value


def place(data: Any, path: KeyPath, value: Any) -> None:
    """Set one value in JSON data; a path that leads nowhere is left alone."""
    for key in path[:-1]:
        if isinstance(data, list):
            data = _item(cast("list[Any]", data), key)
        elif isinstance(data, dict):
            data = cast("dict[str, Any]", data).setdefault(key, {})
    if isinstance(data, dict):
        data[path[-1]] = value
    elif isinstance(data, list) and _item(cast("list[Any]", data), path[-1]) is not None:
        data[int(path[-1])] = value


def _item(data: list[Any], key: str) -> Any:
    return data[int(key)] if key.isdigit() and int(key) < len(data) else None
