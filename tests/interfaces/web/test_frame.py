"""The frame: strangers learn nothing, other hosts are not served; what is malformed, oversized or slow is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError
from uvicorn.server import ServerState

from osprey_executor.config import ServeConfig
from osprey_executor.errors import ConfigurationError
from osprey_executor.interfaces.web import running
from osprey_executor.interfaces.web.guard import LARGEST_BODY, Guard

from .conftest import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATHS = ("/nothing", "/api/v1/runs", "/api/v1/nothing", "/openapi.json", "/docs", "/mcp", "/healthz/", "/Healthz")
NEARLY = ("127.0.0.1:99999", "::1]:80", "1::2:80", "[::1%0]")
"""What nearly is the address of a host, and breaks whoever reads it in a URL."""


async def test_health_is_open_and_tells_nothing(house: House) -> None:
    async with house.client(None) as stranger:
        answer = await stranger.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
async def test_strangers_cannot_even_tell_what_there_is(house: House, method: str) -> None:
    async with house.client(None) as stranger:
        for path in PATHS:
            answer = await stranger.request(method, path)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert method == "HEAD" or answer.json()["error"] == "NotIdentifiedError"


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Bearer ")],
        [("Authorization", "Bearer nobody")],
        [("Authorization", "Basic {token}")],
        [("Authorization", "{token}")],
        [("Authorization", "Bearer {token}x")],
        [("Authorization", "Bearer {token}"), ("Authorization", "Bearer {token}")],
        [("X-Forwarded-User", "ben")],
        [("X-Remote-User", "ben"), ("Remote-User", "ben"), ("X-Forwarded-For", "127.0.0.1")],
        [("Cookie", "session={token}; token={token}")],
        [("X-Authorization", "Bearer {token}")],
    ],
)
async def test_no_other_header_says_who_asks(house: House, headers: list[tuple[str, str]]) -> None:
    filled = [(name, value.format(token=house.tokens["ben"])) for name, value in headers]
    async with house.client(None) as client:
        assert (await client.get("/api/v1/health", headers=filled)).status_code == 401
        assert (await client.get(f"/api/v1/health?token={house.tokens['ben']}")).status_code == 401


async def test_a_token_is_its_person_whatever_other_headers_say(house: House) -> None:
    async with house.client("anna") as anna:
        answer = await anna.get("/api/v1/health", headers={"X-Forwarded-User": "ben", "X-Remote-User": "ben"})
    assert answer.json()["you"] == {"name": "anna", "roles": ["requester"], "proof": "token"}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8420",
        "127.0.0.1.evil.example",
        "",
        "[::1",
        "a b",
        "127.0.0.1:99999",
        "::1]:80",
        "1::2:80",
        "[::1%0]",
    ],
)
async def test_a_page_of_another_site_does_not_reach_us_under_its_name(house: House, host: str) -> None:
    async with house.client("anna", trust_env=False) as anna:
        for path in ("/healthz", "/api/v1/health"):
            answer = await anna.get(path, headers={"Host": host})
            assert (answer.status_code, answer.json()["error"]) == (421, "MisdirectedRequest")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8420", "10.1.2.3:80"])
async def test_addresses_and_this_machine_are_served(house: House, host: str) -> None:
    async with house.client(None) as client:
        assert (await client.get("/healthz", headers={"Host": host})).status_code == 200


async def test_every_answer_keeps_a_browser_from_harm(house: House) -> None:
    async with house.client("anna") as anna:
        for path in ("/healthz", "/api/v1/runs", "/api/v1/runs/none", "/nothing"):
            headers = (await anna.get(path)).headers
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert headers["x-frame-options"] == "DENY"
            assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 422, "InvalidRequestError"),
        (b"{", 422, "InvalidRequestError"),
        (b"\xc3\x28", 400, "MalformedRequest"),
        (b"[" * 100_000, 400, "MalformedRequest"),
        (b"1" * 10_000, 400, "MalformedRequest"),
        (b"null", 422, "InvalidRequestError"),
        (b'{"user_query": ""}', 422, "InvalidRequestError"),
        (b'{"user_query": " "}', 422, "InvalidRequestError"),
        (b'{"user_query": 1}', 422, "InvalidRequestError"),
        (b'{"user_query": "x", "requester": "ben"}', 422, "InvalidRequestError"),
        (b'{"user_query": "\\ud800"}', 422, "InvalidRequestError"),
        (b'{"user_query": "x", "code": "1", "inputs": {"../a": "YQ=="}}', 422, "InvalidRequestError"),
        (b'{"user_query": "x", "code": "1", "inputs": {"a": "no base64"}}', 422, "InvalidRequestError"),
        (b'{"user_query": "x", "code": "1", "inputs": {"a": {"path": "/etc/passwd"}}}', 422, "InvalidRequestError"),
    ],
)
async def test_a_malformed_body_begins_nothing(house: House, body: bytes, status: int, error: str) -> None:
    async with house.client("anna") as anna:
        before = (await anna.get("/api/v1/runs?limit=1")).json()["runs"]
        answer = await anna.post("/api/v1/runs", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
        assert len(answer.content) < 2000
        assert (await anna.get("/api/v1/runs?limit=1")).json()["runs"] == before


async def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(house: House) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range((LARGEST_BODY >> 20) + 1):
            yield b"x" * (1 << 20)

    async with house.client("anna") as anna:
        told = await anna.post("/api/v1/runs", headers={"Content-Length": str(LARGEST_BODY + 1)}, content=b"x")
        untold = await anna.post("/api/v1/runs", content=pieces(), headers={"Content-Type": "application/json"})
        huge = await anna.post("/api/v1/runs", headers={"Content-Length": "9" * 400}, content=b"x")
    for answer in (told, untold, huge):
        assert (answer.status_code, answer.json()["error"]) == (413, "BodyTooLarge")


async def test_a_body_that_does_not_come_is_not_waited_for(house: House) -> None:
    guarded = Guard(house.app, body_seconds=0.1)

    async def slow() -> AsyncGenerator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    headers = {"Authorization": f"Bearer {house.tokens['anna']}", "Content-Type": "application/json"}
    transport = httpx.ASGITransport(guarded)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as anna:
        answer = await anna.post("/api/v1/runs", content=slow())
    assert (answer.status_code, answer.json()["error"]) == (408, "BodyTooSlow")


async def test_wrong_methods_and_places_are_told_to_whoever_is_known(house: House) -> None:
    async with house.client("anna") as anna:
        assert (await anna.get("/nothing")).json() == {"error": "NotFound", "message": "Not Found"}
        assert (await anna.put("/api/v1/runs")).status_code == 405
        assert (await anna.get("/docs")).status_code == 404
        described = (await anna.get("/openapi.json")).json()
    assert "/api/v1/runs" in described["paths"]


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"\x16"])
async def test_a_connection_without_a_request_is_not_held(
    house: House, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(running, "_HEAD_SECONDS", 0.2)
    config = running._config(house.app, ServeConfig())  # pyright: ignore[reportPrivateUsage]
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: config.http_protocol_class(config=config, server_state=state, app_state={}),  # pyright: ignore
        "127.0.0.1",
        0,
    )
    async with server, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(sent)
        assert b"200" not in await reader.read()
        writer.close()


async def test_files_that_are_no_certificate_are_told(tmp_path: Path) -> None:
    for name in ("service.pem", "service.key"):
        (tmp_path / name).write_text("nothing")
    settings = ServeConfig(tls_certificate=tmp_path / "service.pem", tls_key=tmp_path / "service.key")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        running._config(FastAPI(), settings)  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(ValidationError, match="name both"):
        ServeConfig(tls_key=tmp_path / "service.key")
