"""The server as a part of the application on HTTP, for everybody who shows a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request

from osprey_executor.desk import Desk
from osprey_executor.interfaces.mcp.server import create_server


def mounted(desk_of: Callable[[Request], Desk]) -> tuple[MCPServer[Any], Starlette]:
    """Return the server, whose session manager runs as long as it serves, and its application with the route `/mcp`.

    It keeps no sessions: each request shows anew who asks, and nobody can go on in the name of somebody else.

    Args:
        desk_of: finds who asks; a request of nobody's must not come here.
    """

    def of(ctx: Context[Any, Any]) -> Desk:
        # Every message of this transport comes with its request.
        return desk_of(cast(Request, ctx.request_context.request))

    server = create_server(of)
    # The application before it knows under which names it is reached; the SDK would know of the loopback alone.
    anywhere = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    app = server.streamable_http_app(streamable_http_path="/mcp", stateless_http=True, transport_security=anywhere)
    return server, app
