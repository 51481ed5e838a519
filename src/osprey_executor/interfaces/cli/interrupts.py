"""Signals: Ctrl-C, termination and hang-up cancel the work at hand.

A second one also ends the waiting for its end, and a third one the process.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Generator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from osprey_executor.interfaces.cli.early import heard, leaving

_PATIENCE: Final = 3
_T = TypeVar("_T")


class Interrupts:
    """Turns signals into the cancellation of one task."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        self._ignored: set[int] = set()
        self._count = 0
        self.run_id = ""
        """The run that is under way, for whoever reads of the interrupt."""

    @property
    def seen(self) -> bool:
        """Whether a signal has come."""
        return self._count > 0

    @contextmanager
    def installed(self) -> Generator[Interrupts]:
        """Listen while the block runs."""
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in heard()}
        for number in before:
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield self
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

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
        if number in self._ignored:
            return
        self._count += 1
        if self._count >= _PATIENCE:
            leaving.leave(run_id=self.run_id)
        self._task.cancel()


async def whole(work: Awaitable[_T]) -> _T:
    """Wait for what must not stop half-way, whatever signals come, and only then let a cancellation through.

    A database that is left half-open keeps a thread that calls into the event loop after its end.
    """
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
        except Exception:
            break  # told below
    result = task.result()
    if cancelled:
        raise asyncio.CancelledError
    return result
