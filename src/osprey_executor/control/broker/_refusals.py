"""What a run was refused: kept in order, journalled, and told; bounded, as a program may try for ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from osprey_executor.control.broker._check import Attempt
from osprey_executor.control.broker._journal import Journal
from osprey_executor.control.broker._values import shown
from osprey_executor.errors import ChannelLimitsViolationError, WriteRefused
from osprey_executor.models import Refusal
from osprey_executor.text import one_line

_MOST = 10_000
_MOST_UNCHECKED = 1000
_TOGETHER = "another write of the same call was refused"


class Refusals:
    """The refusals of one run; the first ten thousand are kept."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._kept: list[Refusal] = []
        self._unchecked = 0

    @property
    def notes(self) -> Sequence[str]:
        """What the journal has no line of: attempts that were too many."""
        more = self._unchecked - _MOST_UNCHECKED
        return (
            (f"{more} more attempts that cannot be checked were refused; the journal has their count",)
            if more > 0
            else ()
        )

    @property
    def kept(self) -> Sequence[Refusal]:
        """Refusals in order."""
        return tuple(self._kept)

    @property
    def full(self) -> bool:
        """Whether nothing more is kept."""
        return len(self._kept) >= _MOST

    def refuse(self, refused: Sequence[Attempt], attempts: Sequence[Attempt]) -> NoReturn:
        """Journal the refused attempts, and the others of their call as not sent, and raise.

        Raises:
            WriteRefused: always; ChannelLimitsViolationError where the first one is outside its limits.
        """
        first = refused[0]
        message = f"{one_line(first.channel)} = {shown(first.value)}: refused: {first.problem}"
        if len(refused) > 1:
            message += f" (and {len(refused) - 1} more refused)"
        if len(attempts) > len(refused):
            message += "; nothing of this call was sent"
        numbers = {attempt.number for attempt in refused}
        self._keep(refused, [attempt for attempt in attempts if attempt.number not in numbers], skipped=False)
        raise (ChannelLimitsViolationError if first.rule else WriteRefused)(message)

    def refuse_unchecked(self, attempt: Attempt) -> NoReturn:
        """Refuse what cannot be checked: the first thousand are journalled, the others counted, at each power of ten.

        Whoever floods these fills no disk, and leaves room for the refusals of writes.

        Raises:
            WriteRefused: always.
        """
        self._unchecked += 1
        if self._unchecked <= _MOST_UNCHECKED:
            if not self.full:
                self._journal.append(attempt.entry("attempt"))
            self.refuse([attempt], [attempt])
        if str(self._unchecked).strip("0") == "1":
            self._journal.append({"event": "many_attempts", "count": self._unchecked})
        raise WriteRefused(f"{one_line(attempt.channel)}: refused: {attempt.problem}")

    def skip(self, attempts: Sequence[Attempt]) -> list[Refusal]:
        """Journal attempts that are left out while the rest of their call goes on; return them as refusals."""
        return self._keep(attempts, (), skipped=True)

    def _keep(self, refused: Sequence[Attempt], others: Sequence[Attempt], *, skipped: bool) -> list[Refusal]:
        made = [
            Refusal(
                channel=one_line(attempt.channel),
                value=shown(attempt.value),
                reason=attempt.problem or "",
                line=attempt.line,
                rule=attempt.rule,
                skipped=skipped,
            )
            for attempt in refused
        ]
        if self.full:
            return made
        self._kept += made
        more = {"skipped": True} if skipped else {}
        self._journal.append(
            *(attempt.entry("refused", reason=attempt.problem, rule=attempt.rule, **more) for attempt in refused),
            *(attempt.entry("not_sent", reason=_TOGETHER) for attempt in others),
        )
        if self.full:
            self._journal.append({"event": "many_refusals", "note": "further refusals are not journalled"})
        return made
