"""A scripted server on loopback that speaks Anthropic Messages and OpenAI Chat Completions, whole or in a stream.

    with LoopbackLLM() as server:
        server.script(Step("```python\nresults = {}\n```"), Step(status=429, headers={"retry-after": "0"}))

Each request takes the next step; the last one is repeated. What was asked is in `server.requests`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

Fault = Literal["hang", "cut", "garbage"]
_LONGEST_HANG = 30.0
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


@dataclass(frozen=True)
class Step:
    """One answer."""

    text: str = ""
    stop: Literal["done", "length", "refused"] = "done"
    status: int = 200
    message: str = "scripted"
    """The provider's words in an error."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    fault: Fault | None = None
    """hang: never answer; cut: close within the answer; garbage: answer with something else."""


@dataclass(frozen=True)
class Seen:
    """One request as it came in."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def system(self) -> str:
        """The system prompt."""
        own = self.body.get("system")
        if own is not None:
            return own if isinstance(own, str) else "".join(part["text"] for part in own)
        return next((item["content"] for item in self.body["messages"] if item["role"] in ("system", "developer")), "")

    @property
    def user(self) -> str:
        """The last message of the user."""
        content = self.body["messages"][-1]["content"]
        return content if isinstance(content, str) else "".join(part["text"] for part in content)


class LoopbackLLM:
    """The server; a context manager."""

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self._steps: tuple[Step, ...] = (Step("```python\nresults = {}\n```"),)
        self._taken = 0
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def script(self, *steps: Step) -> None:
        """Answer with these from now on."""
        with self._lock:
            self._steps, self._taken = steps, 0
            self.requests.clear()

    def take(self, seen: Seen) -> Step:
        """Note a request and return its answer."""
        with self._lock:
            self.requests.append(seen)
            step = self._steps[min(self._taken, len(self._steps) - 1)]
            self._taken += 1
            return step


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: LoopbackLLM

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: a client that gives up in the middle is what some scripts are for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        self._json(404, {"error": {"type": "not_found_error", "message": "only POST is scripted"}})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.path, headers, json.loads(raw))
        protocols = {"/v1/messages": _Anthropic, "/v1/chat/completions": _OpenAI}
        protocol = protocols.get(self.path.partition("?")[0])
        step = self.server.owner.take(seen)
        if protocol is None:
            self._json(404, {"error": {"type": "not_found_error", "message": f"no such path: {self.path}"}})
        elif step.fault == "hang":
            self.server.owner.closing.wait(_LONGEST_HANG)
            self.close_connection = True
        elif step.status != 200:
            kind = _ERROR_TYPES.get(step.status, "api_error")
            error = {"type": "error", "error": {"type": kind, "message": step.message, "code": kind}}
            self._json(step.status, error, step.headers)
        elif seen.body.get("stream"):
            self._stream(step, protocol, str(seen.body["model"]))
        elif step.fault == "garbage":
            self._bytes(200, b"<html>Log in to the network</html>", "text/html")
        else:
            whole = json.dumps(protocol.whole(step, str(seen.body["model"]))).encode()
            self._bytes(200, whole, "application/json", cut=step.fault == "cut")

    def _json(self, status: int, data: Any, headers: Mapping[str, str] | None = None) -> None:
        self._bytes(status, json.dumps(data).encode(), "application/json", headers)

    def _bytes(
        self, status: int, body: bytes, kind: str, headers: Mapping[str, str] | None = None, *, cut: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut

    def _stream(self, step: Step, protocol: type[_Anthropic] | type[_OpenAI], model: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        if step.fault == "garbage":
            self._chunk("data: {this is not JSON\n\n")
            self._chunk("")
            return
        for count, event in enumerate(protocol.events(step, model)):
            if step.fault == "cut" and count == 3:
                self.close_connection = True
                return
            self._chunk(event)
        self._chunk("")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _pieces(text: str, size: int = 12) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


class _Anthropic:
    stops: Mapping[str, str] = {"done": "end_turn", "length": "max_tokens", "refused": "refusal"}

    @classmethod
    def whole(cls, step: Step, model: str) -> dict[str, Any]:
        return cls._message(model, [{"type": "text", "text": step.text}] if step.text else [], cls.stops[step.stop])

    @classmethod
    def events(cls, step: Step, model: str) -> Iterator[str]:
        yield cls._event("message_start", message=cls._message(model, [], None))
        yield cls._event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for piece in _pieces(step.text):
            yield cls._event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
        yield cls._event("content_block_stop", index=0)
        delta = {"stop_reason": cls.stops[step.stop], "stop_sequence": None}
        yield cls._event("message_delta", delta=delta, usage={"output_tokens": 20})
        yield cls._event("message_stop")

    @staticmethod
    def _message(model: str, content: list[Any], stop: str | None) -> dict[str, Any]:
        usage = {"input_tokens": 100, "output_tokens": 20}
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content}
        return {**head, "stop_reason": stop, "stop_sequence": None, "usage": usage}

    @staticmethod
    def _event(kind: str, **data: Any) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"


class _OpenAI:
    stops: Mapping[str, str] = {"done": "stop", "length": "length", "refused": "content_filter"}

    @classmethod
    def whole(cls, step: Step, model: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": step.text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": cls.stops[step.stop], "logprobs": None}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model}
        return {**head, "choices": [choice], "usage": usage}

    @classmethod
    def events(cls, step: Step, model: str) -> Iterator[str]:
        yield cls._event(model, {"role": "assistant", "content": ""}, None)
        for piece in _pieces(step.text):
            yield cls._event(model, {"content": piece}, None)
        yield cls._event(model, {}, cls.stops[step.stop])
        yield "data: [DONE]\n\n"

    @staticmethod
    def _event(model: str, delta: dict[str, Any], stop: str | None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": stop}
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
        return f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"
