"""The physics of the virtual accelerator: a ring with misaligned quadrupoles; corrector currents in, orbit out."""

from __future__ import annotations

from importlib import import_module, resources
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

at: Any = import_module("at")  # as Any: pyAT is typed in part only

Plane = Literal["H", "V"]

MISALIGNMENT = 50e-6
"""Standard deviation of the quadrupoles' transverse offsets, in metres."""
RAD_PER_AMPERE = 2e-4
"""Kick of a corrector, in radians per ampere, the same for both planes."""
_QUADRUPOLES_PER_CELL = 9


class VirtualRing:
    """A double-bend achromat ring of 56 m, out of the lattices that pyAT ships.

    A beam position monitor sits at each of the 36 quadrupoles; every second quadrupole of a cell (16 of them) carries
    a horizontal and a vertical corrector winding.

    Args:
        seed: of the misalignments; the same seed gives the same orbit.
    """

    def __init__(self, seed: int) -> None:
        lattice = resources.files("machine_data").joinpath("dba.mat")
        with resources.as_file(lattice) as path:
            self._ring = at.load_lattice(str(path))
        self._ring.disable_6d()
        # The lattice splits each quadrupole in two halves: monitors stand before the first, windings are on the second.
        halves = at.get_refpts(self._ring, at.Quadrupole).reshape(-1, 2)
        self._monitors = halves[:, 0]
        wound = halves.reshape(-1, _QUADRUPOLES_PER_CELL, 2)[:, 1::2, 1].ravel()
        self._correctors = [self._ring[int(place)] for place in wound]
        self._misalign(halves, np.random.default_rng(seed))
        self.currents: dict[Plane, NDArray[np.float64]] = {
            "H": np.zeros(len(self._correctors)),
            "V": np.zeros(len(self._correctors)),
        }

    @property
    def monitors(self) -> int:
        """Number of beam position monitors."""
        return len(self._monitors)

    @property
    def correctors(self) -> int:
        """Number of correctors in each plane."""
        return len(self._correctors)

    def set_current(self, plane: Plane, index: int, amperes: float) -> None:
        """Set the current of one corrector. The kick is the dipole term of its magnet's field expansion."""
        self.currents[plane][index] = amperes
        magnet = self._correctors[index]
        kick = amperes * RAD_PER_AMPERE / magnet.Length
        if plane == "H":
            magnet.PolynomB[0] = -kick
        else:
            magnet.PolynomA[0] = kick

    def orbit(self) -> NDArray[np.float64]:
        """Return the closed orbit at the monitors in millimetres, shape (2, monitors): horizontal, vertical."""
        _, rays = at.find_orbit4(self._ring, refpts=self._monitors)
        return np.asarray(rays[:, [0, 2]].T * 1e3, dtype=np.float64)

    def _misalign(self, halves: Any, rng: np.random.Generator) -> None:
        for first, second in halves:
            x, y = rng.normal(0.0, MISALIGNMENT, 2)
            shift = np.array([x, 0.0, y, 0.0, 0.0, 0.0])
            for half in (self._ring[int(first)], self._ring[int(second)]):
                half.T1, half.T2 = -shift, shift.copy()
