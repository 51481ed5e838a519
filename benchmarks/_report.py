"""A line of the report, the table that a person reads, and the file that a later comparison reads."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """One thing measured. `value` None means: could not be measured here, and `note` says why."""

    topic: str
    what: str
    value: float | None
    unit: str
    goal: float | None = None
    ratio: float | None = None
    """Against the topic's baseline, measured in the same rounds."""
    spread: tuple[float, float] | None = None
    note: str = ""


def table(lines: Sequence[Line]) -> str:
    """Return the lines as text in columns."""
    rows = [("topic", "what", "median", "min..max", "ratio", "goal", "")]
    for line in lines:
        verdict = ""
        if line.goal is not None and line.value is not None:
            verdict = "met" if line.value <= line.goal else "MISSED"
        rows.append(
            (
                line.topic,
                line.what,
                "not measured" if line.value is None else _show(line.value, line.unit),
                "" if line.spread is None else "..".join(_show(value, "") for value in line.spread),
                "" if line.ratio is None else f"{line.ratio:.1f} x",
                "" if line.goal is None else f"{line.goal:g} {line.unit}",
                "; ".join(part for part in (verdict, line.note) if part),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    )


def write(lines: Sequence[Line], folder: Path) -> Path:
    """Write the lines, and the machine that they were measured on, as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    file = folder / f"bench-{now:%Y%m%d-%H%M%S}.json"
    machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    record = {"at": now.isoformat(), "machine": machine, "lines": [asdict(line) for line in lines]}
    file.write_text(json.dumps(record, indent=2) + "\n")
    return file


def _show(value: float, unit: str) -> str:
    number = f"{value:.0f}" if value >= 100 or float(value).is_integer() else f"{value:.3g}"
    return f"{number} {unit}".rstrip()
