"""Progress of the program on its way to whoever watches: clamped, cut, and never more than 20 reports a second."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Any

from osprey_executor.execution._events import EngineEvent, ProgressReport
from osprey_executor.execution._guest_frames import Malformed

_GAP = 0.05
_LONGEST = 500
_log = logging.getLogger(__name__)


class ProgressRelay:
    """Hands on the first report at once, of a flood only the latest, and always the last."""

    def __init__(self, on_event: Callable[[EngineEvent], None] | None) -> None:
        self._on_event = on_event
        self._waiting: ProgressReport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def take(self, fraction: Any, message: Any) -> None:
        """Take one report as the guest wrote it.

        Raises:
            Malformed: it is not one.
        """
        if isinstance(fraction, dict):  # nan and the infinities, as the codec spells them
            fraction = {"inf": 1.0}.get(str(fraction.get("value")), 0.0)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        if type(fraction) not in (int, float) or not isinstance(message, str):
            raise Malformed("a report of progress that is not one")
        clean = message[:_LONGEST].encode("utf-8", "backslashreplace").decode()
        share = min(1.0, max(0.0, fraction)) if math.isfinite(fraction) else 0.0
        self._waiting = ProgressReport(float(share), clean)
        if self._timer is None:
            self._flush()
            self._timer = asyncio.get_running_loop().call_later(_GAP, self._again)

    def close(self) -> None:
        """Hand on what still waits."""
        if self._timer is not None:
            self._timer.cancel()
        self._flush()

    def _again(self) -> None:
        self._timer = None
        if self._waiting is not None:
            self._flush()
            self._timer = asyncio.get_running_loop().call_later(_GAP, self._again)

    def _flush(self) -> None:
        report, self._waiting = self._waiting, None
        if report is not None:
            tell(self._on_event, report)


def tell(on_event: Callable[[EngineEvent], None] | None, event: EngineEvent) -> None:
    """Hand an event to whoever watches; what they make of it is logged, and costs the program nothing."""
    if on_event is None:
        return
    try:
        on_event(event)
    except Exception:
        _log.exception("whoever watches the run failed to take a %s", type(event).__name__)
