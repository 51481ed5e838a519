"""EPICS by Channel Access."""

from __future__ import annotations

from collections.abc import Sequence

from osprey_executor.control.connectors._account import VARIABLE
from osprey_executor.control.connectors._addresses import UNANSWERED, checked
from osprey_executor.control.connectors._by_process import ByProcess
from osprey_executor.control.connectors._lacking import NoArchive, NoCommands
from osprey_executor.control.connectors._process import Protocol, WorkerProcess
from osprey_executor.control.connectors._protocol import Timeouts


class EpicsConnector(ByProcess, NoCommands, NoArchive):
    """Speaks Channel Access to the servers of an address list, and to no others.

    Enum channels are read as their labels and written as label or number. `timestamp` is the server's.

    Args:
        address_list: `host` or `host:port`, as EPICS_CA_ADDR_LIST has them; the variable itself is not looked at.
        name_servers: the same, asked by TCP instead of UDP.
        timeouts: how long to wait for what.
        user_name: under which servers see what is written; None: that of the account.
    """

    def __init__(
        self,
        address_list: Sequence[str],
        *,
        name_servers: Sequence[str] = (),
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        user_name: str | None = None,
        extra: str = "epics",
    ) -> None:
        self.addresses = checked("epics", "5064", address_list, name_servers)
        environment = {
            VARIABLE: user_name or "",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_ADDR_LIST": " ".join(address_list) or UNANSWERED,
            "EPICS_CA_NAME_SERVERS": " ".join(name_servers),
            # There is no beacon repeater: a server that comes back is found by searching alone, so search each minute.
            "EPICS_CA_MAX_SEARCH_PERIOD": "60",
        }
        protocol = Protocol("Channel Access", "osprey_executor.control.connectors._ca_worker", extra)
        super().__init__(WorkerProcess(protocol, environment, timeouts))
