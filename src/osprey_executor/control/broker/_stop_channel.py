"""A kill switch at the machine: a channel whose value stops every write."""

from __future__ import annotations

import time

from osprey_executor.control.broker._check import readable
from osprey_executor.control.connectors._protocol import Connector
from osprey_executor.errors import ControlSystemError
from osprey_executor.text import one_line

_FRESH = 0.05
"""Seconds for which a look counts: within 100 ms the switch must have its effect."""
_FALSE = (0, 0.0)


class StopChannel:
    """Writes are allowed while the channel is 0 and can be read.

    Args:
        connector: of the control system that is written to.
        name: of the channel; a number or an enum.
    """

    def __init__(self, connector: Connector, name: str) -> None:
        self._connector = connector
        self._name = name
        self._was_off = float("-inf")

    async def on(self) -> str | None:
        """Return why nothing may be written now; None: it is off."""
        begun = time.monotonic()
        if begun - self._was_off < _FRESH:
            return None
        name = one_line(self._name, 100)
        try:
            samples = await self._connector.read([self._name])
            readable(samples)
            value = samples[self._name].value
        except (ControlSystemError, KeyError) as error:
            return f"the stop channel {name} cannot be read, so nothing is written: {one_line(str(error), 300)}"
        if isinstance(value, bool) or value not in _FALSE:
            return f"writes are stopped at the machine: {name} is {one_line(repr(value), 100)}"
        self._was_off = begun
        return None
