"""The card that a person sees, what they may decide, and the grant that follows."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field

from osprey_executor.errors import InvalidDecision
from osprey_executor.models.analysis import Effect, Finding, Verdict, WriteTarget
from osprey_executor.models.channel_limits import LimitsReport
from osprey_executor.models.execution import IsolationReport
from osprey_executor.models.people import Proof
from osprey_executor.models.plan import Envelope, Plan

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 over all that the approval binds, in lower-case hexadecimal."""

_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Approve:
    """Run exactly what the card of this digest shows; with the digest of its envelope, within that envelope."""

    digest: str
    remember: float = 0.0
    """Seconds for which the same program may start again without asking; only where the card allows it."""

    def __post_init__(self) -> None:
        if not isinstance(self.digest, str) or not _DIGEST.fullmatch(self.digest):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidDecision(
                f"approve needs the digest of the card, 64 hexadecimal digits, not {self.digest!r:.100}"
            )
        if not _is_duration(self.remember):
            raise InvalidDecision(f"approve remembers for a number of seconds, not for {self.remember!r:.100}")


def _is_duration(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value < inf


@dataclass(frozen=True)
class Reject:
    """Do not run it; with `regenerate`, tell the generator why and let it try again."""

    reason: str = ""
    regenerate: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str) or not isinstance(self.regenerate, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidDecision("reject takes a reason (text) and regenerate (true or false)")


@dataclass(frozen=True)
class Edit:
    """Replace the code. It is analysed again and asked again under a new digest."""

    code: str

    def __post_init__(self) -> None:
        if not isinstance(self.code, str) or not self.code.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidDecision("edit needs the new code as text")


Decision = Approve | Reject | Edit
_KINDS: dict[str, type[Decision]] = {"approve": Approve, "reject": Reject, "edit": Edit}


def decision_to_wire(decision: Decision) -> dict[str, Any]:
    """Return the JSON object of a decision: `{"decision": "approve", "digest": ...}` and likewise."""
    told = {"decision": type(decision).__name__.lower(), **asdict(decision)}
    if isinstance(decision, Approve) and not decision.remember:
        del told["remember"]
    return told


def parse_decision(wire: object, *, digest: str | None = None) -> Decision:
    """Return the decision that `wire` spells.

    Args:
        wire: a decision, or its JSON object `{"decision": "approve", "digest": ...}`.
        digest: where given (the LangGraph door), `{"approved": true | false}` is accepted and bound to it.

    Raises:
        InvalidDecision: anything else; strings, numbers and truthiness are never decisions.
    """
    if isinstance(wire, Decision):
        return wire
    if isinstance(wire, dict):
        fields = cast(dict[Any, Any], wire)
        if digest is not None and set(fields) == {"approved"} and isinstance(fields["approved"], bool):
            return Approve(digest) if fields["approved"] else Reject("rejected without a reason")
        kind = _KINDS.get(fields["decision"]) if isinstance(fields.get("decision"), str) else None
        if kind:
            try:
                return kind(**{name: value for name, value in fields.items() if name != "decision"})
            except TypeError as error:
                raise InvalidDecision(f"not the fields of a {fields['decision']!r} decision: {error}") from None
    raise InvalidDecision(
        f"{wire!r:.200} is not a decision: give Approve(digest), Reject(reason) or Edit(code), "
        'or on the wire {"decision": "approve", "digest": "..."} and likewise'
    )


class ControlSystemReport(BaseModel):
    """Which machine the code would talk to."""

    model_config = ConfigDict(frozen=True)

    type: str = "mock"
    real: bool = False
    """Whether writes reach hardware: everything but `mock` and `simulator`."""
    addresses: tuple[str, ...] = ()
    writes_enabled: bool = False
    limits: LimitsReport | None = None
    """The limits database in force; None: none is configured, and values are not bounded."""


class Approval(BaseModel):
    """A yes, and how it is known whose."""

    model_config = ConfigDict(frozen=True)

    by: str
    proof: Proof
    digest: Digest
    """Of what was approved."""
    at: datetime


class ApprovalCard(BaseModel):
    """Everything that a person needs for the decision, as one object. All text in it is hostile."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    digest: Digest
    headline: str
    """What would happen, in one sentence."""
    requester: str
    task: str
    generator: str
    code: str
    findings: tuple[Finding, ...] = ()
    effects: frozenset[Effect] = frozenset()
    verdict: Verdict
    reason: str
    writes: tuple[WriteTarget, ...] = ()
    limits: dict[str, str] = Field(default_factory=dict[str, str])
    """What the limits database says, in words, of each channel in `writes`."""
    isolation: IsolationReport
    control_system: ControlSystemReport
    unknowns: tuple[str, ...] = ()
    """What nobody can tell before the run, in words."""
    inputs: dict[str, Digest] = Field(default_factory=dict[str, str])
    plan: Plan | None = None
    """What its rehearsal would have written: that is what an approval grants. None: nothing ran yet, and an approval
    lets the program start, without the right to write."""
    envelope: Envelope | None = None
    """What may be approved instead of the plan."""
    rules: tuple[str, ...] = ()
    """What the site demands of a run that writes, and what it does when one fails, in words."""
    output: str = ""
    """What the rehearsal printed, its end."""
    figures: tuple[Path, ...] = ()
    """Of the rehearsal."""
    attempt: int = 1
    persons: int = 1
    """How many must approve it, none of them the requester where it is more than one."""
    approved_by: tuple[Approval, ...] = ()
    """Who has, as long as it waits for more."""
    approval: str = ""
    """How it is known who approves, where a real machine is moved: `advisory approval: ...`, or what it needs."""
    standing: Digest | None = None
    """Digest of all that the approval binds but the run: the same in a later run of the same program."""
    remember: float = 0.0
    """Seconds for which an approver may say that the same program starts without asking; 0: not this one."""
    created_at: datetime
    expires_at: datetime

    @property
    def digests(self) -> tuple[str, ...]:
        """Everything of which an approval can hold the digest: the card, and the envelope on it."""
        return (self.digest, self.envelope.digest) if self.envelope else (self.digest,)


class CardRecord(BaseModel):
    """A card that was shown, and what became of it."""

    model_config = ConfigDict(frozen=True)

    card: ApprovalCard
    decision: Decision | None = None
    """None: nobody has decided it."""
    by: str = ""
    proof: str = ""
    """How it is known who that was; of two approvers in their order."""
    at: datetime | None = None


class Grant(BaseModel):
    """An approval, signed over exactly what was approved. Single use."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    digest: Digest
    """Of the card."""
    plan: Digest
    """Of the plan on the card."""
    envelope: Envelope | None = None
    """None: the plan is granted, write by write."""
    approver: str
    proof: str = ""
    """How it is known who that was; of two approvers in their order."""
    issued_at: datetime
    expires_at: datetime
    signature: str = ""
