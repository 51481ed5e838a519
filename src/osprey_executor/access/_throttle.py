"""How many wrong tokens of one address are looked at in a minute."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from osprey_executor.errors import NotIdentifiedError

_SECONDS = 60.0
_MOST_PEERS = 10_000


class Throttle:
    """Counts what was wrong, by address.

    Args:
        most: wrong ones of one address within a minute; beyond, nothing of it is looked at until they are older.
        clock: in seconds, and never back.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._wrong: dict[str, deque[float]] = {}

    def demand(self, peer: str) -> None:
        """Return if what comes from `peer` is to be looked at.

        Raises:
            NotIdentifiedError: too much of it was wrong.
        """
        seen = self._wrong.get(peer)
        while seen and self._clock() - seen[0] >= _SECONDS:
            seen.popleft()
        if seen is not None and len(seen) >= self._most:
            raise NotIdentifiedError("too many wrong tokens: wait a minute")

    def wrong(self, peer: str) -> None:
        """Count one that was wrong."""
        if peer not in self._wrong and len(self._wrong) >= _MOST_PEERS:
            del self._wrong[next(iter(self._wrong))]
        self._wrong.setdefault(peer, deque(maxlen=self._most)).append(self._clock())
