"""The Channel Access process: the only place that loads libca. It serves one connector over its standard input.

libca has one context a process, fixed at its first use by EPICS_CA_* and bound to it for good; see ADR 0008. It is
called directly, and answers in its own threads: why, and what that gains, says ADR 0023.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from osprey_executor.control.connectors._account import take_name
from osprey_executor.control.connectors._ca_channels import Channel, Channels
from osprey_executor.control.connectors._ca_library import NO_WRITE_ACCESS, NORMAL, PUT_FAILED, CaError, packed
from osprey_executor.control.connectors._worker import Answer, Bulk, Requests, bounded, run, told

_MOST_WRITERS = 64
"""Writes under way at once; each run writes one after the other, and a service has fewer runs."""
_AWAY = 0.08
"""Seconds that a write waits for its channel, which the broker has just read: one that comes back later may come back
after somebody has stopped all writes."""


class Worker:
    """Reads and monitors without waiting; each write waits in a thread of its own."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._channels = Channels()
        self._monitors: dict[int, _Monitor] = {}
        self._writers = ThreadPoolExecutor(_MOST_WRITERS, initializer=self._channels.library.attach)

    def serve(self) -> None:
        """Answer until the stream ends."""
        self._requests.serve(
            {
                "read": self._read,
                "write": lambda message: self._writers.submit(self._write, message),
                "monitor": self._monitor,
                "end_monitor": self._end_monitor,
            }
        )

    def _read(self, message: Answer) -> None:
        number, names, seconds = message["id"], message["channels"], message["timeout"]
        bulk = Bulk(len(names), lambda samples: self._requests.reply({"id": number, "samples": bounded(samples)}))
        self._read_all(names, bulk)

        def expire() -> None:
            if not bulk.over:
                bulk.expire(f"no answer within {seconds:g} s")
                for name in names:
                    self._channels.forget(name)

        self._requests.later(seconds, expire)

    def _read_all(self, names: list[str], bulk: Bulk) -> None:
        channels = self._channels
        for index, name in enumerate(names):
            try:
                channel = channels.find(name)
            except CaError as error:
                bulk.put(index, {"error": told(error)})
                continue
            channels.when_up(
                channel,
                lambda: bulk.over,
                lambda channel=channel, index=index: channels.read(channel, lambda answer: bulk.put(index, answer)),
            )
        channels.library.flush()

    def _write(self, message: Answer) -> None:
        try:
            answer = self._written(message)
        except Exception as error:  # whatever it was, only an answer keeps the run truthful
            answer = {"state": "unknown", "message": told(error)}
        self._requests.reply({"id": message["id"], **answer})

    def _written(self, message: Answer) -> Answer:
        library, name = self._channels.library, message["channel"]
        try:
            channel = self._channels.find(name)
            if not channel.up.wait(_AWAY):
                return {"state": "failed", "message": "not sent: the channel is not connected"}
            kind, count, data = packed(library.describe(channel.id)[0], message["value"])
        except (CaError, KeyError, ValueError) as error:
            return {"state": "failed", "message": f"not sent: {told(error)}"}
        done, status = threading.Event(), [NORMAL]

        def answered(code: int, _: int, __: bytes) -> None:
            status[0] = code
            done.set()

        try:
            library.put(channel.id, kind, count, data, self._channels.expect(answered))
        except CaError as error:  # by the call itself, before anything was sent
            return {"state": "failed", "message": f"not sent: {told(error)}"}
        library.flush()
        if not done.wait(message["timeout"]):
            return {"state": "unknown", "message": f"no answer within {message['timeout']:g} s"}
        if status[0] != NORMAL:
            certain = status[0] in (PUT_FAILED, NO_WRITE_ACCESS)
            return {"state": "failed" if certain else "unknown", "message": library.message(status[0])}
        return {"state": "confirmed", "sample": self._read_back(name, message["connect"])}

    def _read_back(self, name: str, seconds: float) -> Answer:
        done, found = threading.Event(), list[Answer]()

        def took(samples: list[Answer]) -> None:
            found.extend(samples)
            done.set()

        bulk = Bulk(1, took)
        self._read_all([name], bulk)
        if not done.wait(seconds):
            bulk.expire(f"no answer within {seconds:g} s")
        done.wait()
        return found[0]

    def _monitor(self, message: Answer) -> None:
        monitor = self._monitors[message["id"]] = _Monitor(self._requests, self._channels, message)
        self._requests.later(message["timeout"], monitor.expire)

    def _end_monitor(self, message: Answer) -> None:
        if monitor := self._monitors.pop(message["id"], None):
            monitor.end()


class _Monitor:
    """Some channels, whose samples go out as they come."""

    def __init__(self, requests: Requests, channels: Channels, message: Answer) -> None:
        self._requests, self._channels = requests, channels
        self._id, self._names, self._seconds = message["id"], message["channels"], message["timeout"]
        self._seen = [False] * len(self._names)
        self._ended = False
        self._subscriptions: list[tuple[int, int]] = []
        self._watched: list[Channel] = []
        for index, name in enumerate(self._names):
            self._begin(index, name)
        channels.library.flush()

    def expire(self) -> None:
        """Tell which channels have not answered at all."""
        if not self._ended:
            for index, seen in enumerate(self._seen):
                if not seen:
                    self._tell(index, {"error": f"no answer within {self._seconds:g} s", "away": True})

    def end(self) -> None:
        """Send nothing more."""
        self._ended = True
        for subscription, number in self._subscriptions:
            self._channels.library.unsubscribe(subscription)
            self._channels.drop(number)
        for channel in self._watched:
            channel.watchers.pop(self._id, None)
        for name in self._names:
            self._channels.forget(name)
        self._channels.library.flush()

    def _begin(self, index: int, name: str) -> None:
        try:
            channel = self._channels.find(name)
        except CaError as error:
            self._tell(index, {"error": told(error)})
            return
        channel.watchers[self._id] = lambda answer: self._tell(index, answer)
        self._watched.append(channel)

        # A first read describes the channel, without which no value can be understood.
        def first(answer: Answer) -> None:
            self._tell(index, answer)
            if "error" not in answer and not self._ended:
                self._subscribe(index, channel)

        self._channels.when_up(channel, lambda: self._ended, lambda: self._channels.read(channel, first))

    def _subscribe(self, index: int, channel: Channel) -> None:
        library, channels = self._channels.library, self._channels

        def changed(status: int, count: int, raw: bytes) -> None:
            if status == NORMAL:  # a disconnection is told by the channel itself
                self._tell(index, channels.answer(channel, status, count, raw))

        number = channels.expect(changed, often=True)
        try:
            made = library.subscribe(channel.id, channel.kind, number, channels.elements(channel))
        except CaError as error:
            self._tell(index, {"error": told(error)})
            return
        self._subscriptions.append((made, number))
        library.flush()

    def _tell(self, index: int, answer: Answer) -> None:
        self._seen[index] = True
        if not self._ended:
            self._requests.reply({"id": self._id, "index": index, "sample": answer})


class _SilentRepeater(threading.Thread):
    """Stands where libca expects its beacon repeater, so that libca starts no daemon that would outlive us.

    Source: Channel Access protocol specification, REPEATER_CONFIRM is command 17.
    """

    _CONFIRM = struct.pack(">HHHHII", 17, 0, 0, 0, 0, 0)

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])

    def run(self) -> None:
        while True:
            _, sender = self._socket.recvfrom(1024)
            self._socket.sendto(self._CONFIRM, sender)


def _start(requests: Requests) -> Any:
    repeater = _SilentRepeater()
    repeater.start()
    os.environ["EPICS_CA_REPEATER_PORT"] = str(repeater.port)
    Worker(requests).serve()


if __name__ == "__main__":
    take_name()
    run(_start)
