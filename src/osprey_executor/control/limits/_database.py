"""The limits database as a whole: which entry counts for a channel, and that exactly one does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from osprey_executor.control.broker._names import ChannelName
from osprey_executor.control.limits._entry import ChannelLimits
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from osprey_executor.control.limits._group import GroupLimits


@dataclass(frozen=True)
class Breach:
    """A limit that a write would break."""

    rule: str
    """Name of the limit: its key in the database, `ioc_limits`, `unlisted`, `type`."""
    reason: str
    """In words, with the value and the limit."""


@dataclass(frozen=True)
class LimitsDatabase:
    """What may be written at all, whoever approves it. Names are canonical."""

    exact: Mapping[str, ChannelLimits]
    patterns: Mapping[str, ChannelLimits]
    """By pattern, in which `*` stands for any text and `?` for one character; brackets are brackets."""
    defaults: ChannelLimits
    """Of every key that an entry leaves out, and of channels without an entry where those are allowed."""
    allow_unlisted: bool
    skip: bool
    """Whether a write outside its limits is left out and told, where it would else end the call with an error."""
    groups: Mapping[str, GroupLimits] = field(default_factory=dict[str, "GroupLimits"])
    """By the name of the group."""

    def of(self, name: ChannelName) -> ChannelLimits | Breach:
        """Return the entry that counts for a channel, or why none does."""
        if name.canonical in self.exact:
            return self.exact[name.canonical]
        if name.is_field:
            return Breach("unlisted", "a field other than the value is written only by its exact entry in the database")
        fitting = self._fitting(name.canonical)
        if len(fitting) > 1:
            told = " and ".join(one_line(pattern, 60) for pattern in fitting[:2])
            return Breach("patterns", f"more than one pattern of the limits database fits ({told}): add an exact entry")
        if fitting:
            return self.patterns[fitting[0]]
        if self.allow_unlisted:
            return self.defaults
        return Breach("unlisted", "not in the limits database")

    def groups_of(self, channel: str) -> dict[str, GroupLimits]:
        """Return the groups that a channel, by its canonical name, is in, by their names."""
        return {name: group for name, group in self.groups.items() if group.holds(channel)}

    def unreadable(self, name: ChannelName) -> str | None:
        """Return why a channel is not to be read; None: it may. A field without an entry is read as its record is."""
        record = name.canonical.rpartition(".")[0] if name.is_field else name.canonical
        for key in (name.canonical, record):
            if key in self.exact:
                return _unreadable(self.exact[key])
        told = [_unreadable(self.patterns[pattern]) for pattern in self._fitting(record)]
        return next((one for one in told if one), None)

    def _fitting(self, name: str) -> list[str]:
        return [pattern for pattern in self.patterns if fits(pattern, name)]


def _unreadable(limits: ChannelLimits) -> str | None:
    if limits.read_side_effect:
        return "reading it changes the machine, says the limits database"
    return None if limits.readable else "it is not to be read, says the limits database"


def is_pattern(text: str) -> bool:
    """Return whether a text stands for more than the channel of that name; no name holds these characters."""
    return "*" in text or "?" in text


def fits(pattern: str, name: str) -> bool:
    """Return whether a pattern fits the whole name; takes time in proportion to the product of their lengths."""
    at, place, star, mark = 0, 0, -1, 0
    while place < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, mark = at, place
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", name[place]):
            at, place = at + 1, place + 1
        elif star >= 0:
            mark += 1
            at, place = star + 1, mark
        else:
            return False
    return not pattern[at:].strip("*")
