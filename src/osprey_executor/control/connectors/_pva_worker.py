"""The PVAccess process: the only place that loads p4p. It serves one connector over its standard input.

Each request that goes out is made here, of a channel's name and a value alone: pvRequest options of whoever asks, such
as `record[process=true]`, have no way in.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from osprey_executor.control.connectors._account import take_name
from osprey_executor.control.connectors._pva_once import Once, Places
from osprey_executor.control.connectors._pva_values import answered, described, fill, question
from osprey_executor.control.connectors._worker import Answer, Bulk, Requests, bounded, run, told

_AWAY = 0.08
"""Seconds that a write waits for its channel, see `_ca_worker`."""


class Worker:
    """Reads, monitors, writes and calls; nothing waits but the network."""

    def __init__(self, requests: Requests) -> None:
        raw: Any = import_module("p4p.client.raw")
        self._nturi: Any = import_module("p4p.nt").NTURI
        # Of the environment, which holds nothing but what the connector has set; no structure is unwrapped for us.
        self._context: Any = raw.Context("pva", useenv=True, nt=False)
        self._make: Callable[[dict[str, str]], Any] = partial(raw.Context, "pva", useenv=False, nt=False)
        self._places = Places(os.environ)
        self._remote: type[Exception] = raw.RemoteError
        self._disconnected: type[Exception] = raw.Disconnected
        self._requests = requests
        self._monitors: dict[int, list[_Monitored]] = {}

    def serve(self) -> None:
        """Answer until the stream ends."""
        self._requests.serve(
            {
                "read": self._read,
                "write": self._write,
                "call": self._call,
                "monitor": self._monitor,
                "end_monitor": self._end_monitor,
            }
        )

    def _read(self, message: Answer) -> None:
        number, names, seconds = message["id"], message["channels"], message["timeout"]
        under_way: list[Any] = []

        def done(samples: list[Answer]) -> None:
            self._requests.reply({"id": number, "samples": bounded(samples)})

        def expire() -> None:
            bulk.expire(f"no answer within {seconds:g} s")
            for operation in under_way:
                operation.close()
            under_way.clear()

        bulk = Bulk(len(names), done)
        for index, name in enumerate(names):
            under_way.append(self._get(name, partial(bulk.put, index)))
        self._requests.later(seconds, expire)

    def _get(self, name: str, took: Callable[[Answer], None]) -> Any:
        """Ask for a channel; what is returned must be kept until the answer is there."""

        def done(found: Any) -> None:
            took(self._sample(found))

        return self._context.get(name, done)

    def _sample(self, found: Any) -> Answer:
        if isinstance(found, Exception):
            return {"error": told(found), "away": isinstance(found, self._disconnected)}
        try:
            return described(found)
        except Exception as error:  # whatever a server sends must not cost the others their answer
            return {"error": told(error)}

    def _write(self, message: Answer) -> None:
        write = _Change(self._requests, message)

        def build(structure: Any) -> None:
            fill(structure, message["value"])
            write.begin()

        def done(result: Any) -> None:
            if not isinstance(result, Exception):
                write.done = True
                write.keep(self._get(message["channel"], lambda sample: write.confirm({"sample": sample})))
            else:
                write.fail(told(result), certain=isinstance(result, self._remote))

        # The server is asked to tell only when its record has been processed, as by `wait=True` of p4p's own clients.
        request = "field()record[block=true]"
        write.keep(self._context.put(message["channel"], done, builder=build, request=request, get=True))
        connect, most = message["connect"], message["connect"] + message["timeout"]
        self._requests.later(_AWAY, write.expire_connection)
        self._requests.later(most, write.expire)
        self._requests.later(most + connect, lambda: write.confirm({"sample": {"error": "no answer"}}))

    def _call(self, message: Answer) -> None:
        call = _Change(self._requests, message)
        try:
            asked = question(self._nturi, message["channel"], message["arguments"])
            once = Once(self._make, self._places)
        except Exception as error:
            call.fail(told(error), certain=True)
            return

        def done(result: Any) -> None:
            if isinstance(result, Exception):
                call.fail(told(result), certain=isinstance(result, self._remote))
                return
            try:
                call.confirm({"value": answered(result)})
            except Exception as error:  # an answer that cannot be passed on is no value, and no failure of the command
                call.confirm({"lost": told(error)})

        def ended(result: Any) -> None:
            done(result)
            once.end()

        def expire() -> None:
            call.expire()
            once.end()

        # p4p does not tell when it sends a command: one that nobody answered may have been run.
        call.begin()
        call.keep(once.context.rpc(message["channel"], ended, asked))
        self._requests.later(message["timeout"], expire)

    def _monitor(self, message: Answer) -> None:
        def tell(index: int, found: Any) -> None:
            self._requests.reply({"id": message["id"], "index": index, "sample": self._sample(found)})

        monitored = [
            _Monitored(self._context, name, partial(tell, index)) for index, name in enumerate(message["channels"])
        ]
        self._monitors[message["id"]] = monitored

        def expire() -> None:
            for one in monitored:
                if not (one.seen or one.ended):
                    one.tell(self._disconnected(f"no answer within {message['timeout']:g} s"))

        self._requests.later(message["timeout"], expire)

    def _end_monitor(self, message: Answer) -> None:
        for one in self._monitors.pop(message["id"], []):
            one.end()


class _Change:
    """One write or call: what may be said of it depends on whether it was sent."""

    def __init__(self, requests: Requests, message: Answer) -> None:
        self._requests, self._message = requests, message
        self._lock = threading.Lock()
        self._sent = self._told = False
        self.done = False
        """Whether the server has confirmed."""
        self._kept: list[Any] = []

    def keep(self, operation: Any) -> None:
        """Keep an operation under way: p4p ends one that nobody holds."""
        self._kept.append(operation)

    def begin(self) -> None:
        """Note that it is being sent.

        Raises:
            ValueError: it was given up before, or was sent before: pvxs repeats what was under way at a disconnect.
        """
        with self._lock:
            if self._told:
                raise ValueError("given up")
            if self._sent:
                raise ValueError("the connection was lost after it was sent")
            self._sent = True

    def confirm(self, more: Answer) -> None:
        """Tell that it is done."""
        self._tell({"state": "confirmed", **more})

    def fail(self, why: str, *, certain: bool) -> None:
        """Tell that it failed; where it was sent and that is not certain, that nobody knows."""
        if self._sent and not certain:
            self._tell({"state": "unknown", "message": why})
        else:
            self._tell({"state": "failed", "message": why if self._sent else f"not sent: {why}"})

    def expire(self) -> None:
        """Give up, unless the server has confirmed and only the read-back is missing."""
        if not self.done:
            self.fail(f"no answer within {self._message['timeout']:g} s", certain=False)

    def expire_connection(self) -> None:
        """Give up if it is not sent yet."""
        with self._lock:
            if self._sent or self._told:
                return
            self._told = True
        self._reply({"state": "failed", "message": f"not sent: the channel did not answer within {_AWAY:g} s"})
        for operation in self._kept:
            operation.close()

    def _tell(self, answer: Answer) -> None:
        with self._lock:
            if self._told:
                return
            self._told = True
        self._reply(answer)

    def _reply(self, answer: Answer) -> None:
        self._requests.reply({"id": self._message["id"], **answer})


class _Monitored:
    """One monitored channel."""

    def __init__(self, context: Any, name: str, tell: Callable[[Any], None]) -> None:
        self.tell = tell
        self.seen = self.ended = False
        self._lock = threading.Lock()
        self._subscription: Any = None
        self._subscription = context.monitor(name, self._wake)
        self._wake()

    def end(self) -> None:
        """Tell nothing more."""
        self.ended = True
        self._subscription.close()

    def _wake(self) -> None:
        with self._lock:
            while self._subscription is not None and not self.ended:
                found = self._subscription.pop()
                if found is None:
                    return
                self.seen = True
                self.tell(found)


def _start(requests: Requests) -> None:
    Worker(requests).serve()


if __name__ == "__main__":
    take_name()
    run(_start)
