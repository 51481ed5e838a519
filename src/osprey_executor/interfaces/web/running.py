"""Runs the application on a socket until it is told to end."""

from __future__ import annotations

import secrets
import socket
import sys

import uvicorn

from osprey_executor.errors import InvalidRequestError
from osprey_executor.interfaces.web.app import create_app
from osprey_executor.interfaces.web.identify import Doorkeeper
from osprey_executor.service import PythonExecutorService


def serve(service: PythonExecutorService, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        service: not opened yet.
        host: an address of the loopback.
        port: 0: one that is free.

    Raises:
        InvalidRequestError: nobody can listen there.
    """
    token = secrets.token_urlsafe(32)
    app = create_app(service, Doorkeeper(service.identity(own_token=token)))
    with _listening(host, port) as listener:
        where = f"http://{host}:{listener.getsockname()[1]}"
        sys.stderr.write(f"osprey-executor serves at {where}\nToken of this process: {token}\n")
        config = uvicorn.Config(app, log_level="warning", server_header=False, date_header=False, proxy_headers=False)
        uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        raise InvalidRequestError(f"cannot listen at {host}:{port}: {error}; choose another --port") from None
