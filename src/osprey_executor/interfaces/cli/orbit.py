"""The headline of the demo: the orbit before and after, from the results of its program."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rich.text import Text

_BEFORE = re.compile(r"rms_([a-z]+)_before_um")


def orbit_text(results: Mapping[str, Any]) -> Text | None:
    """Return one line a plane with the rms of the orbit before and after; None where the results do not tell."""
    text = Text()
    for name, before in results.items():
        plane = _BEFORE.fullmatch(name)
        after = results.get(f"rms_{plane[1]}_after_um") if plane else None
        if plane and isinstance(before, float) and isinstance(after, float):
            text.append("\n" if text else "")
            text.append(f"Orbit rms {plane[1]}: {before:.0f} µm before, ")
            text.append(f"{after:.0f} µm after", "bold green")
    return text or None
