"""The trail: records appended one by one, each with the hash of the one before, by any number of processes at once."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from osprey_executor.audit._line import (
    HEAD,
    NOTHING,
    TRAIL,
    audit_key,
    hash_of,
    is_signed,
    line_of,
    read_record,
    signed,
)
from osprey_executor.errors import StorageError

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_TAILS = (8 * 1024, 1024 * 1024)
"""Bytes in which the last record is looked for; none is longer than the second."""
_HEAD_BYTES = 512
"""A head is written over the one before, in one call of the kernel."""


@dataclass(frozen=True)
class _End:
    """Where the trail stands."""

    number: int
    hash: str
    size: int


class Trail:
    """The audit trail of a state folder.

    Args:
        home: the state folder.
        heads: file outside of it to which signed heads are appended; None: they go nowhere.
        interval: seconds between two heads where nothing happens that must last.
    """

    def __init__(self, home: Path, heads: Path | None = None, interval: float = 300.0) -> None:
        self.home = home
        self.heads = heads
        self._interval = interval
        self._path = home / TRAIL
        self._mutex = threading.Lock()
        self._lost = 0

    def record(self, kind: str, *, durable: bool = False, **facts: Any) -> None:
        """Append a record.

        Args:
            kind: what happened.
            durable: whether to return only when it is on the disk, with its head outside.
            facts: text, numbers, lists and mappings; what is long is cut.

        Raises:
            StorageError: it is not recorded.
        """
        try:
            with self._mutex, self._locked() as descriptor:
                head = self._head()
                end = self._end(descriptor, head)
                lost = {"lost": self._lost} if self._lost else {}
                end = self._append(descriptor, end, kind, facts | lost, durable=durable)
                self._lost = 0
                self._keep_head(end, head, durable=durable)
        except OSError as error:
            raise StorageError(
                f"the audit trail {self._path} cannot be written ({error.strerror or error}); make room, or make it "
                "writable for its owner"
            ) from error

    def note(self, kind: str, *, durable: bool = False, **facts: Any) -> None:
        """Append a record of what goes on all the same; where it cannot be, the next record says that one is lost."""
        try:
            self.record(kind, durable=durable, **facts)
        except StorageError:
            self._lost += 1

    @contextmanager
    def _locked(self) -> Generator[int]:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, _FLAGS, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _end(self, descriptor: int, head: dict[str, Any] | None) -> _End:
        """Return where the trail ends, once what a crash or a hand has left there is told in the trail itself."""
        size = os.fstat(descriptor).st_size
        whole, newline, torn = b"", b"", b""
        for most in _TAILS:
            whole, newline, torn = os.pread(descriptor, most, max(size - most, 0)).rpartition(b"\n")
            if size <= most or b"\n" in whole:
                break
        if torn:  # a loss of power in the middle of a record
            size -= len(torn)
            os.ftruncate(descriptor, size)
        last = whole.rpartition(b"\n")[2] if newline else b""
        found = (read_record(last) or {}).get("n") if last else 0
        number = found if isinstance(found, int) else None
        why = self._broken(number, last, head)
        end = _End(number or 0, hash_of(last) if last else NOTHING, size)
        if torn:
            end = self._append(descriptor, end, "torn", {"bytes": len(torn)}, durable=True)
        if why is not None:
            end = self._append(descriptor, end, "broken", {"why": why, "head": head}, durable=True)
        return end

    def _broken(self, number: int | None, last: bytes, head: dict[str, Any] | None) -> str | None:
        """Return how the end of the trail is not as its head has it; one that goes on beyond its head is in order."""
        if head is None:
            return None if number == 0 else "its head is missing"
        if not is_signed(head, self._key):
            return "its head is not signed by this state folder"
        if number is None:
            return "its last line is no record"
        if number < head["n"]:
            return f"it ended with record {head['n']}, and ends with record {number}: cut, or lost with the power"
        return "its last record is another one" if number == head["n"] and hash_of(last) != head["hash"] else None

    def _append(self, descriptor: int, end: _End, kind: str, facts: dict[str, Any], *, durable: bool) -> _End:
        if not end.size:
            facts = {"trail": secrets.token_hex(8), **facts}
        record = {
            "n": end.number + 1,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "kind": kind,
            "uid": os.getuid(),
            **facts,
            "before": end.hash,
        }
        line = line_of(record)
        try:
            written = os.write(descriptor, line + b"\n")
            if written != len(line) + 1:
                raise OSError(errno.ENOSPC, "no space left on device")
            if durable:
                os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end.size)
            raise
        return _End(end.number + 1, hash_of(line), end.size + written)

    def _head(self) -> dict[str, Any] | None:
        try:
            return read_record((self.home / HEAD).read_bytes()) or {}
        except FileNotFoundError:
            return None

    def _keep_head(self, end: _End, before: dict[str, Any] | None, *, durable: bool) -> None:
        """Write down how far the trail goes, and append that outside where it is due."""
        exported = (before or {}).get("exported")
        last = exported if isinstance(exported, int) else 0
        now = int(time.time())
        head = {"n": end.number, "hash": end.hash, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        if self.heads is not None and (durable or not 0 <= now - last < self._interval):
            last = now if self._export(self.heads, signed(head, self._key)) else last
        line = line_of(signed(head | {"exported": last}, self._key)).ljust(_HEAD_BYTES - 1) + b"\n"
        with suppress(OSError):  # a head that lags behind is in order, and the record is in the trail
            descriptor = os.open(self.home / HEAD, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)

    def _export(self, heads: Path, head: dict[str, Any]) -> bool:
        """Append a head outside. A place that is away holds up nobody; `doctor` and `audit verify` tell it."""
        line = line_of(head) + b"\n"
        try:
            descriptor = os.open(heads, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                if os.write(descriptor, line) != len(line):
                    raise OSError(errno.ENOSPC, "no space left on device")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            return False
        return True

    @cached_property
    def _key(self) -> bytes:
        return audit_key(self.home)
