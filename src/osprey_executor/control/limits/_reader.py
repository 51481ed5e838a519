"""From the file to the limits database: every entry checked, every problem with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from osprey_executor.control.broker._names import channel_name
from osprey_executor.control.limits._database import Breach, LimitsDatabase, is_pattern
from osprey_executor.control.limits._entry import ChannelLimits, StopAction, Verification
from osprey_executor.control.limits._group import GroupLimits
from osprey_executor.control.limits._text import KeyPath, Source, parse
from osprey_executor.errors import ConfigurationError
from osprey_executor.text import one_line

OnViolation = Literal["error", "skip"]

_MOST_TOLD = 5
_MOST_PATTERNS = 200
_MOST_GROUPS = 200
_RESERVED = ("defaults", "patterns", "groups", "allow_unlisted_channels", "on_violation")
_PARTS: dict[str, type[BaseModel]] = {"verification": Verification, "stop_action": StopAction}
_WORDS = {
    "bool_type": "must be true or false",
    "model_type": "must be a mapping of keys",
    "string_type": "must be a text",
    "missing": "is missing",
}
# What belongs to one channel and to no group of them.
_OF_ONE = (("verification", "read_back"), ("stop_action", "channel"))


class _Bad(Exception):
    """A problem and the key that has it."""

    def __init__(self, path: KeyPath, what: str) -> None:
        super().__init__(what)
        self.path = path


def database_of(
    raw: bytes, path: Path, *, allow_unlisted: bool | None = None, on_violation: OnViolation | None = None
) -> LimitsDatabase:
    """Return the database that a file holds.

    Args:
        raw: its content.
        path: names it in messages, and tells JSON from YAML.
        allow_unlisted: where the file does not say `allow_unlisted_channels`.
        on_violation: where the file does not say it.

    Raises:
        ConfigurationError: it cannot be used; the message names file, line and key of the first problems.
    """
    source = parse(raw, path)
    data = {key: value for key, value in source.data.items() if not key.startswith("_")}
    try:
        allow = _switch(data.pop("allow_unlisted_channels", allow_unlisted))
        skip = _violation(data.pop("on_violation", on_violation))
        given = _plain(data.pop("defaults", {}), ("defaults",))
        _group(given, ("defaults",))
        if given.get("call") == "query":  # nobody approves one, so none becomes one by being forgotten
            raise _Bad(("defaults", "call"), "belongs to the channels that have commands: write it there")
        defaults = _entry(source, given, {}, ("defaults",))
        of_patterns = _patterns(data.pop("patterns", {}))
        of_groups = _plain(data.pop("groups", {}), ("groups",))
        if len(of_groups) > _MOST_GROUPS:
            raise _Bad(("groups",), f"holds more than {_MOST_GROUPS} groups")
    except _Bad as bad:
        raise ConfigurationError(source.told(bad.path, str(bad))) from None
    problems: list[str] = []
    exact: dict[str, ChannelLimits] = {}
    patterns: dict[str, ChannelLimits] = {}
    entries = [((name,), name, value, exact) for name, value in data.items()]
    entries += [(("patterns", pattern), pattern, value, patterns) for pattern, value in of_patterns.items()]
    for place, name, value, found in entries:
        try:
            key = name if found is patterns else _name(name, value, exact)
            own = _plain(value, place)
            if found is patterns:
                _group(own, place)
            found[key] = _entry(source, own, given, place)
        except _Bad as bad:
            problems.append(source.told(bad.path, str(bad)))
        except ConfigurationError as error:
            problems.append(str(error))
        if len(problems) > _MOST_TOLD:
            break
    database = LimitsDatabase(exact, patterns, defaults, allow, skip)
    if not problems:
        groups = {name: _grouped(source, name, value, database, problems) for name, value in of_groups.items()}
        database = replace(database, groups={name: group for name, group in groups.items() if group is not None})
    problems = problems or [source.told(bad.path, str(bad)) for bad in _barred_stops(data, database)]
    if problems:
        more = "; and more" if len(problems) > _MOST_TOLD else ""
        raise ConfigurationError("; ".join(problems[:_MOST_TOLD]) + more)
    return database


def _grouped(
    source: Source, name: str, value: Any, database: LimitsDatabase, problems: list[str]
) -> GroupLimits | None:
    """Return a group; None where it cannot be used, which is put to the problems."""
    place = ("groups", name)
    try:
        own = _plain(value, place)
        channels = own.get("channels")
        if not isinstance(channels, list) or not channels:
            raise _Bad((*place, "channels"), "must be a list of channels or patterns")
        members = tuple(_member(one, place, database) for one in cast("list[Any]", channels))
        return GroupLimits.model_validate({**own, "channels": members})
    except _Bad as bad:
        problems.append(source.told(bad.path, str(bad)))
    except ValidationError as error:
        items = error.errors(include_url=False, include_context=False, include_input=False)
        keys = [(*place, *(str(part) for part in item["loc"][:1])) for item in items]
        told = [_sentence(item, GroupLimits) for item in items]
        problems += [source.told(path, what) for path, what in zip(keys, told, strict=True)]
    return None


def _member(one: Any, place: KeyPath, database: LimitsDatabase) -> str:
    """Return the canonical name of a channel in a group; whatever no entry knows is taken for a slip."""
    if isinstance(one, str) and is_pattern(one):
        return _pattern(one, place)
    try:
        name = channel_name(one)
    except ValueError as error:
        raise _Bad((*place, "channels"), f"holds what cannot be a channel: {error}") from None
    found = database.of(name)
    if isinstance(found, Breach) and found.rule == "unlisted":
        raise _Bad((*place, "channels"), f"names {one_line(name.canonical)}, which has no entry")
    return name.canonical


def _barred_stops(data: Mapping[str, Any], database: LimitsDatabase) -> Iterator[_Bad]:
    """Yield each stop action that writes to another channel what that channel's own entry bars.

    One without an entry is bounded by nothing, and that the action names it is the site's word.
    """
    for written in data:
        name = channel_name(written).canonical
        stop = database.exact[name].stop_action
        if stop is None or (channel := stop.channel or name) == name:
            continue
        found = database.of(channel_name(channel))
        if isinstance(found, Breach):
            why = found.reason if found.rule != "unlisted" else None
        else:
            why = found.bars(stop.value)
        if why:
            value = f"{stop.value:g}" if isinstance(stop.value, float) else one_line(str(stop.value), 60)
            yield _Bad((written, "stop_action"), f"writes {value} to {one_line(channel)}, {why}")


def _switch(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise _Bad(("allow_unlisted_channels",), "must be true or false")


def _violation(value: Any) -> bool:
    if value in (None, "error", "skip"):
        return value == "skip"
    raise _Bad(("on_violation",), "must be error or skip")


def _patterns(value: Any) -> dict[str, Any]:
    groups = _plain(value, ("patterns",))
    if len(groups) > _MOST_PATTERNS:
        raise _Bad(("patterns",), f"holds more than {_MOST_PATTERNS} patterns")
    for pattern in groups:
        _pattern(pattern, ("patterns", pattern))
    return groups


def _pattern(pattern: str, place: KeyPath) -> str:
    try:
        name = channel_name(re.sub(r"[*?]", "x", pattern))
    except ValueError:
        raise _Bad(place, "is no pattern of channel names: a name with * or ? in it") from None
    if name.is_field or name.canonical != re.sub(r"[*?]", "x", pattern):
        raise _Bad(place, "ends in a field; a pattern is for values only, so list the field itself")
    return pattern


def _name(name: str, value: Any, known: Mapping[str, ChannelLimits]) -> str:
    if not isinstance(value, dict):
        near = get_close_matches(name, _RESERVED, n=1, cutoff=0.6)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise _Bad((name,), f"must be a mapping of keys, or begin with _ if it is a remark{meant}")
    try:
        canonical = channel_name(name).canonical
    except ValueError as error:
        hint = "; patterns stand under patterns:" if "*" in name or "?" in name else ""
        raise _Bad((name,), f"cannot be a channel: {error}{hint}") from None
    if canonical in known:
        raise _Bad((name,), f"is the same channel as {one_line(canonical)}, which stands here already")
    return canonical


def _plain(value: Any, place: KeyPath) -> dict[str, Any]:
    """Return a mapping without the remarks in it."""
    if not isinstance(value, dict):
        raise _Bad(place, "must be a mapping of keys, `name: ...`")
    items = cast("dict[str, Any]", value).items()
    return {
        key: _plain(item, (*place, key)) if isinstance(item, dict) and place != ("patterns",) else item
        for key, item in items
        if not key.startswith("_")
    }


def _group(own: Mapping[str, Any], place: KeyPath) -> None:
    for part, key in _OF_ONE:
        inner: Any = own.get(part)
        if isinstance(inner, dict) and key in inner:
            raise _Bad((*place, part, key), "belongs to one channel: write it there")


def _entry(source: Source, own: Mapping[str, Any], given: Mapping[str, Any], place: KeyPath) -> ChannelLimits:
    merged = {**given, **own}
    for part in _PARTS:
        if isinstance(given.get(part), dict) and isinstance(own.get(part), dict):
            merged[part] = {**given[part], **own[part]}
    if own.get("writable") is True and (own.get("readable") is False or own.get("read_side_effect") is True):
        raise _Bad((*place, "writable"), "needs a channel that may be read: the broker looks before it writes")
    try:
        return ChannelLimits.model_validate(merged)
    except ValidationError as error:
        items = error.errors(include_url=False, include_context=False, include_input=False)
        told = dict.fromkeys(source.told((*place, *_keys(item)), _sentence(item)) for item in items)
        raise ConfigurationError("; ".join(told)) from None


def _keys(item: ErrorDetails) -> KeyPath:
    """Return the keys of an error; beyond them pydantic tells of members of lists and unions."""
    keys = [str(part) for part in item["loc"]]
    return tuple(keys[: 2 if keys and keys[0] in _PARTS else 1])


def _sentence(item: ErrorDetails, of: type[BaseModel] = ChannelLimits) -> str:
    if item["type"] == "extra_forbidden":
        *above, key = [str(part) for part in item["loc"]]
        known = list((_PARTS[above[0]] if above else of).model_fields)
        near = [name for name in known if name.startswith(key)] or get_close_matches(key, known, n=1, cutoff=0.6)
        elsewhere = [f"{part}.{key}" for part, model in _PARTS.items() if not above and key in model.model_fields]
        meant = [*(".".join((*above, name)) for name in near[:1]), *elsewhere]
        return f"is not a key; did you mean {meant[0]}?" if meant else f"is not a key; known are {', '.join(known)}"
    message = item["msg"].removeprefix("Value error, ").replace("Input should", "must")
    return _WORDS.get(item["type"], message)
