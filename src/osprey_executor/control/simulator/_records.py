"""The records of the virtual accelerator: what a client of Channel Access sees and sets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import numpy as np

from osprey_executor.control.simulator._ring import Plane, VirtualRing

builder: Any = import_module("softioc.builder")  # as Any: softioc has no types

_NOISE_MM = 1e-3
_REFRESH_SECONDS = 0.1
_LARGEST_AMPERES = 5.0
_FILL_MILLIAMPERES = 500.0
_LIFETIME_HOURS = 10.0
_NO_ALARM, _INVALID = 0, 3


class Records:
    """`VA:BPM:nn:X|Y`, `VA:ORBIT:X|Y` (mm), `VA:HCM|VCM:nn:SP|RB` (A, driven to +-5), `VA:DCCT` (mA), `VA:ID`.

    A put-callback on a setpoint completes when the new orbit is in the records.

    Args:
        identity: text of `VA:ID`, which tells two simulators apart.
        seed: of the monitors' noise.
    """

    def __init__(self, ring: VirtualRing, *, identity: str, seed: int) -> None:
        self._ring = ring
        self._noise = np.random.default_rng(seed)
        self._started = time.monotonic()
        self._orbit = ring.orbit()
        builder.SetDeviceName("VA")
        self._orbits: list[Any] = [self._add_orbit(axis, ring.monitors) for axis in "XY"]
        self._dcct: Any = builder.aIn("DCCT", EGU="mA", PREC=3, initial_value=_FILL_MILLIAMPERES)
        builder.stringIn("ID", initial_value=identity)
        for plane in ("H", "V"):
            for number in _count(ring.correctors):
                self._add_corrector(plane, number)

    def publish(self) -> None:
        """Write the present orbit with fresh noise, and the beam current, into the records.

        Kicked too hard, the ring has no closed orbit: the current is zero then, and every position is INVALID.
        """
        stored = bool(np.isfinite(self._orbit).all())
        orbit = self._orbit if stored else np.zeros_like(self._orbit)
        seen = orbit + self._noise.normal(0.0, _NOISE_MM, orbit.shape)
        severity = _NO_ALARM if stored else _INVALID
        for record, positions in zip(self._orbits, seen, strict=True):
            record.set(positions, severity=severity)
        hours = (time.monotonic() - self._started) / 3600.0
        self._dcct.set(_FILL_MILLIAMPERES * float(np.exp(-hours / _LIFETIME_HOURS)) if stored else 0.0)

    async def refresh(self) -> None:
        """Publish ten times a second, for ever."""
        while True:
            self.publish()
            await asyncio.sleep(_REFRESH_SECONDS)

    def _add_orbit(self, axis: str, monitors: int) -> Any:
        """Make the waveform, and the monitors as records that the IOC itself fills from it, one after the other.

        Setting 72 records from Python takes 8 ms, this 0.3 ms. A forward link ends before the waveform is done.
        """
        orbit = builder.WaveformIn(f"ORBIT:{axis}", EGU="mm", PREC=4, initial_value=np.zeros(monitors))
        last = orbit
        for number in _count(monitors):
            source = f"VA:ORBIT:{axis}.VAL[{number - 1}] NPP MS"
            monitor = builder.records.ai(f"BPM:{number:02d}:{axis}", EGU="mm", PREC=4, INP=source, PINI="YES")
            last.FLNK = monitor
            last = monitor
        return orbit

    def _add_corrector(self, plane: Plane, number: int) -> None:
        name = f"{plane}CM:{number:02d}"
        read_back = builder.aIn(f"{name}:RB", EGU="A", PREC=4, initial_value=0.0)
        builder.aOut(
            f"{name}:SP",
            EGU="A",
            PREC=4,
            initial_value=0.0,
            DRVL=-_LARGEST_AMPERES,
            DRVH=_LARGEST_AMPERES,
            LOPR=-_LARGEST_AMPERES,
            HOPR=_LARGEST_AMPERES,
            on_update=self._steering(plane, number - 1, read_back),
            blocking=True,
            always_update=True,
        )

    def _steering(self, plane: Plane, index: int, read_back: Any) -> Callable[[float], Awaitable[None]]:
        async def steer(amperes: float) -> None:
            self._ring.set_current(plane, index, float(amperes))
            self._orbit = self._ring.orbit()
            read_back.set(float(amperes))
            self.publish()

        return steer


def _count(most: int) -> range:
    return range(1, most + 1)
