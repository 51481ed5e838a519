"""A line of the report, the table that a person reads, and the file that a later comparison reads."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from _measure import Cost, percentile, spread


@dataclass(frozen=True)
class Line:
    """One thing measured. `value` None means: could not be measured here, and `note` says why."""

    topic: str
    what: str
    value: float | None
    unit: str
    goal: float | None = None
    at_least: bool = False
    """Whether the goal is met by more; else by less."""
    ratio: float | None = None
    """Against the topic's baseline, measured in the same rounds."""
    spread: tuple[float, float] | None = None
    note: str = ""


def cost(topic: str, costs: Mapping[str, Sequence[Cost]], *, baseline: str, clock: str = "wall") -> list[Line]:
    """Return for each subject its median time, in milliseconds, and the ratio to that of the baseline."""
    base = percentile(costs[baseline], clock, 0.5)
    return [
        Line(
            topic,
            what,
            percentile(tries, clock, 0.5) * 1e3,
            "ms",
            ratio=percentile(tries, clock, 0.5) / base,
            spread=spread(tries, clock, 1e3),
        )
        for what, tries in costs.items()
    ]


def against(
    topic: str, what: str, costs: Mapping[str, Sequence[Cost]], base: str, share: float, *, goal: float | None = None
) -> Line:
    """Return how the wall time that `share` of the tries keep compares with the same of `base`."""
    value, same = (percentile(costs[name], "wall", share) for name in (what, base))
    note = f"{_show(value * 1e3, 'ms')} against {_show(same * 1e3, 'ms')}, {len(costs[what])} rounds"
    if share != 0.5:
        note += f"; {value / percentile(costs[base], 'wall', 0.5):.3g} x its median"
    return Line(topic, f"{what}, against {base}, p{100 * share:.0f}", value / same, "x", goal, note=note)


def table(lines: Sequence[Line]) -> str:
    """Return the lines as text in columns."""
    rows = [("topic", "what", "seen", "min..max", "ratio", "goal", "")]
    for line in lines:
        verdict = ""
        if line.goal is not None and line.value is not None:
            met = line.value >= line.goal if line.at_least else line.value <= line.goal
            verdict = "met" if met else "NOT MET"
        rows.append(
            (
                line.topic,
                line.what,
                "not measured" if line.value is None else _show(line.value, line.unit),
                "" if line.spread is None else "..".join(_show(value, "") for value in line.spread),
                "" if line.ratio is None else f"{line.ratio:.3g} x",
                "" if line.goal is None else f"{'>=' if line.at_least else '<='} {line.goal:g} {line.unit}",
                "; ".join(part for part in (verdict, line.note) if part),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    )


def write(lines: Sequence[Line], folder: Path, kind: str = "bench") -> Path:
    """Write the lines, and the machine that they were measured on, as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    file = folder / f"{kind}-{now:%Y%m%d-%H%M%S}.json"
    machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    record = {"at": now.isoformat(), "machine": machine, "lines": [asdict(line) for line in lines]}
    file.write_text(json.dumps(record, indent=2) + "\n")
    return file


def _show(value: float, unit: str) -> str:
    number = f"{value:.0f}" if value >= 100 or float(value).is_integer() else f"{value:.3g}"
    return f"{number} {unit}".rstrip()
