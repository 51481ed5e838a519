"""The envelope that a closed loop needs: ranges in which it may write as it likes, prefilled for the approver."""

from __future__ import annotations

from osprey_executor.approval.digest import digest_of
from osprey_executor.models import ChannelStart, Envelope, EnvelopeChannel, Plan

_TIMES = 10
"""A closed loop may take more turns than its rehearsal did: so many times the writes of the plan."""
_LEAST_WRITES = 100


def proposed_envelope(plan: Plan, card_digest: str, seconds: float) -> Envelope | None:
    """Return the envelope that stands beside a plan, None where none is needed or one cannot be drawn.

    It is needed where the plan cannot tell what the machine's answers will make of the program, and where the program
    itself declares ranges. Each range is that of the declaration within the limits of database and control system; it
    cannot be drawn where a channel has no range from anywhere. A channel that could not be read is not in it.

    Args:
        plan: of the rehearsal.
        card_digest: of the card on which it stands; the envelope holds for that card alone.
        seconds: time limit of the run.
    """
    if plan.conclusive and not plan.simulated and not plan.declared:
        return None
    if any(write.command for write in plan.writes):  # it would be refused: no range holds a command
        return None
    counts: dict[str, int] = dict.fromkeys(plan.declared, 0)
    for write in plan.writes:
        counts[write.channel] = counts.get(write.channel, 0) + 1
    channels: list[EnvelopeChannel] = []
    for name, count in counts.items():
        if name not in plan.start:  # nobody could say later whether somebody else has turned it
            continue
        drawn = _range(plan.start[name], plan.declared.get(name))
        if drawn is None:
            return None
        step = plan.start[name].max_step
        most = max(_TIMES * count, _LEAST_WRITES)
        channels.append(EnvelopeChannel(channel=name, low=drawn[0], high=drawn[1], max_step=step, writes=most))
    if not channels:
        return None
    drawn_up = Envelope(digest="0" * 64, channels=tuple(channels), seconds=seconds)
    return drawn_up.model_copy(update={"digest": envelope_digest(drawn_up, card_digest)})


def envelope_digest(envelope: Envelope, card_digest: str) -> str:
    """Return the digest of an envelope on the card of `card_digest`."""
    return digest_of({"card": card_digest, "envelope": envelope.model_dump(exclude={"digest"})})


def _range(start: ChannelStart, declared: tuple[float, float] | None) -> tuple[float, float] | None:
    lows = [each for each in (start.low, declared[0] if declared else None) if each is not None]
    highs = [each for each in (start.high, declared[1] if declared else None) if each is not None]
    if not lows or not highs or not max(lows) <= min(highs):
        return None
    return max(lows), min(highs)
