"""What the CLI tells of a failure, as the kinds of failure that all generators have."""

from __future__ import annotations

from dataclasses import dataclass

from claude_agent_sdk import ResultMessage

from osprey_executor.generation._faults import Fault, ProviderFault, by_status


@dataclass
class Heard:
    """What the CLI said beside its answers."""

    error: str = ""
    """Kind of the last failed answer."""
    refused: bool = False


def fault_of(result: ResultMessage, heard: Heard, seen: ProviderFault | None) -> ProviderFault:
    """Return the failure that a result tells of; `seen` is how the provider failed on the way to it."""
    said = result.result or ""
    if result.terminal_reason == "prompt_too_long":
        return ProviderFault(Fault.TOO_LONG, said)
    if seen:
        return seen
    if result.api_error_status:
        return ProviderFault(by_status(result.api_error_status, said), said)
    return ProviderFault(Fault.CUT if heard.error == "server_error" else Fault.GARBAGE, said)
