"""`serve`: the service for more than one person, over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import ConfigFile


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen at; beyond this machine only with TLS, or behind a proxy.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0: one that is free.")] = 8420,
    config: ConfigFile = None,
) -> int:
    """Serve pages and an API over HTTP until Ctrl-C."""
    from ipaddress import ip_address

    from osprey_executor.errors import InvalidRequestError, MissingExtraError
    from osprey_executor.service import PythonExecutorService

    service = PythonExecutorService.from_config(config)
    try:
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    guarded = service.config.serve.tls_certificate is not None or service.config.access.proxy is not None
    if not local and not guarded:
        raise InvalidRequestError(
            f"{host} is not of this machine's loopback, and tokens would pass the network in the clear: use 127.0.0.1, "
            "or name serve.tls_certificate and serve.tls_key, or an access.proxy, in the configuration"
        )
    try:
        from osprey_executor.interfaces.web.running import serve as run
    except ImportError:
        raise MissingExtraError("serve", "web") from None
    run(service, host, port)
    return 0
