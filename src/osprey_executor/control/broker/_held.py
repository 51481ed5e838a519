"""Whether a run, and no other one, may write a channel now: the port through which leases reach the broker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from osprey_executor.control.broker._check import Attempt

Held = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
"""Takes canonical names; returns why which of them may not be written now. Asked again before every single write."""


async def anyone(channels: Sequence[str]) -> Mapping[str, str]:
    """Refuse nothing: whoever has the connector is its only user."""
    return {}


async def with_held(attempts: list[Attempt], held: Held) -> list[Attempt]:
    """Return attempts with those refused that this run may not write now."""
    asked = [attempt.channel for attempt in attempts if not attempt.problem]
    refused = await held(asked) if asked else dict[str, str]()
    return [
        replace(attempt, problem=refused[attempt.channel])
        if not attempt.problem and attempt.channel in refused
        else attempt
        for attempt in attempts
    ]
