"""After a write: whether the read-back shows what was written."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from osprey_executor.control.broker._values import shown
from osprey_executor.control.connectors._protocol import ChannelKind, Connector, Sample
from osprey_executor.control.limits._check import present_value
from osprey_executor.control.limits._entry import Verification
from osprey_executor.errors import ControlSystemError
from osprey_executor.models import AlarmSeverity
from osprey_executor.text import one_line

_AGAIN_SECONDS = 0.1


async def disagreement(connector: Connector, channel: str, value: Any, verification: Verification) -> str | None:
    """Read back until the written value shows, or its time to settle is over; return what is wrong then.

    Args:
        connector: the control system.
        channel: that was written.
        value: as it was sent.
        verification: how to verify it; of level `readback`.
    """
    where = verification.read_back or channel
    ends = time.monotonic() + verification.settle_time
    while True:
        try:
            sample = (await connector.read([where]))[where]
            wrong = None if agrees(value, sample, verification) else f"reads {shown(sample.value)}"
            if sample.severity is AlarmSeverity.INVALID:
                wrong = "is INVALID, says its alarm severity"
        except ControlSystemError as error:
            wrong = f"cannot be read back: {one_line(str(error))}"
        left = ends - time.monotonic()
        if wrong is None or left <= 0:
            break
        await asyncio.sleep(min(left, _AGAIN_SECONDS))
    if wrong is None:
        return None
    within = f" within {verification.settle_time:g} s" if verification.settle_time else ""
    return f"written and confirmed as {shown(value)}, but {one_line(where)} {wrong}{within}"


def agrees(value: Any, sample: Sample, verification: Verification) -> bool:
    """Return whether a read-back shows a written value, numbers within the tolerance."""
    if isinstance(value, str):
        return sample.value == value
    if isinstance(value, int | float):
        seen = present_value(sample)
        return seen is not None and abs(seen - value) <= verification.tolerance(value)
    if sample.kind is not ChannelKind.ARRAY or len(sample.value) < len(value):
        return False
    pairs = zip(value.tolist(), sample.value.tolist(), strict=False)
    return all(abs(seen - each) <= verification.tolerance(each) for each, seen in pairs)
