"""Signals: Ctrl-C, termination and hang-up cancel the work at hand; a second one also ends the waiting for its end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Turns signals into the cancellation of one task."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        self._ignored: set[int] = set()
        self.seen = False

    @contextmanager
    def installed(self) -> Generator[Interrupts]:
        """Listen while the block runs."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield self
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    @contextmanager
    def ignoring(self, number: int) -> Generator[None]:
        """Leave one signal to somebody else, as Ctrl-C to an editor in the foreground."""
        self.ignore(number)
        try:
            yield
        finally:
            self.heed(number)

    def ignore(self, number: int) -> None:
        """From now on let a signal pass."""
        self._ignored.add(number)

    def heed(self, number: int) -> None:
        """From now on cancel on a signal again."""
        self._ignored.discard(number)

    def _on_signal(self, number: int) -> None:
        if number not in self._ignored:
            self.seen = True
            self._task.cancel()
