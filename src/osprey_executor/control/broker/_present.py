"""The channels of a plan as they are now, for whoever looks at its card: read, compared, never written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from osprey_executor.control.broker._start import held, same
from osprey_executor.control.broker._values import shown
from osprey_executor.control.connectors._protocol import Connector, Sample
from osprey_executor.errors import ControlSystemError
from osprey_executor.models import ChannelNow, ChannelStart, Plan
from osprey_executor.text import one_line


async def present_of(plan: Plan, connector: Connector) -> tuple[ChannelNow, ...]:
    """Return every channel that the rehearsal could read, in its order, as it is now."""
    names = list(plan.start)
    samples: Mapping[str, Sample | ControlSystemError]
    try:
        samples = await connector.read(names) if names else {}
    except ControlSystemError:  # one that is away must not hide the others
        samples = dict(zip(names, await asyncio.gather(*(_one(connector, name) for name in names)), strict=True))
    return tuple(_now(name, plan.start[name], samples[name]) for name in names)


async def _one(connector: Connector, name: str) -> Sample | ControlSystemError:
    try:
        return (await connector.read([name]))[name]
    except ControlSystemError as error:
        return error


def _now(name: str, start: ChannelStart, sample: Sample | ControlSystemError) -> ChannelNow:
    if isinstance(sample, ControlSystemError):
        return ChannelNow(channel=name, drifted=True, problem=one_line(str(sample), 200))
    value = held(sample)
    return ChannelNow(
        channel=name,
        shown="" if value is None else one_line(shown(sample.value), 120),
        drifted=not same(start.value, value, start.tolerance),
    )
