"""What a run read and wrote, answering a second time. Standard library only: it also goes with every run folder."""

from __future__ import annotations

import reprlib
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

ReadingT = TypeVar("ReadingT")


class RecordedWrite(NamedTuple):
    """One write of the run: sent, or, with a reason, refused."""

    channel: str
    value: str
    refused: str | None = None
    """Why it was refused; None: it was sent."""
    line: int | None = None
    confirmed: bool = True
    """False: it was sent, and no confirmation came."""
    skipped: bool = False
    """It was refused, and the rest of its call went on."""


class NotRecorded(Exception):
    """The run has no such reading; the message says what it has."""


class Refused(Exception):
    """The run was refused this call, for the reason in the message; `which` tells the writes."""

    def __init__(self, message: str, which: Sequence[RecordedWrite]) -> None:
        super().__init__(message)
        self.which = tuple(which)


class Unconfirmed(Exception):
    """The run got no confirmation of this write."""


class Recording(Generic[ReadingT]):
    """Reads in order per channel, writes in order. Answers each once; tells every deviation once."""

    def __init__(
        self,
        reads: Iterable[tuple[str, ReadingT]],
        writes: Iterable[RecordedWrite],
        refusals: Iterable[RecordedWrite] = (),
    ) -> None:
        self._reads: defaultdict[str, deque[ReadingT]] = defaultdict(deque)
        for channel, value in reads:
            self._reads[channel].append(value)
        self._counts = {channel: len(values) for channel, values in self._reads.items()}
        self._sent = deque(writes)
        self._refused = deque(refusals)
        self.deviations: list[str] = []
        """What this replay did otherwise than the run, in words."""

    def read(self, channel: str) -> ReadingT:
        """Return the next recorded value of a channel.

        Raises:
            NotRecorded: the run never read it, or not so often.
        """
        values = self._reads.get(channel)
        if values:
            return values.popleft()
        count = self._counts.get(channel, 0)
        if count:
            often = "once" if count == 1 else f"{count} times"
            raise NotRecorded(f"replay: the run read {channel} only {often}; the record has no further value")
        raise NotRecorded(f"replay: the run has no reading of {channel}; the record cannot answer")

    def write(self, values: Iterable[tuple[str, Any]], line: int | None = None) -> list[RecordedWrite]:
        """Compare the writes of one call with the next ones of the run, and return those that the run left out.

        Raises:
            Refused: the run was refused this call too.
            Unconfirmed: the run got no confirmation of one of them either.
        """
        pairs = list(values)
        skipped: list[RecordedWrite] = []
        while self._refused and self._refused[0].skipped and _among(self._refused[0], pairs):
            skipped.append(self._refused.popleft())
            pairs = [pair for pair in pairs if not _is(skipped[-1], *pair)]
        self._refuse(pairs, line)
        for channel, value in pairs:
            sent = self._sent[0] if self._sent else None
            if sent is None:
                self._deviates(channel, value, "the run wrote nothing more")
            elif _channel(sent.channel) != _channel(channel):
                self._deviates(channel, value, f"the run set {sent.channel} next")
            else:
                self._sent.popleft()
                if not same_value(sent.value, value):
                    self._deviates(channel, value, f"the run set it to {sent.value}")
                if not sent.confirmed:
                    raise Unconfirmed(f"{channel}: no confirmation came")
        return skipped

    def missing(self) -> list[str]:
        """Return what the run wrote and this replay has not, in words."""
        return [f"the run set {each.channel} to {each.value}; this replay did not" for each in self._sent]

    def _refuse(self, pairs: list[tuple[str, Any]], line: int | None) -> None:
        """Raise if this call is the one that was refused next; a refused call sent nothing."""
        if not self._refused or not _among(self._refused[0], pairs):
            return
        if self._sent and pairs and _is(self._sent[0], *pairs[0]) and self._refused[0].line != line:
            return
        which = [self._refused.popleft()]
        while self._refused and _among(self._refused[0], pairs) and self._refused[0].line == which[0].line:
            if any(each.channel == self._refused[0].channel for each in which):
                break
            which.append(self._refused.popleft())
        message = f"{which[0].channel} = {which[0].value}: refused: {which[0].refused}"
        if len(which) > 1:
            message += f" (and {len(which) - 1} more refused)"
        if len(pairs) > len(which):
            message += "; nothing of this call was sent"
        raise Refused(message, which)

    def _deviates(self, channel: str, value: Any, instead: str) -> None:
        self.deviations.append(f"{channel} would be set to {_as_journalled(value)}; {instead}")


def same_value(recorded: str, value: Any) -> bool:
    """Return whether `value` is the one whose text was recorded: the same number, or the same text."""
    if recorded in (str(value), repr(value), _as_journalled(value)):
        return True
    if recorded.startswith("array() ["):
        return same_value(recorded[len("array() [") : -1], value)
    try:
        return float(recorded) == float(value)
    except (TypeError, ValueError, OverflowError):
        return False


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 100


def _as_journalled(value: Any) -> str:
    """Return the short text that stands for a value in the journal of a run."""
    try:
        if getattr(value, "shape", None):
            text = f"array{tuple(value.shape)} {_SHORT.repr(value.ravel()[:6].tolist())}"
        else:
            text = _SHORT.repr(value.item() if hasattr(value, "item") else value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 120 else text[:119] + "…"


def _channel(name: str) -> str:
    # EPICS: a record's name alone is its field VAL.
    return name[: -len(".VAL")] if name.endswith(".VAL") else name


def _is(recorded: RecordedWrite, channel: str, value: Any) -> bool:
    return _channel(recorded.channel) == _channel(channel) and same_value(recorded.value, value)


def _among(recorded: RecordedWrite, pairs: Iterable[tuple[str, Any]]) -> bool:
    return any(_is(recorded, channel, value) for channel, value in pairs)
