"""A kill switch at the machine: a channel whose value stops every write."""

from __future__ import annotations

import time

from osprey_executor.control.broker._check import readable
from osprey_executor.control.broker._start import held
from osprey_executor.control.connectors._protocol import Connector
from osprey_executor.errors import ControlSystemError
from osprey_executor.text import one_line

_FRESH = 0.05
"""Seconds for which a look counts: within 100 ms the switch must have its effect."""


class StopChannel:
    """Writes are allowed while the channel is 0 and can be read.

    Args:
        connector: of the control system that is written to.
        name: of the channel; a number, or an enum, whose first state allows writes.
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
            value = held(samples[self._name])
        except (ControlSystemError, KeyError) as error:
            return f"the stop channel {name} cannot be read, so nothing is written: {one_line(str(error), 300)}"
        if value != 0:
            shown = one_line(repr(samples[self._name].value), 100)
            return f"writes are stopped at the machine: {name} is {shown}"
        self._was_off = begun
        return None
