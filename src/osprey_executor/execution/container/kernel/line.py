"""Items in their order over a connection that may break: numbered, acknowledged, and sent again when it is back.

A message is a dict: `n` its number (0: it carries nothing), `a` the number up to which the sender has heard, `items`,
and `again` where the sender has lost the connection and wants all that it has not heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

WINDOW = 16
"""Messages on their way, so that neither end keeps more."""
MOST = 700_000
"""Characters of one message; servers take ten million bytes."""
PAUSE = 0.004
"""Seconds between two messages in the long run: servers drop what comes more often than a thousand times a second."""
_BURST = 16
"""Messages that may come without a pause."""
_ACKNOWLEDGE = 4

Item = dict[str, Any]


class Line:
    """One end. Not for threads: all calls come from one event loop."""

    def __init__(
        self,
        send: Callable[[dict[str, Any]], None],
        take: Callable[[Item], None],
        later: Callable[[float, Callable[[], None]], Any],
        clock: Callable[[], float],
        on_room: Callable[[], None],
    ) -> None:
        """Use a connection.

        Args:
            send: hands one message to the connection; lost where there is none at the moment.
            take: called with each item that arrives, once, in order.
            later: calls a function after seconds.
            clock: seconds, of the same clock.
            on_room: called when `full` may have become false.
        """
        self._send, self._take, self._later, self._clock, self._on_room = send, take, later, clock, on_room
        self._queue: deque[Item] = deque()
        self._queued = 0
        self._flying: deque[tuple[int, list[Item]]] = deque()
        self._number = self._heard = self._told = 0
        self._next = 0.0
        self._waiting = False

    @property
    def full(self) -> bool:
        """Whether the other end is slower than this one, which should put nothing more for now."""
        return self._queued > MOST

    def put(self, item: Item) -> None:
        """Send one item, soon."""
        self._queue.append(item)
        self._queued += size_of(item)
        if not self._waiting:
            self._flush_soon()

    def hear(self, message: dict[str, Any]) -> None:
        """Take a message of the other end."""
        while self._flying and self._flying[0][0] <= message["a"]:
            self._flying.popleft()
        if message.get("again"):
            self.repeat()
            self.acknowledge()
        if message["n"] == self._heard + 1:
            self._heard += 1
            for item in message["items"]:
                self._take(item)
        elif message["n"] > self._heard + 1:
            self.again()
        if self._heard - self._told >= _ACKNOWLEDGE:
            self.acknowledge()
        if self._queue and not self._waiting:
            self._flush()

    def acknowledge(self) -> None:
        """Tell how far this end has heard."""
        self._told = self._heard
        self._send({"n": 0, "a": self._heard})

    def again(self) -> None:
        """Ask for all that was sent and not heard."""
        self._told = self._heard
        self._send({"n": 0, "a": self._heard, "again": True})

    def repeat(self) -> None:
        """Send all again that the other end has not acknowledged."""
        for number, items in self._flying:
            self._send({"n": number, "a": self._heard, "items": items})

    def _flush_soon(self) -> None:
        self._waiting = True
        self._later(max(0.0, self._next - self._clock()), self._flush)

    def _flush(self) -> None:
        self._waiting = False
        if not self._queue or len(self._flying) >= WINDOW:
            return
        items: list[Item] = []
        room = MOST
        while self._queue and (not items or size_of(self._queue[0]) <= room):
            item = self._queue.popleft()
            room -= size_of(item)
            items.append(item)
        self._queued -= MOST - room
        self._number += 1
        self._told = self._heard
        self._flying.append((self._number, items))
        self._next = max(self._next, self._clock() - _BURST * PAUSE) + PAUSE
        self._send({"n": self._number, "a": self._heard, "items": items})
        if self._queue:
            self._flush_soon()
        if not self.full:
            self._on_room()


def size_of(item: Item) -> int:
    """Return about how many characters an item takes."""
    return 100 + len(item.get("b", ""))
