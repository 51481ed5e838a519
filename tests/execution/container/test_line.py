"""The line delivers every item once and in order, whatever the connection loses."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from osprey_executor.execution.container.kernel.line import MOST, WINDOW, Line


class World:
    """Two ends, a connection between them, and a clock."""

    def __init__(self, seed: int, lost: float) -> None:
        self._random, self._lost = random.Random(seed), lost
        self.now = 0.0
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.flying: list[tuple[Line, dict[str, Any]]] = []
        self.most_flying = 0
        self.heard: tuple[list[Any], list[Any]] = ([], [])
        self.ends = [self._end(0), self._end(1)]

    def _end(self, me: int) -> Line:
        def send(message: dict[str, Any]) -> None:
            if self._random.random() >= self._lost:
                self.flying.append((self.ends[1 - me], message))
                self.most_flying = max(self.most_flying, len(self.flying))

        return Line(
            send,
            lambda item: self.heard[me].append(item["i"]),
            lambda delay, call: self.later.append((self.now + delay, call)),
            lambda: self.now,
            lambda: None,
        )

    def run(self) -> None:
        """Let messages arrive and time pass until nothing happens any more."""
        while self.flying or self.later:
            if self.flying:
                line, message = self.flying.pop(0)
                line.hear(message)
                continue
            self.later.sort(key=lambda entry: entry[0])
            self.now, call = self.later.pop(0)
            call()


def test_items_arrive_in_order_and_bounded() -> None:
    world = World(1, lost=0)
    for number in range(300):
        world.ends[0].put({"i": number, "b": "x" * (MOST // 3)})
    world.run()
    assert world.heard[1] == list(range(300))
    assert world.most_flying <= WINDOW + 5


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_or_doubled_when_the_connection_breaks(seed: int) -> None:
    world = World(seed, lost=0.3)
    for number in range(100):
        world.ends[0].put({"i": number, "b": "x" * (MOST // 5)})
        world.ends[1].put({"i": -number})
        if number % 7 == 0:
            world.run()
    for _ in range(200):
        world.run()
        if (len(world.heard[1]), len(world.heard[0])) == (100, 100):
            break
        world.ends[0].again()  # as after a reconnection
        world.ends[0].repeat()
    assert world.heard == ([-number for number in range(100)], list(range(100)))


def test_a_slow_other_end_is_noticed() -> None:
    world = World(1, lost=1)
    line = world.ends[0]
    while not line.full:
        line.put({"i": 0, "b": "x" * 100_000})
        world.run()
    assert world.heard[1] == []
