"""The door for agents that speak the Model Context Protocol. Needs the extra `mcp`; no tool of it approves anything."""
