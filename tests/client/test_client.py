"""What the clients do when the line breaks, and what they load. That they speak to a real service is told by
`tests/interfaces/web/test_serve.py` and by the page on REST."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from osprey_executor.client import AsyncClient, Client, _async, _sync
from osprey_executor.errors import (
    AccessDeniedError,
    ConfigurationError,
    ExecutionTimeoutError,
    InvalidRequestError,
    RunNotFoundError,
    ServiceBusyError,
    ServiceUnreachableError,
)

RESULT = {"run_id": "r", "status": "succeeded", "folder": "/r", "created_at": "2026-01-01T00:00:00Z"}
FINISHED = json.dumps({"kind": "finished", "run_id": "r", "at": "2026-01-01T00:00:00Z", "result": RESULT})
OUTPUT = json.dumps({"kind": "output", "run_id": "r", "at": "2026-01-01T00:00:00Z", "stream": "stdout", "text": "x"})


class Handler(BaseHTTPRequestHandler):
    """Answers by what the path says; a stream breaks off after each event."""

    def do_GET(self) -> None:
        server: Any = self.server
        if self.path.endswith("/events"):
            last = self.headers["Last-Event-ID"]
            server.asked.append(last)
            block = f"event: output\nid: {int(last) + 1}\ndata: {OUTPUT}\n\n"
            if last == "2":
                block = f": beat\n\nevent: finished\nid: 2\ndata: {FINISHED}\n\n"
            if "forever" in self.path:
                block = ": beat\n\n"
            if "broken" in self.path:
                block = 'event: error\ndata: {"error": "RunNotFoundError", "message": "gone"}\n\n'
            self._say(200, block.encode(), cut=True)
        else:
            status, _, body = self.path.rpartition("/")[2].partition("-")
            self._say(int(status), server.bodies[body].encode())

    def _say(self, status: int, body: bytes, cut: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + cut))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for module in (_sync, _async):
        monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("OSPREY_EXECUTOR_TOKEN", "token")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.bodies = [], {}  # pyright: ignore[reportAttributeAccessIssue]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        monkeypatch.setenv("OSPREY_EXECUTOR_URL", f"http://127.0.0.1:{server.server_address[1]}")
        yield server
        server.shutdown()
        thread.join()


async def test_a_stream_that_breaks_is_taken_up_behind_the_last_event(server: Any) -> None:
    with Client() as client:
        assert [event.kind for event in client.events("r")] == ["output", "output", "finished"]
        assert client.wait("r").status == "succeeded"
    async with AsyncClient() as client:
        assert [event.kind async for event in client.events("r", after=1)] == ["output", "finished"]
        assert (await client.wait("r")).status == "succeeded"
    assert server.asked == ["0", "1", "2", "0", "1", "2", "1", "2", "0", "1", "2"]


async def test_waiting_has_an_end_and_errors_come_through(server: Any) -> None:
    with Client() as client:
        with pytest.raises(ExecutionTimeoutError, match="goes on"):
            client.wait("forever", timeout=0.2)
        with pytest.raises(RunNotFoundError, match="gone"):
            client.wait("broken")
    async with AsyncClient() as client:
        with pytest.raises(ExecutionTimeoutError, match="goes on"):
            await client.wait("forever", timeout=0.2)
        with pytest.raises(RunNotFoundError, match="gone"):
            await client.wait("broken")


@pytest.mark.parametrize(
    ("answer", "body", "kind"),
    [
        ("403-a", '{"error": "AccessDeniedError", "message": "no"}', AccessDeniedError),
        ("503-a", '{"error": "MissingExtraError", "message": "no"}', ConfigurationError),
        ("429-a", "<html>", ServiceBusyError),
        ("404-a", '{"error": "NotFound", "message": "no"}', RunNotFoundError),
        ("400-a", '["error"]', InvalidRequestError),
        ("502-a", '{"error": "errors", "message": "no"}', ServiceUnreachableError),
        ("500-a", '{"error": "InternalError", "message": "no"}', ServiceUnreachableError),
        ("200-a", "<html>", ServiceUnreachableError),
        ("200-a", '{"run_id": 1}', ServiceUnreachableError),
        ("302-a", "", InvalidRequestError),
    ],
)
async def test_what_a_service_refuses_with_is_raised_by_its_class(
    server: Any, answer: str, body: str, kind: type[Exception]
) -> None:
    server.bodies["a"] = body
    with Client() as client, pytest.raises(kind) as caught:
        client.summary(answer)
    assert type(caught.value) is kind
    async with AsyncClient() as client:
        with pytest.raises(kind):
            await client.summary(answer)


def test_the_client_loads_nothing_of_the_service() -> None:
    look = (
        "import sys, osprey_executor.client; print([name for name in ('langgraph', 'fastapi', 'uvicorn', 'numpy',"
        " 'osprey_executor.service', 'osprey_executor.config') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "[]\n"
