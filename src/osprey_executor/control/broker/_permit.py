"""What a run may write: the port through which an approval reaches the broker, and the one that needs none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from osprey_executor.models import ChannelStart


class WritePermit(Protocol):
    """The right of one run to write. Asked again before every single write."""

    @property
    def start(self) -> Mapping[str, ChannelStart] | None:
        """Return the channels as they were when it was given; None: it takes nothing for granted."""
        ...

    @property
    def left(self) -> str | None:
        """Return how the run has left what was approved, None while it has not. Nothing is permitted after that."""
        ...

    @property
    def unmade(self) -> str | None:
        """Return which approved writes were not made so far, in words; None: all were, or it does not say which."""
        ...

    def allows(self, channel: str) -> None:
        """Pass if `channel`, a canonical name, may be written at all, at whatever time to whatever value.

        Raises:
            WriteRefused: it may not: not granted, expired, forged, of another run; the message says which.
        """
        ...

    def check(self, channel: str, value: Any, ahead: int = 0) -> None:
        """Pass if `channel` may be written to `value` now.

        Args:
            channel: canonical name.
            value: as it would be sent.
            ahead: how many other writes are sent before this one.

        Raises:
            WriteRefused: it may not; the message says why.
        """
        ...

    def wrote(self, channel: str, value: Any) -> None:
        """Take note that this write is being sent."""
        ...

    def names(self, channel: str) -> bool:
        """Return whether the channel is granted letter for letter. Fields need that."""
        ...


class UnattendedPermit:
    """Every channel, for `approval.mode: disabled`. The broker accepts it for a simulated control system only."""

    start = None
    left = None
    unmade = None

    def allows(self, channel: str) -> None:
        """Pass."""

    def check(self, channel: str, value: Any, ahead: int = 0) -> None:
        """Pass."""

    def wrote(self, channel: str, value: Any) -> None:
        """Take note of nothing."""

    def names(self, channel: str) -> bool:
        """Return False: no field but the value is ever written unattended."""
        return False


class RehearsalPermit(UnattendedPermit):
    """Everything that an approval could allow: what a rehearsal writes goes to its overlay, and onto the card."""

    def names(self, channel: str) -> bool:
        """Return True: the plan will name the field, and an approval of the plan does."""
        return True
