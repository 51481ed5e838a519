"""The HTTP server: it takes a request, notes it, and does what the next step says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType, TracebackType
from typing import Any, Self, cast

from osprey_executor.testing.scripted_provider import _anthropic, _openai
from osprey_executor.testing.scripted_provider._steps import Asked, Step

_PROTOCOLS: Mapping[str, ModuleType] = {"/v1/messages": _anthropic, "/v1/chat/completions": _openai}
_LONGEST_HANG = 60.0
_DRIP = 16
"""Bytes of an answer that drips without being a stream."""

Script = Step | Callable[[Asked], Step]
"""A step, or what makes one of the request."""


class ScriptedProvider:
    """The server; a context manager. It listens on a port of its own, on loopback only."""

    def __init__(self) -> None:
        self.requests: list[Asked] = []
        """What was asked of a model."""
        self.strays: list[str] = []
        """Every other request, as method and path."""
        self.closing = threading.Event()
        self._steps: tuple[Script, ...] = (Step("```python\nresults = {}\n```"),)
        self._taken = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, also what hangs."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def script(self, *steps: Script) -> None:
        """Answer with these from now on, and forget what was asked before."""
        with self._lock:
            self._steps, self._taken = steps, 0
            self.requests.clear()
            self.strays.clear()

    def take(self, asked: Asked) -> Step:
        """Note a request and return the step that answers it."""
        with self._lock:
            self.requests.append(asked)
            step = self._steps[min(self._taken, len(self._steps) - 1)]
            self._taken += 1
        return step if isinstance(step, Step) else step(asked)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: ScriptedProvider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: a client that gives up in the middle is what some scripts are for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Answers are written in small pieces; a delay of TCP between them would be taken for the client's.
    disable_nagle_algorithm = True

    @property
    def _owner(self) -> ScriptedProvider:
        return cast("_Server", self.server).owner

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def do_HEAD(self) -> None:
        self._stray(200)

    def do_GET(self) -> None:
        self._stray(404)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self.path.partition("?")[0]
        if path == "/v1/messages/count_tokens":
            self._stray(200, {"input_tokens": len(raw) // 4})
        elif protocol := _PROTOCOLS.get(path):
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.path, headers, json.loads(raw))
            self._answer(self._owner.take(asked), asked, protocol)
        else:
            self._stray(404)

    def _stray(self, status: int, answer: Mapping[str, Any] | None = None) -> None:
        self._owner.strays.append(f"{self.command} {self.path}")
        body = b"404 page not found" if answer is None and status == 404 else json.dumps(answer or {}).encode()
        self._whole(status, body if self.command != "HEAD" else b"", "text/plain" if answer is None else None)

    def _answer(self, step: Step, asked: Asked, protocol: ModuleType) -> None:
        streamed = bool(asked.body.get("stream"))
        if step.fault == "hang":
            self._wait(_LONGEST_HANG)
            self.close_connection = True
            return
        self._wait(step.delay)
        status = 529 if step.fault == "error" and not streamed else step.status
        if status != 200:
            self._whole(status, json.dumps(protocol.error(status, step.message)).encode(), headers=step.headers)
        elif streamed:
            self._stream(step, protocol.events(step, asked.model))
        elif step.fault == "garbage":
            self._whole(200, b"<html>Log in to the network</html>", "text/html")
        else:
            body = json.dumps(protocol.whole(step, asked.model)).encode()
            self._whole(200, body, cut=step.fault == "cut", pause=step.pause)

    def _whole(
        self,
        status: int,
        body: bytes,
        kind: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        cut: bool = False,
        pause: float = 0.0,
    ) -> None:
        self.send_response(status)
        self.send_header("content-type", kind or "application/json")
        self.send_header("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        sent = body[: len(body) // 2] if cut else body
        size = _DRIP if pause else len(sent) or 1
        for start in range(0, len(sent), size):
            self.wfile.write(sent[start : start + size])
            self._wait(pause)
        self.close_connection = self.close_connection or cut

    def _stream(self, step: Step, events: Iterator[str]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        if step.fault == "garbage":
            events = iter(["data: {this is not JSON\n\n"])
        for count, event in enumerate(events):
            if step.fault == "cut" and count == 3:
                self.close_connection = True
                return
            self._chunk(event)
            self._wait(step.pause)
        self._chunk("")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _wait(self, seconds: float) -> None:
        if seconds:
            self._owner.closing.wait(seconds)
