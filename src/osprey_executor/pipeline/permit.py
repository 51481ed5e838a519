"""What a run may write: what its grant says, verified anew at every write."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from osprey_executor.approval import plan_digest, verify_grant
from osprey_executor.config import Config
from osprey_executor.control import UnattendedPermit, WritePermit, is_command, plain, same
from osprey_executor.errors import WriteRefused
from osprey_executor.models import ApprovalCard, ChannelStart, ControlSystemReport, Envelope, Grant, Plan
from osprey_executor.text import one_line

_MOST_TOLD = 5


class _GrantPermit:
    """What both kinds of grant have: a signature and an end, checked at every write.

    Args:
        grant: as it was given.
        card: that was approved.
        plan: on it.
        key: signs grants.
    """

    def __init__(self, grant: Grant, card: ApprovalCard, plan: Plan, key: bytes) -> None:
        if plan_digest(plan) != grant.plan:
            raise WriteRefused("the plan is another than the one that was approved")
        self._grant, self._run_id, self._digest, self._key = grant, card.run_id, card.digest, key
        self._plan = plan
        # A clock that is set back during the run prolongs nothing.
        self._expires = time.monotonic() + (grant.expires_at - datetime.now(UTC)).total_seconds()
        self.left: str | None = None
        """How this run has left what was approved; None: it has not."""

    @property
    def unmade(self) -> str | None:
        """Return None: an envelope allows writes, and wants none."""
        return None

    @property
    def start(self) -> Mapping[str, ChannelStart]:
        """The channels as the card showed them."""
        return self._plan.start

    def _still_valid(self) -> None:
        now = datetime.now(UTC)
        if time.monotonic() >= self._expires:
            now = max(now, self._grant.expires_at)
        verify_grant(self._grant, key=self._key, run_id=self._run_id, digest=self._digest, now=now)
        if self.left is not None:
            raise WriteRefused(f"this run has left what was approved, and writes nothing more: {self.left}")

    def _leaves(self, what: str) -> WriteRefused:
        self.left = what
        return WriteRefused(what)


class PlanPermit(_GrantPermit):
    """Exactly the writes of the plan, in their order. Whoever leaves it writes nothing more."""

    def __init__(self, grant: Grant, card: ApprovalCard, plan: Plan, key: bytes) -> None:
        super().__init__(grant, card, plan, key)
        self._channels = frozenset(write.channel for write in plan.writes)
        # What the limits leave out (on_violation: skip) is told as that, now as in the rehearsal.
        self._tried = self._channels | {refusal.channel for refusal in plan.refused}
        self._next = 0

    def allows(self, channel: str) -> None:
        """Return if the program tried to write `channel` in its rehearsal.

        Raises:
            WriteRefused: it does not.
        """
        self._still_valid()
        if channel not in self._tried:
            raise self._leaves(f"{one_line(channel)} is not in the plan that was approved")

    def check(self, channel: str, value: Any, ahead: int = 0) -> None:
        """Return if the plan has this write at this place.

        Raises:
            WriteRefused: it has another one there, or none.
        """
        self._still_valid()
        place = self._next + ahead
        if place >= len(self._plan.writes):
            raise self._leaves(f"{len(self._plan.writes)} writes were approved, and this would be one more")
        planned = self._plan.writes[place]
        if channel != planned.channel:
            raise self._leaves(
                f"write {planned.index} was approved for {one_line(planned.channel)}, not for {one_line(channel)}"
            )
        if planned.command != is_command(value) or not same(plain(value), planned.value, planned.tolerance):
            within = f" within {planned.tolerance:g}" if planned.tolerance else ""
            approved = f"{one_line(channel)} = {one_line(str(planned.value), 80)}{within}"
            raise self._leaves(
                f"write {planned.index} was approved as {approved}, not as {one_line(str(plain(value)), 80)}"
            )

    def wrote(self, channel: str, value: Any) -> None:
        """Go on to the next write of the plan."""
        self._next += 1

    @property
    def unmade(self) -> str | None:
        """Return which writes of the plan were not made, in words; None: all were."""
        writes = self._plan.writes
        if not (left := writes[self._next :]):
            return None
        told = ", ".join(f"{one_line(one.channel, 60)} = {one_line(one.shown, 40)}" for one in left[:_MOST_TOLD])
        more = f" and {len(left) - _MOST_TOLD} more" if len(left) > _MOST_TOLD else ""
        return f"{len(left)} of {len(writes)} approved writes were not made: {told}{more}"

    def names(self, channel: str) -> bool:
        """Return whether the plan names the channel; it knows no patterns."""
        return channel in self._channels


class EnvelopePermit(_GrantPermit):
    """Any value in the approved ranges, in any order, so many times, so long."""

    def __init__(self, grant: Grant, envelope: Envelope, card: ApprovalCard, plan: Plan, key: bytes) -> None:
        super().__init__(grant, card, plan, key)
        self._channels = {one.channel: one for one in envelope.channels}
        self._tried = self._channels.keys() | {refusal.channel for refusal in plan.refused}
        self._ends = time.monotonic() + envelope.seconds
        self._seconds = envelope.seconds
        self._count: dict[str, int] = {}
        self._last = {name: start.value for name, start in plan.start.items()}

    def allows(self, channel: str) -> None:
        """Return if the envelope has `channel`, and its time is not over.

        Raises:
            WriteRefused: it has not, or it is.
        """
        self._still_valid()
        if channel not in self._tried:
            raise self._leaves(f"{one_line(channel)} is not in the envelope that was approved")
        if time.monotonic() >= self._ends:
            raise self._leaves(f"the {self._seconds:g} s of the envelope are over")

    def check(self, channel: str, value: Any, ahead: int = 0) -> None:
        """Return if the value is in the channel's range, near enough to the one before, and not one too many.

        Raises:
            WriteRefused: it is not.
        """
        self.allows(channel)
        allowed = self._channels.get(channel)
        if allowed is None:
            raise self._leaves(f"{one_line(channel)} is not in the envelope that was approved")
        if isinstance(value, bool) or not isinstance(value, int | float) or not allowed.low <= value <= allowed.high:
            raise self._leaves(f"{one_line(channel)} was approved from {allowed.low:g} to {allowed.high:g}")
        if self._count.get(channel, 0) >= allowed.writes:
            raise self._leaves(f"{allowed.writes} writes to {one_line(channel)} were approved, this would be one more")
        last = self._last.get(channel)
        if allowed.max_step is None:
            return
        if not isinstance(last, int | float):
            raise self._leaves(f"{one_line(channel)}: its last value is not known, so the step cannot be bounded")
        if abs(value - last) > allowed.max_step and not same(abs(value - last), allowed.max_step):
            raise self._leaves(f"{one_line(channel)} was approved in steps of {allowed.max_step:g} at most")

    def wrote(self, channel: str, value: Any) -> None:
        """Count the write."""
        self._count[channel] = self._count.get(channel, 0) + 1
        self._last[channel] = plain(value)

    def names(self, channel: str) -> bool:
        """Return whether the envelope names the channel; it knows no patterns."""
        return channel in self._channels


def permit_for(
    config: Config,
    control: ControlSystemReport,
    grant: Grant | None,
    card: ApprovalCard | None,
    key: bytes,
    *,
    allowed: bool = False,
) -> WritePermit | None:
    """Return what the run may write, None for a run that may not write at all.

    Args:
        config: of the run.
        control: which machine it talks to.
        grant: of its approval.
        card: that was approved.
        key: signs grants.
        allowed: whether a rule of the site lets it write without asking; that counts on a simulated machine alone.

    Raises:
        WriteRefused: the grant is not for the plan on the card.
    """
    if not control.writes_enabled:
        return None
    if grant is not None and card is not None and card.plan is not None:
        if grant.envelope is not None:
            return EnvelopePermit(grant, grant.envelope, card, card.plan, key)
        return PlanPermit(grant, card, card.plan, key)
    if (allowed or config.approval.mode == "disabled") and not control.real:
        return UnattendedPermit()
    return None
