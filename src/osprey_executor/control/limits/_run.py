"""The limits of one run: the database, and what this run did to each record so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from osprey_executor.control.broker._names import channel_name
from osprey_executor.control.connectors._protocol import Sample
from osprey_executor.control.limits._check import Past, breach_of, closed_by, present_value
from osprey_executor.control.limits._database import Breach, LimitsDatabase
from osprey_executor.control.limits._entry import ChannelLimits
from osprey_executor.control.limits._group import GroupLimits, Together
from osprey_executor.errors import ControlSystemError
from osprey_executor.text import one_line


class RunLimits:
    """Asked before every write, by canonical name: one record has one state, whatever protocol it is reached by."""

    def __init__(self, database: LimitsDatabase) -> None:
        self._database = database
        self._past: dict[str, Past] = {}
        # A program may ask for the same channels thousands of times a second.
        self._found: dict[str, ChannelLimits | Breach] = {}
        self._unreadable: dict[str, str | None] = {}
        self._groups: dict[str, Mapping[str, GroupLimits]] = {}
        self._written: dict[str, Any] = {}
        self.skip = database.skip

    def unlooked(self, channel: str) -> Breach | None:
        """Return what forbids a write before anybody has looked at the channel; None: nothing does."""
        limits = self._of(channel)
        return limits if isinstance(limits, Breach) else closed_by(limits)

    def verdict(self, channel: str, value: Any, sample: Sample, now: float) -> ChannelLimits | Breach:
        """Return the limit that a write would break now, or the limits that it keeps.

        At the first look, the value at the start is kept.
        """
        limits = self._of(channel)
        if isinstance(limits, Breach):
            return limits
        past = self._past.setdefault(channel, Past(start=present_value(sample)))
        return breach_of(limits, value, sample, past, now) or limits

    def together(self) -> Together:
        """Return what bounds the writes of one call together with all that this run wrote before."""
        return Together(self._groups_of, self._written, self._past)

    def bounds_value(self, channel: str) -> bool:
        """Return whether it matters to the database which value is written to a channel."""
        limits = self.of(channel)
        return bool(self._groups_of(channel)) or (limits is not None and (limits.numeric or limits.states is not None))

    def _groups_of(self, channel: str) -> Mapping[str, GroupLimits]:
        if channel not in self._groups:
            self._groups[channel] = self._database.groups_of(channel)
        return self._groups[channel]

    def readable(self, channels: Iterable[str]) -> None:
        """Pass if all channels may be read.

        Raises:
            ControlSystemError: one may not; the message names it.
        """
        for channel in channels:
            if channel not in self._unreadable:
                self._unreadable[channel] = self._database.unreadable(channel_name(channel))
            if problem := self._unreadable[channel]:
                raise ControlSystemError(f"{one_line(channel)}: cannot be read: {problem}")

    def of(self, channel: str) -> ChannelLimits | None:
        """Return what the database says of a channel; None where that is that it is not to be written."""
        limits = self._of(channel)
        return None if isinstance(limits, Breach) else limits

    def _of(self, channel: str) -> ChannelLimits | Breach:
        if channel not in self._found:
            self._found[channel] = self._database.of(channel_name(channel))
        return self._found[channel]

    def wrote(self, channel: str, value: Any, when: float) -> None:
        """Take note of a write that was sent at `when`."""
        if self._groups_of(channel):
            self._written[channel] = value
        number = float(value) if isinstance(value, int | float) else None
        self._past[channel] = replace(self._past.get(channel, Past()), last=number, since=when)
