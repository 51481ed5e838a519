"""Webhooks are told what happens, once, signed, and in words that call nobody; against a real server on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from osprey_executor import Approve, PythonExecutorService, Reject
from osprey_executor.models import Announcement, MachineEffects
from osprey_executor.pipeline import herald

from .conftest import WRITE, own, settings

SECRET = "of the e-log"


class Elog:
    """What came in, and what is answered, one answer a request and then 200."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.signatures: list[str | None] = []
        self.answers: list[int] = []
        elog = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                elog.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                elog.signatures.append(self.headers["X-Osprey-Signature"])
                self.send_response(elog.answers.pop(0) if elog.answers else 200)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *arguments: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]

    async def hears(self, *events: str) -> list[dict[str, Any]]:
        """Wait until exactly these were told, in any order."""
        async with asyncio.timeout(60):
            while len(self.bodies) < len(events):
                await asyncio.sleep(0.05)
        assert sorted(one["event"] for one in self.told) == sorted(events)
        return self.told


@pytest.fixture
def elog() -> Generator[Elog]:
    one = Elog()
    thread = threading.Thread(target=one.server.serve_forever)
    thread.start()
    yield one
    one.server.shutdown()
    thread.join()
    one.server.server_close()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(herald, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(herald, "_TRIES", (0.0, 0.05, 0.05))


def service(home: Path, elog: Elog, **changes: Any) -> PythonExecutorService:
    notify = {"webhooks": [{"url": elog.url, "secret": SECRET}], "link": "https://lab.example/osprey/"}
    return PythonExecutorService.from_config({**settings(**changes), "notify": notify}, home=home)


async def test_a_run_that_writes_is_told_from_its_card_to_its_end(home: Path, elog: Elog) -> None:
    async with service(home, elog) as opened, service(home, elog):
        asked = await opened.run(own(WRITE))
        [pending] = await elog.hears("pending")
        assert pending["link"] == f"https://lab.example/osprey/runs/{asked.run_id}"
        card = await opened.card(asked.run_id)
        # Decided in a process that tells nobody: whoever looks into the index tells it.
        async with PythonExecutorService.from_config(settings(), home=home) as other:
            await other.decide(asked.run_id, Approve(card.digest), approver="ben")
        told = await elog.hears("pending", "writing", "ended")
        ended = next(one for one in told if one["event"] == "ended")
        assert (ended["state"], ended["effects"], ended["approver"]) == ("succeeded", "written", "ben")
        for body, signature in zip(elog.bodies, elog.signatures, strict=True):
            assert signature == f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"
    assert len(elog.bodies) == 3


async def test_reads_and_rejections_are_no_news_and_an_expiry_is(home: Path, elog: Elog) -> None:
    async with service(home, elog, approval__expiry=1) as opened:
        await opened.run(own("results = {'read': True}"))
        asked = await opened.run(own(WRITE))
        await elog.hears("pending", "expired")
        await opened.cancel(asked.run_id)
    async with service(home, elog) as opened:
        again = await opened.run(own(WRITE))
        await opened.decide(again.run_id, Reject("no"))
    assert [one["event"] for one in elog.told].count("pending") <= 2
    assert {one["event"] for one in elog.told} == {"pending", "expired"}


async def test_what_happened_while_nobody_looked_is_told_later(home: Path, elog: Elog) -> None:
    async with PythonExecutorService.from_config(settings(), home=home) as silent:
        await silent.run(own(WRITE), decide=lambda card: Approve(card.digest))
    async with service(home, elog):
        await elog.hears("writing", "ended")


@pytest.mark.parametrize(
    ("answers", "requests", "heard"),
    [((500, 429, 200), 3, True), ((500, 500, 500, 200), 3, False), ((302,), 1, False), ((404,), 1, False)],
)
async def test_a_webhook_that_fails_is_tried_again_and_holds_up_no_run(
    home: Path, elog: Elog, answers: tuple[int, ...], requests: int, heard: bool, caplog: pytest.LogCaptureFixture
) -> None:
    elog.answers = [*answers]
    async with service(home, elog) as opened:
        await opened.run(own(WRITE))
    assert len(elog.bodies) == requests
    assert ("was not told of pending" in caplog.text) is not heard
    assert "/hook" not in caplog.text
    assert SECRET not in caplog.text


async def test_the_secret_is_kept_in_no_record(home: Path, elog: Elog) -> None:
    async with service(home, elog) as opened:
        await opened.run(own("results = {}"))
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"own code" in kept
    assert SECRET.encode() not in kept


def test_nothing_of_a_program_calls_anybody_in_a_chat() -> None:
    hostile = Announcement(
        kind="pending",
        what="pending x",
        run_id="r",
        at="2026-11-27T10:00:00Z",  # type: ignore[arg-type]
        state="awaiting_approval",
        effects=MachineEffects.NONE,
        task="<!channel> @here\n<http://evil|click> \u202e",
        requester="eve",
        headline="",
    )
    text = str(herald.told(hostile, None)["text"])
    assert "<" not in text
    assert "@here" not in text
    assert "\n" not in text
    assert "\u202e" not in text
