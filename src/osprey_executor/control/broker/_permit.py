"""What a run may write: the port through which an approval reaches the broker, and the one that needs none."""

from __future__ import annotations

from typing import Protocol


class WritePermit(Protocol):
    """The right of one run to write. Asked again before every single write."""

    def check(self, channel: str) -> None:
        """Pass if `channel`, a canonical name, may be written now.

        Raises:
            WriteRefused: it may not: not granted, expired, forged, of another run; the message says which.
        """
        ...

    def names(self, channel: str) -> bool:
        """Return whether the channel is granted letter for letter, not by a pattern. Fields need that."""
        ...


class UnattendedPermit:
    """Every channel, for `approval.mode: disabled`. The broker accepts it for a simulated control system only."""

    def check(self, channel: str) -> None:
        """Pass."""

    def names(self, channel: str) -> bool:
        """Return False: no field but the value is ever written unattended."""
        return False
