"""Numpy's random state, as a fork server renews it before each fork."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import numpy.random
from osprey_executor.guest.preload import _seeder_of

seed = _seeder_of(numpy.random)
assert seed is not numpy.random.seed, "this numpy is seeded the slow way"
drawn = []
for _ in range(3):
    seed()
    assert numpy.random.get_state()[2:] == (624, 0, 0.0), numpy.random.get_state()[2:]
    drawn.append(tuple(numpy.random.random(700)))
assert len(set(drawn)) == 3
numpy.random.seed(1)
assert numpy.random.randint(1000) == 37
numpy.random.mtrand._rand = numpy.random.RandomState(numpy.random.PCG64(1))
assert _seeder_of(numpy.random) is numpy.random.seed
"""


def test_numpy_is_seeded_in_place_or_by_itself() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=120)
