"""The way from the CLI to its provider: it adds the key, follows no redirect, and notes how the provider failed.

The CLI follows redirects and hands its key on, to any host. So it gets neither key nor address, but those of this
server on loopback, which lives as long as the conversation.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
import ssl
from collections.abc import Mapping
from functools import cache
from http.client import HTTPException, parse_headers
from io import BytesIO
from types import TracebackType
from typing import Self

import httpx

from osprey_executor.config import ModelConfig
from osprey_executor.generation._faults import Fault, ProviderFault, by_status, causes, retry_after, words_in

_PATHS = ("/v1/messages", "/v1/messages/count_tokens")
_MOST_BYTES = 64 << 20
"""Of a question."""
_MOST_OF_OTHERS = 64 << 10
"""Of a question whose token is not ours."""
_MOST_COMPLAINT = 64 << 10
_OURS = ("host", "authorization", "x-api-key", "content-length", "accept-encoding")
_HOP = ("connection", "keep-alive", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade")
"""Headers that hold for one connection alone: RFC 9110, section 7.6.1."""
_NO_MORE = 403
"""A status after which the CLI does not try again; it does after many others."""
_WENT_AWAY = (OSError, EOFError, ValueError, HTTPException, asyncio.LimitOverrunError)
"""Whoever asked did so, or speaks something else than the CLI."""


class Relay:
    """Serves one conversation; an async context manager.

    Raises:
        ProviderFault: a proxy or a certificate that the environment names cannot be used.
    """

    def __init__(self, model: ModelConfig) -> None:
        self.token = secrets.token_urlsafe(32)
        """What the CLI has in place of the key; other users of this machine reach the port, too."""
        self.port = 0
        self.fault: ProviderFault | None = None
        """How the last request failed; None: it did not, as far as can be seen here."""
        self._model = model
        self._tasks = set[asyncio.Task[None]]()

    async def __aenter__(self) -> Self:
        """Serve."""
        self._client = _client(self._model)
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and with it what is under way."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    @property
    def url(self) -> str:
        """Where the CLI finds it."""
        return f"http://127.0.0.1:{self.port}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request; each has a connection of its own."""
        try:
            path, headers = await _head_of(reader)
            known = hmac.compare_digest(headers.get("x-api-key", "").encode(), self.token.encode())
            body = await _body_of(reader, headers, _MOST_BYTES if known else _MOST_OF_OTHERS)
            if not known:
                await _tell(writer, _NO_MORE, "this is the way of one conversation, and not yours")
            elif path.partition("?")[0] not in _PATHS:
                await _tell(writer, _NO_MORE, "nothing but messages goes this way")
            else:
                await self._forward(path, headers, body, writer)
        except _WENT_AWAY:
            pass
        finally:
            writer.close()

    async def _forward(self, path: str, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> None:
        kept = {name: value for name, value in headers.items() if name not in (*_OURS, *_HOP)}
        url = f"{(self._model.base_url or '').rstrip('/')}{path}"
        begun = False
        try:
            # Unpacked, an answer is passed on piece by piece as it is.
            sent = {**kept, **self._key(), "accept-encoding": "identity", "connection": "close"}
            async with self._client.stream("POST", url, headers=sent, content=body) as answer:
                if answer.status_code >= 300:
                    await self._fail(answer, writer)
                    return
                begun = True
                await _pass_on(answer, writer)
                self.fault = None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            self.fault = ProviderFault(_kind(error))
            if not begun and not self.fault.passing:
                await _tell(writer, _NO_MORE, "the provider cannot be asked")

    async def _fail(self, answer: httpx.Response, writer: asyncio.StreamWriter) -> None:
        """Note why the provider does not answer, and let the CLI try again where that may help."""
        if answer.status_code < 400:
            self.fault = ProviderFault(Fault.REDIRECT, answer.headers.get("location") or "nowhere")
            await _tell(writer, _NO_MORE, "the provider answers with a redirect")
            return
        told = await _complaint(answer)
        wait = retry_after(answer.headers)
        self.fault = ProviderFault(by_status(answer.status_code, told), told, wait)
        soon = self.fault.passing and (wait or 0) < self._model.timeout
        await _tell(writer, answer.status_code, told, again=soon, wait=wait)

    def _key(self) -> dict[str, str]:
        """Anthropic takes a key in a header of its own, gateways take a bearer."""
        key = self._model.api_key.get_secret_value() if self._model.api_key else ""
        if not key:
            return {}
        return {"x-api-key": key} if self._model.provider == "anthropic" else {"authorization": f"Bearer {key}"}


async def _head_of(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """Return path and headers of a request, with names in lower case.

    Raises:
        ValueError: it is no POST.
    """
    first, _, rest = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
    method, path, _ = first.decode("latin-1").split(" ")
    if method != "POST" or not path.startswith("/"):
        raise ValueError("no question")
    return path, {name.lower(): value for name, value in parse_headers(BytesIO(rest)).items()}


async def _body_of(reader: asyncio.StreamReader, headers: Mapping[str, str], most: int) -> bytes:
    """Return the body of a request.

    Raises:
        ValueError: its length is not told, or above `most`.
    """
    size = int(headers.get("content-length", ""))
    if not 0 <= size <= most:
        raise ValueError("too long a question")
    return await reader.readexactly(size)


async def _pass_on(answer: httpx.Response, writer: asyncio.StreamWriter) -> None:
    headers = {name: value for name, value in answer.headers.items() if name not in (*_HOP, "content-length")}
    writer.write(_head(answer.status_code, {**headers, "transfer-encoding": "chunked"}))
    async for piece in answer.aiter_raw():
        if piece:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _tell(
    writer: asyncio.StreamWriter, status: int, message: str, *, again: bool = False, wait: float | None = None
) -> None:
    more = {"x-should-retry": "true" if again else "false"}
    if wait is not None:
        more["retry-after"] = f"{wait:g}"
    error = {"type": "invalid_request_error" if status < 500 else "api_error", "message": message or f"HTTP {status}"}
    body = json.dumps({"type": "error", "error": error}).encode()
    writer.write(_head(status, {"content-type": "application/json", "content-length": str(len(body)), **more}) + body)
    await writer.drain()


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} -", *(f"{name}: {value}" for name, value in headers.items()), "connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", errors="replace")


async def _complaint(answer: httpx.Response) -> str:
    """Return what the provider says of a failure, if it says it in its protocol."""
    read = b""
    async for piece in answer.aiter_raw():
        read += piece
        if len(read) > _MOST_COMPLAINT:
            break
    try:
        return words_in(json.loads(read))
    except (ValueError, RecursionError):
        return ""


def _kind(error: Exception) -> Fault:
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes(error)):
        return Fault.CERTIFICATE
    if not isinstance(error, httpx.HTTPError):
        return Fault.BAD_REQUEST  # a key or an address that HTTP has no letters for
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError | httpx.UnsupportedProtocol):
        return Fault.NO_ROUTE
    return Fault.HANG if isinstance(error, httpx.TimeoutException) else Fault.CUT


def _client(model: ModelConfig) -> httpx.AsyncClient:
    try:
        trusted = _trusted(*(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")))
        # It honours the proxies of the environment.
        return httpx.AsyncClient(follow_redirects=False, timeout=model.timeout, verify=trusted)
    except (ValueError, OSError, ImportError) as error:
        raise ProviderFault(Fault.NO_ROUTE, str(error)) from None


@cache
def _trusted(*_where: str | None) -> ssl.SSLContext:
    """Return whose certificates are trusted; to load them takes as long as the rest of a conversation's start."""
    return httpx.create_ssl_context()
