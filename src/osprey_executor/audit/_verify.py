"""Whether the trail is whole: nothing changed, left out, cut off or put elsewhere, as far as its heads reach."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osprey_executor.audit._line import HEAD, NOTHING, TRAIL, audit_key, hash_of, is_signed, read_record
from osprey_executor.errors import StorageError

_MOST_PROBLEMS = 20
_PIECE = 1 << 20


@dataclass(frozen=True)
class Verified:
    """What was found."""

    records: int
    problems: tuple[str, ...]
    """Each in words; none: the trail is whole."""
    claimed: int
    """The last record up to which a head outside of the state folder vouches; 0: there is none."""

    @property
    def outside(self) -> int:
        """How many records no head outside vouches for: who can write the state folder could have made them anew."""
        return max(self.records - self.claimed, 0)


def verify(home: Path, heads: Path | None = None) -> Verified:
    """Look through the trail of a state folder.

    Args:
        home: the state folder.
        heads: where its heads are appended.

    Raises:
        StorageError: it cannot be read.
    """
    found = _Found(home, heads)
    try:
        for number, line in enumerate(lines(home), 1):
            found.look(number, line)
        found.compare_heads()
        found.compare_journals()
    except OSError as error:
        raise StorageError(f"the audit trail {home / TRAIL} cannot be read: {error.strerror or error}") from error
    return Verified(found.records, tuple(found.problems[:_MOST_PROBLEMS]), found.claimed)


def lines(home: Path) -> Iterator[bytes]:
    """Yield the lines of a trail as they were when this began; one that is still being written is left out."""
    try:
        file = (home / TRAIL).open("rb")
    except FileNotFoundError:
        return
    with file:
        with locked(home):
            left = file.seek(0, 2)
        file.seek(0)
        for line in file:
            left -= len(line)
            if left < 0:
                return
            yield line.rstrip(b"\n")


@contextmanager
def locked(home: Path) -> Generator[None]:
    """Keep whoever appends to a trail out for a moment."""
    with ExitStack() as stack:
        if (home / TRAIL).is_file():
            fcntl.flock(stack.enter_context((home / TRAIL).open("rb")), fcntl.LOCK_SH)
        yield


class _Found:
    def __init__(self, home: Path, heads: Path | None) -> None:
        self.home = home
        self.problems: list[str] = []
        self.records = 0
        self.claimed = 0
        self._before = NOTHING
        self._key = audit_key(home) if (home / TRAIL).exists() or (home / HEAD).exists() else b""
        self._heads = self._outside(heads) if heads is not None else []
        self._wanted = {head["n"]: head["hash"] for head in self._heads}
        self._journals: dict[str, dict[str, Any]] = {}
        with locked(home):
            own = read_record((home / HEAD).read_bytes()) if (home / HEAD).exists() else None
        if own is not None and is_signed(own, self._key):
            self._own: dict[str, Any] | None = own
        else:
            self._own = None
            if self._key:
                self.problems.append(f"the head {home / HEAD} is missing, or not signed by this state folder")

    def look(self, number: int, line: bytes) -> None:
        """Look at one record."""
        self.records = number
        record = read_record(line)
        if record is None:
            self.problems.append(f"line {number} is no record")
        else:
            if record.get("n") != number:
                self.problems.append(f"line {number} is record {record.get('n')}: one is missing, or not at its place")
            elif record.get("before") != self._before:
                self.problems.append(f"record {number} does not follow the one before it: one of the two was changed")
            if record.get("kind") == "broken":
                self.problems.append(f"record {number} tells that the trail was found broken: {record.get('why')}")
            if isinstance(record.get("journal"), dict) and isinstance(record.get("run"), str):
                self._journals[record["run"]] = record["journal"]
        self._before = hash_of(line)
        if number in self._wanted:
            if self._wanted[number] == self._before:
                self.claimed = number
            else:
                self.problems.append(f"record {number} is not the one of the head outside: it was changed since")
        if self._own is not None and self._own["n"] == number and self._own["hash"] != self._before:
            self.problems.append(f"record {number} is not the one of the head: it was changed since")

    def compare_heads(self) -> None:
        """Tell what heads say that the trail has not."""
        last = max((head["n"] for head in self._heads), default=0)
        if last > self.records:
            self.problems.append(f"a head outside vouches for {last} records, and there are {self.records}: cut off")
        elif self._own is not None and self._own["n"] > self.records:
            self.problems.append(
                f"there were {self._own['n']} records, and there are {self.records}: cut off, or lost with the power"
            )

    def compare_journals(self) -> None:
        """Tell which journal of a run is not as the trail has it; one that was removed with its run tells nothing."""
        for run, told in self._journals.items():
            journal = self.home / "runs" / run / "journal.jsonl"
            if Path(run).name == run and journal.parent.exists() and told != journal_mark(journal, told.get("bytes")):
                self.problems.append(f"the journal of run {run} is not as the trail has it: {journal} was changed")

    def _outside(self, heads: Path) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        try:
            told = heads.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            self.problems.append(f"the heads {heads} cannot be read: {error.strerror}")
            return []
        for place, line in enumerate(told, 1):
            head = read_record(line)
            if head is None or not self._key or not is_signed(head, self._key):
                self.problems.append(f"line {place} of {heads} is no head that this state folder has signed")
            else:
                found.append(head)
        return found


def journal_mark(journal: Path, size: object = None) -> dict[str, Any] | None:
    """Return length and SHA-256 of a journal, or of its first `size` bytes: it only grows. None: there is none."""
    try:
        with journal.open("rb") as file:
            whole = file.seek(0, 2)
            wanted = size if isinstance(size, int) else whole
            file.seek(0)
            digest, left = hashlib.sha256(), min(wanted, whole)
            while left and (piece := file.read(min(left, _PIECE))):
                digest.update(piece)
                left -= len(piece)
    except FileNotFoundError:
        return None
    return {"bytes": min(wanted, whole), "sha256": digest.hexdigest()}
