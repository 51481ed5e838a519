"""From what a connector's child tells of a channel to a sample."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from osprey_executor.control.connectors._protocol import ChannelKind, Sample
from osprey_executor.models import AlarmSeverity

_SEVERITIES = tuple(AlarmSeverity)


def _pair(told: Any) -> tuple[float, float] | None:
    return (told[0], told[1]) if told else None


def sample(channel: str, told: Mapping[str, Any]) -> Sample:
    """Return the sample that a child's answer describes.

    Args:
        channel: its name.
        told: `kind`, `dtype`, `count`, `writable`, `units`, `labels`, `control_limits` of the channel, and perhaps
            `precision`, `display_limits`, `low_alarms`, `high_alarms`; `value`, `severity`, `status` and `time`, in
            seconds since 1970, of the moment.
    """
    return Sample.model_construct(
        channel=channel,
        value=told["value"],
        units=told["units"],
        severity=_SEVERITIES[told["severity"]],
        status=told["status"],
        timestamp=None if told["time"] is None else datetime.fromtimestamp(told["time"], UTC),
        kind=ChannelKind(told["kind"]),
        dtype=told["dtype"],
        labels=tuple(told["labels"]),
        count=told["count"],
        writable=told["writable"],
        precision=told.get("precision"),
        display_limits=_pair(told.get("display_limits")),
        low_alarms=_pair(told.get("low_alarms")),
        high_alarms=_pair(told.get("high_alarms")),
        control_limits=_pair(told["control_limits"]),
    )
