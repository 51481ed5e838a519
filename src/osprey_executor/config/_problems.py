"""What is wrong with the values of a configuration, a sentence each, with the nearest key that is known."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from osprey_executor.config._draft import Draft, dotted
from osprey_executor.config._yaml import KeyPath
from osprey_executor.config.osprey09 import MEANT


def problems(error: ValidationError, sections: type[BaseModel], draft: Draft) -> list[str]:
    """Return one sentence a problem: file, line, key, what is wrong with it, what to write instead."""
    told: list[str] = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        path = tuple(str(part) for part in item["loc"])
        told.append(draft.told(path, _sentence(item, path, sections)))
    return list(dict.fromkeys(told))


def known_keys(sections: type[BaseModel], path: KeyPath = ()) -> dict[str, KeyPath]:
    """Return every known key below `path` by its dotted path; `*` stands for a name of one's own."""
    found: dict[str, KeyPath] = {}
    for name, info in sections.model_fields.items():
        here = (*path, name)
        found[".".join(here)] = here
        inner, step = _model_in(info.annotation)
        if inner is not None:
            found |= known_keys(inner, (*here, *step))
    return found


def _sentence(item: ErrorDetails, path: KeyPath, sections: type[BaseModel]) -> str:
    if item["type"] == "extra_forbidden":
        return _unknown(path, sections)
    if item["type"] == "missing":
        return "is missing"
    if item["type"] in ("model_type", "dict_type", "model_attributes_type"):
        return "must be a mapping of keys, `name: ...`"
    message = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return message if message.startswith(("should", "must")) else f"is not usable: {message}"


def _unknown(path: KeyPath, sections: type[BaseModel]) -> str:
    here = _model_at(sections, path[:-1])
    siblings = list(here.model_fields) if here else []
    meant = MEANT.get(path[-1])
    near = [meant] if meant in siblings else get_close_matches(path[-1], siblings, n=1, cutoff=0.6)
    if near:
        return f"is not a key; did you mean {dotted((*path[:-1], near[0]))}?"
    elsewhere = [name for name, keys in known_keys(sections).items() if keys[-1] == path[-1]]
    if elsewhere:
        return f"is not a key; {path[-1]} belongs to {elsewhere[0].replace('*', 'NAME').rpartition('.')[0]}"
    return f"is not a key; known here are {', '.join(siblings)}"


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    at: type[BaseModel] | None = model
    rest = list(path)
    while rest and at is not None:
        info = at.model_fields.get(rest.pop(0))
        if info is None:
            return None
        at, step = _model_in(info.annotation)
        del rest[: len(step)]
    return at


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, KeyPath]:
    """Return the model that a field holds, and `*` where it stands under names of one's own."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ()
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (dict, Mapping):
        inner = _model_in(arguments[1])[0]
        return inner, ("*",) if inner else ()
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        for argument in arguments:
            inner, step = _model_in(argument)
            if inner is not None:
                return inner, step
    return None, ()
