"""EPICS by PVAccess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from osprey_executor.control.connectors._account import VARIABLE
from osprey_executor.control.connectors._addresses import UNANSWERED, checked
from osprey_executor.control.connectors._by_process import ByProcess
from osprey_executor.control.connectors._lacking import NoArchive
from osprey_executor.control.connectors._process import Protocol, WorkerProcess
from osprey_executor.control.connectors._protocol import Timeouts

_PROTOCOL = Protocol("PVAccess", "osprey_executor.control.connectors._pva_worker", "pva")


class PvaConnector(ByProcess, NoArchive):
    """Speaks PVAccess to the servers of an address list, and to no others.

    Scalars, arrays, states (NTEnum) and tables (NTTable) are read; images (NTNDArray) are refused. A boolean is a state
    with the labels `false` and `true`. Commands are RPC: their arguments go as an NTURI.

    Args:
        address_list: `host` or `host:port`, as EPICS_PVA_ADDR_LIST has them; the variable itself is not looked at.
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
    ) -> None:
        self.addresses = checked("pva", "5076", address_list, name_servers)
        environment = {
            VARIABLE: user_name or "",
            "EPICS_PVA_AUTO_ADDR_LIST": "NO",
            "EPICS_PVA_ADDR_LIST": " ".join(address_list) or UNANSWERED,
            "EPICS_PVA_NAME_SERVERS": " ".join(name_servers),
        }
        super().__init__(WorkerProcess(_PROTOCOL, environment, timeouts))

    async def call(self, channel: str, arguments: Mapping[str, Any]) -> Any:
        """Run a command (RPC) and return its answer: a value, or a dict of the columns of a table.

        Raises:
            ControlSystemError: the server says that it failed.
            OutcomeUnknownError: no answer came.
        """
        return await self._process.call(channel, arguments)
