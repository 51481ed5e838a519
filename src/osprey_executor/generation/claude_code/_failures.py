"""What the CLI tells of a failure, as the kinds of failure that all generators have."""

from __future__ import annotations

import re
from dataclasses import dataclass

from claude_agent_sdk import ResultMessage

from osprey_executor.generation._faults import Fault, ProviderFault

# The names that the system gives to failures; the CLI has no field for them and puts them in brackets.
_SYSTEM_NAME = re.compile(r"\(([A-Z][A-Z_]{3,})\)")
_NO_ROUTE = {"ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "EACCES", "EPERM"}
_BY_STATUS = {
    401: Fault.WRONG_KEY,
    403: Fault.FORBIDDEN,
    404: Fault.WRONG_MODEL,
    413: Fault.TOO_LONG,
    429: Fault.RATE_LIMIT,
    503: Fault.OVERLOADED,
    529: Fault.OVERLOADED,
}


@dataclass
class Heard:
    """What the CLI said beside its answers."""

    error: str = ""
    """Kind of the last failed answer."""
    status: int | None = None
    """HTTP status of the last try that failed, and is made again."""
    refused: bool = False

    def retried(self) -> ProviderFault | None:
        """Return why the last try failed, if the provider said it."""
        return ProviderFault(by_status(self.status)) if self.status else None


def by_status(status: int) -> Fault:
    """Return the kind of failure of an HTTP status."""
    return _BY_STATUS.get(status) or (Fault.SERVER if status >= 500 else Fault.BAD_REQUEST)


def fault_of(result: ResultMessage, heard: Heard) -> ProviderFault:
    """Return the failure that a result tells of."""
    said = result.result or ""
    if result.terminal_reason == "prompt_too_long":
        return ProviderFault(Fault.TOO_LONG, said)
    if result.api_error_status:
        return ProviderFault(by_status(result.api_error_status), said)
    names = set(_SYSTEM_NAME.findall(said))
    if names & _NO_ROUTE or any("CERT" in name for name in names):
        return ProviderFault(Fault.NO_ROUTE, said)
    return ProviderFault(Fault.CUT if heard.error == "server_error" else Fault.GARBAGE, said)
