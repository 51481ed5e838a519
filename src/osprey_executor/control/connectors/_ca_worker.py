"""The Channel Access process: the only place that loads libca. It serves one connector over its standard input.

libca has one context a process, fixed at its first use by EPICS_CA_* and bound to it for good; see ADR 0008.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
import time
from collections.abc import Coroutine
from importlib import import_module
from typing import Any, cast

from osprey_executor.control.connectors._frames import pack, receive

_METADATA_SECONDS = 10.0
_LARGEST_ARRAY = 64 * 2**20
# cadef.h: the server answered, and the value was not put.
_PUT_FAILED, _NO_WRITE_ACCESS = 160, 376
# Of the DBF numbers of db_access.h; the others are string (0), enum (3).
_DTYPES = {1: "i2", 2: "f4", 4: "u1", 5: "i4", 6: "f8"}
_STRING, _ENUM = 0, 3


class Worker:
    """Answers `read` and `write`, each as a task of its own."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._ca: Any = import_module("aioca")
        self._errors: tuple[type[Exception], ...] = (
            self._ca.CANothing,
            *(getattr(import_module("epicscorelibs.ca.cadef"), name) for name in ("CAException", "Disconnected")),
        )
        self._writer = writer
        self._metadata: dict[str, tuple[float, dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Answer until the stream ends."""
        self._send({"ready": True})
        while (message := await receive(reader)) is not None:
            task = asyncio.create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: dict[str, Any]) -> None:
        if message["op"] == "read":
            answer: dict[str, Any] = {"samples": await self._read_all(message["channels"], message["timeout"])}
        else:
            try:
                answer = await self._write(message)
            except Exception as error:  # whatever it was, only an answer keeps the run truthful
                answer = {"state": "unknown", "message": _told(error)}
        self._send({"id": message["id"], **answer})
        await self._writer.drain()

    def _send(self, message: dict[str, Any]) -> None:
        self._writer.write(pack(message))

    async def _read_all(self, channels: list[str], seconds: float) -> list[dict[str, Any]]:
        tasks = [asyncio.create_task(self._read(channel)) for channel in channels]
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return [{"error": f"no answer within {seconds:g} s"} if task in late else task.result() for task in tasks]

    async def _read(self, channel: str) -> dict[str, Any]:
        try:
            metadata = await self._describe(channel)
            if "error" in metadata:
                return metadata
            value = await self._ca.caget(channel, format=self._ca.FORMAT_TIME, timeout=None)
        except Exception as error:  # one broken channel must not cost the others their answer
            self._metadata.pop(channel, None)
            return {"error": _told(error)}
        return {**metadata, "value": _plain(value, metadata), "severity": value.severity, "time": value.timestamp}

    async def _describe(self, channel: str) -> dict[str, Any]:
        made, known = self._metadata.get(channel, (0.0, {}))
        if known and time.monotonic() - made < _METADATA_SECONDS:
            return known
        info = await self._ca.cainfo(channel, timeout=None)
        if not info.read:
            return {"error": "the control system refuses to have it read from here"}
        if info.count * (40 if info.datatype == _STRING else 8) > _LARGEST_ARRAY:
            return {"error": f"an array of {info.count} elements, too large to be read"}
        told = await self._ca.caget(channel, format=self._ca.FORMAT_CTRL, timeout=None)
        known = {
            "dtype": _DTYPES.get(info.datatype, "string" if info.datatype == _STRING else "enum"),
            "count": info.count,
            "writable": info.write,
            "units": getattr(told, "units", ""),
            "labels": list(getattr(told, "enums", ())),
            "control_limits": _limits(told),
        }
        self._metadata[channel] = (time.monotonic(), known)
        return known

    async def _write(self, message: dict[str, Any]) -> dict[str, Any]:
        channel, value = message["channel"], message["value"]
        try:
            await self._ca.connect(channel, timeout=message["connect"])
        except self._errors as error:
            return {"state": "failed", "message": f"not sent: {_told(error)}"}
        try:
            await self._ca.caput(channel, value, wait=True, timeout=message["timeout"])
        except self._ca.CANothing as error:
            certain = error.errorcode in (_PUT_FAILED, _NO_WRITE_ACCESS)
            return {"state": "failed" if certain else "unknown", "message": _told(error)}
        except self._errors as error:
            # Raised by the call itself, before anything was sent.
            return {"state": "failed", "message": f"not sent: {_told(error)}"}
        (sample,) = await self._read_all([channel], message["connect"])
        return {"state": "confirmed", "sample": sample}


def _plain(value: Any, metadata: dict[str, Any]) -> Any:
    if isinstance(value, str):
        return str(value)
    if metadata["count"] > 1:
        from numpy import atleast_1d, ndarray

        return atleast_1d(value.view(ndarray) if isinstance(value, ndarray) else value)
    if metadata["dtype"] == "enum":
        labels = metadata["labels"]
        return labels[value] if 0 <= value < len(labels) else int(value)
    return float(value) if metadata["dtype"].startswith("f") else int(value)


def _limits(told: Any) -> list[float] | None:
    """Return what DBR_CTRL tells of a number: an `ao` answers DRVL and DRVH, and 0 and 0 where they are unset."""
    pair = [getattr(told, name, None) for name in ("lower_ctrl_limit", "upper_ctrl_limit")]
    return None if None in pair else [float(limit) for limit in cast("list[float]", pair)]


def _told(error: Exception) -> str:
    return str(error).replace("\n", " ") or type(error).__name__


class _SilentRepeater(asyncio.DatagramProtocol):
    """Stands where libca expects its beacon repeater, so that libca starts no daemon that would outlive us.

    Source: Channel Access protocol specification, REPEATER_CONFIRM is command 17.
    """

    _CONFIRM = struct.pack(">HHHHII", 17, 0, 0, 0, 0, 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._transport.sendto(self._CONFIRM, addr)


async def _serve() -> None:
    os.dup2(2, 1)  # nobody reads our standard output
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(_SilentRepeater, local_addr=("127.0.0.1", 0))
    os.environ["EPICS_CA_REPEATER_PORT"] = str(transport.get_extra_info("sockname")[1])
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=os.dup(0)))
    try:
        worker = Worker(writer)
    except ModuleNotFoundError as error:
        writer.write(pack({"ready": False, "missing": str(error.name)}))
        await writer.drain()
        return
    await worker.serve(reader)


def _run(serving: Coroutine[Any, Any, None]) -> None:
    asyncio.run(serving)
    # libca's own threads may hang in an orderly exit, and nothing here needs one.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    _run(_serve())
