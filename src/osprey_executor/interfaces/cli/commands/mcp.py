"""`mcp`: the service as tools of an agent, on standard input and output."""

from __future__ import annotations

from osprey_executor.interfaces.cli.commands.options import ConfigFile


def mcp(config: ConfigFile = None) -> int:
    """Serve an agent that speaks the Model Context Protocol, on standard input and output.

    The agent may run programs, rehearse them, and read what its runs left. What would write waits for a person.
    """
    from osprey_executor.errors import MissingExtraError
    from osprey_executor.service import PythonExecutorService

    try:
        from osprey_executor.interfaces.mcp.over_stdio import serve_stdio
    except ImportError:
        raise MissingExtraError("mcp", "mcp") from None
    serve_stdio(PythonExecutorService.from_config(config))
    return 0
