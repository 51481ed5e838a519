"""A thread with an event loop of its own, in which the service of a notebook stays open: a cell waits for its work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from osprey_executor.service import PythonExecutorService

_T = TypeVar("_T")


class Worker:
    """Holds the service of one configuration open until it is closed."""

    def __init__(self, config: Path | None) -> None:
        """Open the service.

        Raises:
            PythonExecutorException: it cannot be opened.
        """
        self.service = PythonExecutorService.from_config(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="osprey-executor", daemon=True)
        self._thread.start()
        try:
            self.do(self.service.__aenter__())
        except BaseException:
            self._stop()
            raise

    def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do some work of the service and return what it gives; an interrupt of the cell cancels it."""
        future: Future[_T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def close(self) -> None:
        """Close the service; what it runs is ended."""
        try:
            self.do(self.service.__aexit__(None, None, None))
        finally:
            self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
