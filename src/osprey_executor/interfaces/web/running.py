"""Runs the application on a socket until it is told to end."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import ssl
import sys
from collections.abc import Generator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from osprey_executor.config import ServeConfig
from osprey_executor.errors import ConfigurationError, InvalidRequestError
from osprey_executor.interfaces.web.app import create_app
from osprey_executor.interfaces.web.identify import Doorkeeper
from osprey_executor.interfaces.web.pages import Sessions
from osprey_executor.service import People, PythonExecutorService

_HEAD_SECONDS: Final = 30.0
"""In which the head of the first request on a connection must have come."""
_LARGEST_HEAD: Final = 64 << 10
"""Bytes."""
_GRACE_SECONDS: Final = 5
"""For which answers that are being given go on when the server is told to end."""
_MOST_CONNECTIONS: Final = 500


def serve(service: PythonExecutorService, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM; runs that are going on end as those of a service that is closed.

    Args:
        service: not opened yet.
        host: an address of this machine, or its name.
        port: 0: one that is free.

    Raises:
        InvalidRequestError: nobody can listen there.
        ConfigurationError: the files of `serve.tls_certificate` and `serve.tls_key` cannot be used.
        StorageError: the state folder cannot be used.
    """
    asyncio.run(_serve(service, host, port))


async def _serve(service: PythonExecutorService, host: str, port: int) -> None:
    token = secrets.token_urlsafe(32)
    settings = service.config.serve
    app = create_app(service, Doorkeeper(service.identity(own_token=token)), (*settings.hosts, host))
    with _listening(host, port) as listener:
        server = _Server(_config(app, settings), app)
        async with service:
            where = f"[{host}]" if ":" in host else host
            scheme = "https" if settings.tls_certificate else "http"
            address = f"{scheme}://{where}:{listener.getsockname()[1]}"
            sys.stderr.write(f"osprey-executor serves at {address}\n")
            sys.stderr.write(f"State folder: {service.home}. Ctrl-C ends it.\n")
            if People(service.home).all():
                sys.stderr.write("Everybody has a token: `osprey-executor users token NAME` gives a new one.\n")
            else:
                # A token that may do everything is told only where nobody has one of their own.
                sys.stderr.write(f"Token of this process: {token}\n")
                sessions: Sessions = app.state.sessions
                sys.stderr.write(f"Sign in, once: {address}/sign-in/{sessions.link(token)}\n")
            sys.stderr.flush()
            await server.serve(sockets=[listener])


def _config(app: FastAPI, settings: ServeConfig) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=_Hasty,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=_LARGEST_HEAD,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"serve.tls_certificate and serve.tls_key cannot be used ({error}): give a certificate with its chain and "
            "its key, both PEM, that this user may read"
        ) from None
    return config


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if isinstance(ip_address(host), IPv6Address) else socket.AF_INET
    except ValueError:
        family = socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise InvalidRequestError(f"cannot listen at {host}:{port}: {error}; choose another --port") from None


class _Hasty(H11Protocol):
    """Drops a connection on which no request comes: uvicorn itself waits for the first one for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(_HEAD_SECONDS, self._look)

    def _look(self) -> None:
        if self.cycle is None and not self.transport.is_closing():  # pyright: ignore[reportUnnecessaryComparison]
            self.transport.close()


class _Server(uvicorn.Server):
    """Ends in good order at a signal: its streams end, its answers are given, and the process exits with 0."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
                loop.add_signal_handler(number, self.handle_exit, number, None)
        yield  # they stay heard: what is being closed after this must not be cut short

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._app.state.closing.set()
        super().handle_exit(sig, frame)
