"""Server-sent events of a run, read line by line (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import json
import math
import time
from typing import Any, Final, cast

import httpx
from pydantic import TypeAdapter, ValidationError

from osprey_executor.client._calls import events_path
from osprey_executor.client._link import refusal, unreachable
from osprey_executor.errors import ExecutionTimeoutError, PythonExecutorException, ServiceUnreachableError
from osprey_executor.models.events import Event

_FAILURES: Final = 30
"""How often in a row a stream may break before its reader gives up: as long as a service needs to start again."""
PAUSE_SECONDS: Final = 1.0
_SILENCE_SECONDS: Final = 60.0
"""After which a stream has broken: a service that has nothing to tell says so more often."""
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class Reading:
    """The place up to which the events of a run have been read; it outlives a connection."""

    def __init__(self, run_id: str, after: int = 0, timeout: float | None = None) -> None:
        """Read the events of a run behind number `after`, for `timeout` seconds at most."""
        self._run_id = run_id
        self._last = after
        self._end = None if timeout is None else time.monotonic() + timeout
        self._fields: dict[str, str] = {}
        self._failures = _FAILURES

    def request(self) -> dict[str, Any]:
        """Return what asks for the events from here on, as httpx takes it.

        Raises:
            ExecutionTimeoutError: the time is over.
        """
        left = math.inf if self._end is None else self._end - time.monotonic()
        if left <= 0:
            raise ExecutionTimeoutError(f"run {self._run_id} goes on")
        self._fields = {}
        return {
            "method": "GET",
            "url": events_path(self._run_id),
            "headers": {"Last-Event-ID": str(self._last), "Accept": "text/event-stream"},
            "timeout": httpx.Timeout(_SILENCE_SECONDS, read=min(left, _SILENCE_SECONDS)),
        }

    def broken(self, error: httpx.HTTPError | None, base: httpx.URL) -> None:
        """Take note that a stream broke, or ended before the events did (None).

        Raises:
            ServiceUnreachableError: there was none yet, or it has happened too often.
        """
        timed_out = isinstance(error, httpx.ReadTimeout) and self._end is not None
        self._failures += 0 if timed_out else 1
        if self._failures > _FAILURES:
            raise unreachable(error or httpx.ReadError("the events of the run break off"), base)

    def line(self, text: str) -> Event | None:
        """Take one line, and return the event that it ends.

        Raises:
            ExecutionTimeoutError: the time is over.
            PythonExecutorException: the service broke off with it.
            ServiceUnreachableError: that is no event of a service.
        """
        self._failures = 0
        if self._end is not None and time.monotonic() > self._end:
            raise ExecutionTimeoutError(f"run {self._run_id} goes on")
        if text:
            name, _, value = text.partition(":")
            if name:
                self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        if fields.get("event") == "error":
            raise _broken_off(fields["data"])
        try:
            event = _EVENT.validate_json(fields["data"])
            self._last = int(fields.get("id", self._last))
        except (ValueError, ValidationError) as error:
            raise ServiceUnreachableError(f"that is no event of a service: {error}") from None
        return event


def _broken_off(data: str) -> PythonExecutorException:
    try:
        told = cast("dict[str, Any]", json.loads(data))
        return refusal(str(told["error"]), str(told["message"]))
    except (ValueError, KeyError, TypeError):
        return ServiceUnreachableError("the service broke off the events of the run, and does not say why")
