"""What `doctor` reports: one forbidden or needed thing, tried."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Probe(BaseModel):
    """One check. `ok` is what was seen, never what was assumed."""

    model_config = ConfigDict(frozen=True)

    name: str
    """What was tried: `read a host file`, `open a TCP connection`."""
    outcome: Literal["ok", "failed", "unavailable"]
    """`ok`: refused as it must be, or works as needed; `failed`: a layer is off; `unavailable`: not to be had here."""
    detail: str = ""
    """What was seen: the refusal's own words, or cause and remedy."""
