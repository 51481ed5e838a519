"""A sample as a gateway is told of it; `connectors._samples.sample` reads it again."""

from __future__ import annotations

from typing import Any

from osprey_executor.control.connectors._protocol import Sample


def told_of(sample: Sample) -> dict[str, Any]:
    """Return a sample as the values of a message."""
    return {
        **described_by(sample),
        "value": sample.value,
        "severity": int(sample.severity),
        "status": sample.status,
        "time": None if sample.timestamp is None else sample.timestamp.timestamp(),
    }


def described_by(sample: Sample) -> dict[str, Any]:
    """Return the same without what is of the moment."""
    return {
        **{"value": None, "severity": 0, "status": "", "time": None},
        "units": sample.units,
        "kind": sample.kind.value,
        "dtype": sample.dtype,
        "labels": list(sample.labels),
        "count": sample.count,
        "writable": sample.writable,
        "precision": sample.precision,
        "display_limits": sample.display_limits,
        "low_alarms": sample.low_alarms,
        "high_alarms": sample.high_alarms,
        "control_limits": sample.control_limits,
    }
