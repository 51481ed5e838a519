"""`serve`: the service for more than one person, over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import ConfigFile


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; one of this machine's loopback.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0: one that is free.")] = 8420,
    config: ConfigFile = None,
) -> int:
    """Serve pages and an API over HTTP until Ctrl-C."""
    from ipaddress import ip_address

    from osprey_executor.errors import InvalidRequestError, MissingExtraError
    from osprey_executor.service import PythonExecutorService

    try:
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise InvalidRequestError(f"{host} is not of this machine's loopback, and there is no TLS: use 127.0.0.1")
    try:
        from osprey_executor.interfaces.web.running import serve as run
    except ImportError:
        raise MissingExtraError("serve", "web") from None
    run(PythonExecutorService.from_config(config), host, port)
    return 0
