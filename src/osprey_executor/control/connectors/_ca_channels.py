"""Channels of Channel Access: found once, described again from time to time, and asked without waiting."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from osprey_executor.control.connectors._ca_library import (
    CHAR,
    DISCONNECTED,
    DTYPES,
    ENUM,
    NORMAL,
    STRING,
    STRING_BYTES,
    CaError,
    Library,
    controlled,
    timed,
)
from osprey_executor.control.connectors._worker import Answer, told

_METADATA_SECONDS = 10.0
_LARGEST_ARRAY = 64 * 2**20

Took = Callable[[Answer], None]
Raw = Callable[[int, int, bytes], None]


@dataclass
class Channel:
    """One channel; `up` is set while it is connected."""

    name: str
    usr: int
    id: int = 0
    up: threading.Event = field(default_factory=threading.Event)
    waiting: list[tuple[Callable[[], bool], Callable[[], None]]] = field(
        default_factory=list[tuple[Callable[[], bool], Callable[[], None]]]
    )
    """Whether it is no longer wanted, and what to do once it is connected."""
    watchers: dict[int, Took] = field(default_factory=dict[int, Took])
    """Of monitors, told when it is disconnected."""
    kind: int = 0
    metadata: Answer = field(default_factory=Answer)
    described: float = float("-inf")


class Channels:
    """All channels of one client. Its methods may be called from any thread that libca knows, and never wait."""

    def __init__(self) -> None:
        self._by_name: dict[str, Channel] = {}
        self._by_number: dict[int, Channel] = {}
        self._answers: dict[int, tuple[Raw, bool]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.library = Library(self._answered, self._connected)

    def find(self, name: str) -> Channel:
        """Return a channel, which is being searched for from then on."""
        with self._lock:
            channel = self._by_name.get(name)
            if channel is not None:
                return channel
            channel = self._by_name[name] = Channel(name, next(self._numbers))
            self._by_number[channel.usr] = channel
        channel.id = self.library.create(name, channel.usr)
        return channel

    def forget(self, name: str) -> None:
        """Search no more for a channel that never answered and that nobody waits for."""
        with self._lock:
            channel = self._by_name.get(name)
            if channel is None or channel.id == 0 or channel.up.is_set() or channel.watchers or channel.described > 0:
                return
            if any(not unwanted() for unwanted, _ in channel.waiting):
                return
            del self._by_name[name], self._by_number[channel.usr]
        self.library.clear(channel.id)

    def when_up(self, channel: Channel, unwanted: Callable[[], bool], do: Callable[[], None]) -> None:
        """Do something now if the channel is connected, else once it is."""
        with self._lock:
            if not channel.up.is_set():
                channel.waiting = [waiting for waiting in channel.waiting if not waiting[0]()]
                channel.waiting.append((unwanted, do))
                return
        do()

    def read(self, channel: Channel, took: Took) -> None:
        """Ask a connected channel for its value; where its description is old, for that too, in the same breath."""

        def answered(status: int, count: int, raw: bytes) -> None:
            took(self.answer(channel, status, count, raw))

        try:
            if time.monotonic() - channel.described < _METADATA_SECONDS:
                self._get(channel, answered)
                return
            problem, count = self._describe(channel)
            if problem:
                took(problem)
                return

            def described(status: int, _: int, raw: bytes) -> None:
                if status != NORMAL:
                    took(self._failed(status))
                    return
                self._keep(channel, count, raw)
                try:
                    self._get(channel, answered)
                    self.library.flush()
                except CaError as error:
                    took({"error": told(error)})

            self.library.get(channel.id, channel.kind, self.expect(described), control=True)
        except CaError as error:
            took({"error": told(error)})

    def answer(self, channel: Channel, status: int, count: int, raw: bytes) -> Answer:
        """Return what a value with its time means, as a sample needs it."""
        if status != NORMAL:
            channel.described = float("-inf")
            return self._failed(status)
        metadata = channel.metadata
        try:
            value, severity, word, when = timed(channel.kind, count, raw)
            return {**metadata, "value": _plain(value, metadata), "severity": severity, "status": word, "time": when}
        except Exception as error:  # in a thread of libca's, which would swallow it, and with it the answer
            return {"error": f"its value cannot be understood: {told(error)}"}

    def expect(self, answered: Raw, *, often: bool = False) -> int:
        """Return the number under which libca shall answer; to `answered`, once or often."""
        number = next(self._numbers)
        self._answers[number] = (answered, often)
        return number

    def drop(self, number: int) -> None:
        """Expect no more answers under that number."""
        self._answers.pop(number, None)

    def elements(self, channel: Channel) -> int:
        """Return how many elements to ask for; 0 stands for as many as there are now."""
        return 1 if channel.metadata["count"] == 1 else 0

    def _get(self, channel: Channel, answered: Raw) -> None:
        self.library.get(channel.id, channel.kind, self.expect(answered), elements=self.elements(channel))

    def _describe(self, channel: Channel) -> tuple[Answer | None, int]:
        """Look at what libca knows of a connected channel; return what is wrong with it, and its size."""
        kind, count, readable, _ = self.library.describe(channel.id)
        if kind not in DTYPES:
            return {"error": "disconnected", "away": True}, 0
        if not readable:
            return {"error": "the control system refuses to have it read from here"}, count
        if count * (STRING_BYTES if kind == STRING else 8) > _LARGEST_ARRAY:
            return {"error": f"an array of {count} elements, too large to be read"}, count
        channel.kind = kind
        return None, count

    def _keep(self, channel: Channel, count: int, raw: bytes) -> None:
        long_text = channel.kind == CHAR and channel.name.endswith("$")
        if long_text or (channel.kind == STRING and count == 1):
            shape = "text"
        else:
            shape = "array" if count > 1 else "enum" if channel.kind == ENUM else "number"
        channel.metadata = {
            "kind": shape,
            "dtype": DTYPES[channel.kind],
            "count": count,
            "writable": self.library.describe(channel.id)[3],
            **controlled(channel.kind, raw),
        }
        channel.described = time.monotonic()

    def _failed(self, status: int) -> Answer:
        return {"error": self.library.message(status), "away": status == DISCONNECTED}

    def _answered(self, usr: int, status: int, count: int, raw: bytes) -> None:
        answered, often = self._answers.get(usr, (None, False))
        if answered is None:
            return
        if not often:
            self.drop(usr)
        answered(status, count, raw)

    def _connected(self, usr: int, chid: int, up: bool) -> None:
        channel = self._by_number.get(usr)
        if channel is None:
            return
        channel.id = chid  # this may come before the call that made the channel has returned
        if not up:
            channel.up.clear()
            channel.described = float("-inf")
            for watcher in list(channel.watchers.values()):
                watcher({"error": "disconnected", "away": True})
            return
        with self._lock:
            if usr not in self._by_number:  # forgotten just now: nobody may use its id any more
                return
            channel.up.set()
            waiting, channel.waiting = channel.waiting, []
        for unwanted, do in waiting:
            if not unwanted():
                do()
        self.library.flush()


def _plain(value: Any, metadata: Answer) -> Any:
    kind = metadata["kind"]
    if kind == "number":
        return value
    if kind == "enum":
        labels = metadata["labels"]
        return labels[value] if value < len(labels) else value
    if metadata["dtype"] == "string":
        return [value] if kind == "array" and isinstance(value, str) else value
    if kind == "text":
        raw = value.tobytes() if hasattr(value, "tobytes") else bytes([value])
        return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
    from numpy import array

    return array(value, dtype="u2" if metadata["dtype"] == "enum" else metadata["dtype"], ndmin=1)
