"""The headline of the demo: the orbit before and after, from the results of its program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text


def orbit_line(results: Mapping[str, Any]) -> Text | None:
    """Return one line with the rms of the orbit before and after; None where the results do not tell."""
    before, after = _number(results, "before"), _number(results, "after")
    if before is None or after is None:
        return None
    gain = f", {before / after:.1f} times smaller" if after else ""
    return Text.assemble(
        "Orbit rms: ", (f"{before:.0f} um before", "bold"), ", ", (f"{after:.0f} um after", "bold green"), gain
    )


def _number(results: Mapping[str, Any], word: str) -> float | None:
    for name, value in results.items():
        if word in name and "rms" in name:
            try:
                number = float(value)
            except (TypeError, ValueError):
                return None
            return number * 1e3 if name.endswith("mm") else number
    return None
