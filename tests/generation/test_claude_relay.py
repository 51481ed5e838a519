"""The relay between the CLI and its provider, asked by a plain client in place of the CLI."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest

from osprey_executor.config import ModelConfig
from osprey_executor.generation._faults import CLAUDE_CODE, Fault, told
from osprey_executor.generation.claude_code._relay import Relay
from osprey_executor.testing.scripted_provider import ScriptedProvider, Step

KEY = "sk-ant-dummy-0123456789-abcdefghij"
BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def model(url: str, **changes: object) -> ModelConfig:
    return ModelConfig.model_validate(
        {"provider": "anthropic", "model_id": "m", "base_url": url, "api_key": KEY, "timeout": 30, **changes}
    )


@pytest.fixture
async def relay(server: ScriptedProvider) -> AsyncIterator[Relay]:
    async with Relay(model(server.url)) as serving:
        yield serving


async def ask(
    relay: Relay, path: str = "/v1/messages?beta=true", *, token: str | None = None, **body: object
) -> httpx.Response:
    headers = {"x-api-key": relay.token if token is None else token, "x-own": "passed on"}
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        return await client.post(f"{relay.url}{path}", headers=headers, json={**BODY, **body})


@pytest.mark.parametrize("stream", [False, True])
async def test_question_and_answer_pass_with_the_key(relay: Relay, server: ScriptedProvider, stream: bool) -> None:
    server.script(Step("an answer of many pieces"))
    answer = await ask(relay, stream=stream)
    assert answer.status_code == 200
    assert ("an answer of" if stream else "an answer of many pieces") in answer.text
    (asked,) = server.requests
    assert asked.path == "/v1/messages?beta=true"
    assert asked.user == "hello"
    assert asked.headers["x-api-key"] == KEY
    assert asked.headers["x-own"] == "passed on"
    assert relay.token not in str(asked.headers)
    assert relay.fault is None


async def test_a_gateway_takes_a_bearer_and_a_server_without_a_key_none(server: ScriptedProvider) -> None:
    for key in (KEY, None):
        async with Relay(model(server.url, provider="ours", api_key=key)) as relay:
            assert (await ask(relay)).status_code == 200
    first, second = (asked.headers for asked in server.requests)
    assert first["authorization"] == f"Bearer {KEY}"
    assert not {"x-api-key"} & first.keys()
    assert not {"x-api-key", "authorization"} & second.keys()


@pytest.mark.parametrize(
    ("path", "token"), [("/v1/messages", "another"), ("/v1/messages", ""), ("/v1/files", None), ("/v1/../v1/x", None)]
)
async def test_nobody_else_uses_the_key_and_for_nothing_else(
    relay: Relay, server: ScriptedProvider, path: str, token: str | None
) -> None:
    assert (await ask(relay, path, token=token)).status_code == 403
    assert (server.requests, server.strays) == ([], [])


async def test_a_stranger_does_not_fill_the_memory(relay: Relay, server: ScriptedProvider) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    writer.write(b"POST /v1/messages HTTP/1.1\r\ncontent-length: 60000000\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 30) == b""  # it closes, and waits for nothing
    writer.close()
    assert server.requests == []


async def test_what_is_no_question_is_not_answered(relay: Relay, server: ScriptedProvider) -> None:
    for said in (b"GET /v1/messages HTTP/1.1\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"x" * 100_000, b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(said)
        writer.write_eof()
        with contextlib.suppress(ConnectionResetError):  # it closed before it had read all of it
            assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
    assert server.requests == []
    assert (await ask(relay)).status_code == 200


@pytest.mark.parametrize("follows", [False, True])
@pytest.mark.parametrize("status", [302, 307])
async def test_a_redirect_is_not_followed(relay: Relay, server: ScriptedProvider, status: int, follows: bool) -> None:
    """With a client that follows, which is the canary, the key arrives at the other host."""
    with ScriptedProvider() as other:
        server.script(Step(status=status, headers={"location": f"{other.url}/v1/messages?key={KEY}"}))
        relay._client.follow_redirects = follows  # pyright: ignore[reportPrivateUsage]
        answer = await ask(relay)
        assert bool(other.requests or other.strays) is follows
        if not follows:
            assert answer.status_code == 403
            assert relay.fault is not None
            said = str(told(relay.fault, model(server.url), CLAUDE_CODE))
            assert f"a redirect to {other.url}/v1/messages; mend api_config.base_url" in said
            assert KEY not in said


@pytest.mark.parametrize(
    ("step", "fault", "again"),
    [
        (Step(status=401, message="no"), Fault.WRONG_KEY, "false"),
        (Step(status=404, message="no"), Fault.WRONG_MODEL, "false"),
        (Step(status=404, message=""), Fault.WRONG_ADDRESS, "false"),
        (Step(status=429, headers={"retry-after": "2"}), Fault.RATE_LIMIT, "true"),
        (Step(status=429, headers={"retry-after": "3600"}), Fault.RATE_LIMIT, "false"),
        (Step(status=500), Fault.SERVER, "true"),
        (Step(status=529), Fault.OVERLOADED, "true"),
    ],
)
async def test_a_failure_is_noted_and_passed_on(
    relay: Relay, server: ScriptedProvider, step: Step, fault: Fault, again: str
) -> None:
    server.script(step)
    answer = await ask(relay)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (step.status, again)
    assert relay.fault is not None
    assert (relay.fault.fault, relay.fault.detail) == (fault, step.message)
    assert answer.headers.get("retry-after") == step.headers.get("retry-after")
    server.script(Step("well again"))
    await ask(relay)
    assert relay.fault is None


async def test_a_cut_is_a_cut(relay: Relay, server: ScriptedProvider) -> None:
    server.script(Step("an answer that breaks off" * 10, fault="cut"))
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(relay, stream=True)
    assert relay.fault is not None
    assert relay.fault.fault is Fault.CUT


async def test_no_route_and_a_key_that_http_cannot_send() -> None:
    with ScriptedProvider() as gone:
        url = gone.url
    for changes, fault in (({}, Fault.NO_ROUTE), ({"api_key": "schl\u00fcssel"}, Fault.BAD_REQUEST)):
        async with Relay(model(url).model_copy(update=_secret(changes))) as relay:
            assert (await ask(relay)).status_code == 403
            assert relay.fault is not None
            assert relay.fault.fault is fault


def _secret(changes: Mapping[str, str]) -> dict[str, object]:
    from pydantic import SecretStr

    return {name: SecretStr(value) for name, value in changes.items()}


async def test_the_end_ends_what_is_under_way(server: ScriptedProvider) -> None:
    server.script(Step(fault="hang"))
    async with Relay(model(server.url)) as relay:
        asking = asyncio.create_task(ask(relay))
        async with asyncio.timeout(60):
            while not server.requests:
                await asyncio.sleep(0.01)
    with pytest.raises(httpx.TransportError):
        await asyncio.wait_for(asking, 30)
    with pytest.raises(httpx.ConnectError):
        await ask(relay)


async def test_proxies_of_the_environment_are_used(server: ScriptedProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        body = json.dumps({"ok": True}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    serving = await asyncio.start_server(proxy, "127.0.0.1", 0)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{serving.sockets[0].getsockname()[1]}")
    async with serving, Relay(model("http://models.invalid")) as relay:
        assert (await ask(relay)).json() == {"ok": True}
    assert heard[0].startswith(b"POST http://models.invalid/v1/messages?beta=true HTTP/1.1")
    assert server.requests == []
