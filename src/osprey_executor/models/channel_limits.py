"""What is said of the limits database: which one is in force, and how it compares with the machine."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

FindingKind = Literal["not_found", "wrong_type", "wider", "outside", "no_read_back", "no_write_access"]


class LimitsReport(BaseModel):
    """The limits database of a configuration, as it was read."""

    model_config = ConfigDict(frozen=True)

    path: str
    digest: str | None = None
    """SHA-256 of the file, in lower-case hexadecimal; None where it cannot be read."""
    channels: int = 0
    patterns: int = 0
    allow_unlisted: bool = False
    skip: bool = False
    """Whether writes outside their limits are left out, where they would else end the call."""
    problem: str | None = None
    """Why it cannot be used, with file and place; then nothing is written."""

    @property
    def counted(self) -> str:
        """How much it holds, in words."""
        channels = f"{self.channels} channel{'' if self.channels == 1 else 's'}"
        patterns = f", {self.patterns} pattern{'' if self.patterns == 1 else 's'}" if self.patterns else ""
        return channels + patterns


class LimitsFinding(BaseModel):
    """Where the limits database and the machine disagree."""

    model_config = ConfigDict(frozen=True)

    channel: str
    kind: FindingKind
    detail: str


class LimitsCheck(BaseModel):
    """What `limits check` found. Nothing was written."""

    model_config = ConfigDict(frozen=True)

    database: LimitsReport
    looked_at: int = 0
    """Channels that answered."""
    live: str = ""
    """Why no channel was looked at; empty where some were."""
    findings: tuple[LimitsFinding, ...] = ()
