"""What a program is told by monitors in its rehearsal: when that makes it depend on a machine that was not moved.

Libraries monitor each channel that they connect, and a program may read what a monitor told at any time, which nobody
sees. So after the first write a channel that is watched and not written is in doubt. The doubt ends where the program
writes that channel itself, if it was as the card shows it: the approved run writes it only if it is so then, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from osprey_executor.control.broker._overlay import Overlay
from osprey_executor.control.broker._start import held, same
from osprey_executor.control.connectors._protocol import Sample
from osprey_executor.models import ChannelStart


class Watched:
    """The monitors of one rehearsal."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self._open: Counter[str] = Counter()
        self._told: dict[str, Sample] = {}
        """What a monitor told last of each channel."""
        self._doubtful: dict[str, Sample] = {}
        """As they were told last while they were not written."""

    @property
    def unsure(self) -> bool:
        """Whether the program may have used, after its first write, what the machine was not moved for."""
        return bool(self._doubtful)

    @contextmanager
    def open(self) -> Generator[WatchedChannel]:
        """Yield what takes the samples of one monitor of one channel, for as long as that is open."""
        one = WatchedChannel(self)
        try:
            yield one
        finally:
            if one.channel is not None:
                self._open[one.channel] -= 1

    def begin(self, channel: str) -> None:
        """Count a monitor that has told something."""
        self._open[channel] += 1

    def tell(self, sample: Sample) -> bool:
        """Take note of what a monitor tells; return whether it is a change since the first write."""
        channel = sample.channel
        before, self._told[channel] = self._told.get(channel), sample
        if not self._outside(channel):
            return False
        self._doubtful[channel] = sample
        alike = before is not None and before.severity is sample.severity and same(held(before), held(sample))
        return before is not None and not alike

    def look(self) -> None:
        """Take note that something was written: what is watched now and was not written is in doubt."""
        for channel, count in self._open.items():
            if count > 0 and self._outside(channel):
                self._doubtful.setdefault(channel, self._told[channel])

    def settle(self, channel: str, start: ChannelStart) -> bool:
        """Take note that the program has written `channel`; return whether that was told at its `start`."""
        told = self._doubtful.pop(channel, None)
        return told is None or same(held(told), start.value, start.tolerance)

    def show(self, channel: str) -> None:
        """Take note that the overlay answers for `channel` from now on, a read-back of what was written."""
        self._doubtful.pop(channel, None)

    def _outside(self, channel: str) -> bool:
        return self._overlay.moved and not self._overlay.answers(channel)


class WatchedChannel:
    """One monitor."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self.channel: str | None = None
        """Known with its first sample."""

    def tells_a_change(self, sample: Sample) -> bool:
        """See `Watched.tell`."""
        if self.channel is None:
            self.channel = sample.channel
            self._watched.begin(sample.channel)
        return self._watched.tell(sample)
