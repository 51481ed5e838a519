"""The requests of one connection that wait for a value: in order within each operation, and none waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

_MOST = 10_000

Work = Callable[[asyncio.Task[None] | None], Coroutine[Any, Any, None]]
"""Makes the work of a request; gets the one before it of the same operation, for which it has to wait."""


@dataclass
class _Operation:
    sid: int
    tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])


class Waiting:
    """All of them.

    Args:
        broke: called when one ends with an error, so that it will have no answer.
    """

    def __init__(self, broke: Callable[[], None]) -> None:
        self._broke = broke
        self._operations: dict[int, _Operation] = {}
        self._count = 0

    def __contains__(self, ioid: int) -> bool:
        return ioid in self._operations

    @property
    def full(self) -> bool:
        """Whether there are as many as one connection may have."""
        return self._count >= _MOST

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """Those that wait now."""
        return {task for operation in self._operations.values() for task in operation.tasks}

    def add(self, sid: int, ioid: int, work: Work, lost: Callable[[], None]) -> None:
        """Begin one, of this channel and operation; `lost` is called if it is given up."""
        operation = self._operations.setdefault(ioid, _Operation(sid))
        task = asyncio.create_task(work(operation.tasks[-1] if operation.tasks else None))
        operation.tasks.append(task)
        self._count += 1
        task.add_done_callback(lambda _: self._done(ioid, operation, task, lost))

    def drop(self, ioid: int) -> None:
        """Give up those of an operation."""
        if (operation := self._operations.pop(ioid, None)) is not None:
            for task in operation.tasks:
                task.cancel()

    def lose(self, sid: int) -> None:
        """Give up those of a channel."""
        for ioid in [ioid for ioid, operation in self._operations.items() if operation.sid == sid]:
            self.drop(ioid)

    def _done(self, ioid: int, operation: _Operation, task: asyncio.Task[None], lost: Callable[[], None]) -> None:
        operation.tasks.remove(task)
        self._count -= 1
        if task.cancelled():
            lost()
        elif task.exception() is not None:
            self._broke()
        if not operation.tasks and self._operations.get(ioid) is operation:
            del self._operations[ioid]
