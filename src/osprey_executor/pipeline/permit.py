"""What a run may write: what its grant says, verified anew at every write."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from osprey_executor.approval import grant_allows, verify_grant
from osprey_executor.config import Config
from osprey_executor.control import UnattendedPermit, WritePermit
from osprey_executor.errors import WriteRefused
from osprey_executor.models import ControlSystemReport, Grant


@dataclass(frozen=True)
class GrantPermit:
    """Checks signature, expiry, digest and channel again at every write."""

    grant: Grant
    run_id: str
    digest: str
    key: bytes = field(repr=False)

    def check(self, channel: str) -> None:
        """Return if the grant allows a write to `channel`.

        Raises:
            WriteRefused: it does not.
        """
        verify_grant(self.grant, key=self.key, run_id=self.run_id, digest=self.digest, now=datetime.now(UTC))
        if not grant_allows(self.grant.channels, channel):
            allowed = ", ".join(self.grant.channels) or "no channel"
            raise WriteRefused(f"{channel} is not among what was approved ({allowed})")

    def names(self, channel: str) -> bool:
        """Return whether the grant names the channel letter for letter."""
        return channel in self.grant.channels


def permit_for(config: Config, control: ControlSystemReport, grant: Grant | None, key: bytes) -> WritePermit | None:
    """Return what the run may write, None for a run that may not write at all."""
    if not control.writes_enabled:
        return None
    if grant is not None:
        return GrantPermit(grant, grant.run_id, grant.digest, key)
    if config.approval.mode == "disabled" and not control.real:
        return UnattendedPermit()
    return None
