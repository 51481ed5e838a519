"""One kernel of the server, made ready for one program: connected, given the relay, and connected again if cut."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import logging
import socket
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from osprey_executor.errors import ContainerConnectivityError
from osprey_executor.execution.container._bundle import COMM, cell
from osprey_executor.execution.container._server import JupyterServer
from osprey_executor.execution.container.kernel.line import Item, Line
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

_DEAD = ("dead", "restarting", "autorestarting")
_BACKLOG = 8 << 20
"""Characters that arrived and wait for whom they are for; beyond, no more is read from the server."""
_MOST_EARLY = 100
_RETRY = (0.05, 1.0)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lost:
    """Why a kernel is of no use any more."""

    died: bool
    """The kernel itself is gone; else nobody knows."""
    why: str


class Kernel:
    """A kernel and our end of the line to it."""

    def __init__(self, server: JupyterServer, ident: str, *, patience: float, reconnect: float) -> None:
        """Use the kernel `ident`, which is new.

        Args:
            server: where it is.
            ident: its id.
            patience: seconds in which it must be ready.
            reconnect: seconds for which a broken connection is tried again.
        """
        self.ident = ident
        self._server, self._patience, self._reconnect = server, patience, reconnect
        self._loop = asyncio.get_running_loop()
        self._session, self._comm = uuid.uuid4().hex, uuid.uuid4().hex
        self.line = Line(self._send_line, self._take, self._loop.call_later, self._loop.time, self._make_room)
        self.lost: asyncio.Future[Lost] = self._loop.create_future()
        """Done when the kernel can be used no more."""
        self.facts: dict[str, Any] = {}
        """What the relay said of the place: `root`, `executable`, `python`, ..."""
        self._on_item: Callable[[Item], None] | None = None
        self._early: list[Item] = []
        self._outgoing: deque[str] = deque()
        self._more = asyncio.Event()
        self._connected = self._loop.create_future()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._backlog = 0
        self._drained = asyncio.Event()
        self._drained.set()
        self._room = asyncio.Event()
        self._room.set()
        self._heard, self._lines = False, 0
        self._task = self._loop.create_task(self._stay_connected())

    async def prepare(self, opened: dict[str, Any]) -> None:
        """Send the relay and wait until it is ready.

        Args:
            opened: what the relay is told: the process to start in advance.

        Raises:
            ContainerConnectivityError: it does not come to that.
        """
        try:
            async with asyncio.timeout(self._patience):
                await self._first(self._connected)
                await self._execute(cell(), {})
                self._send("comm_open", {"comm_id": self._comm, "target_name": COMM, "data": opened})
                await self._first(self._ready)
        except TimeoutError:
            raise ContainerConnectivityError(
                f"a kernel of the Jupyter server at {self._server.url} was not ready within {self._patience:g} s: look "
                "at the server's log, or raise execution.container.patience"
            ) from None

    async def evaluate(self, code: str, expression: str) -> Any:
        """Run code in the kernel itself, beside the program's walls, and return the constant that `expression` is.

        Raises:
            ContainerConnectivityError: it does not answer so.
        """
        seen: Any = None
        try:
            async with asyncio.timeout(self._patience):
                reply = await self._execute(code, {"seen": expression})
            seen = reply["user_expressions"]["seen"]
            return ast.literal_eval(seen["data"]["text/plain"])
        except (KeyError, ValueError, SyntaxError, TimeoutError):
            raise ContainerConnectivityError(
                f"the kernel does not say what it sees: {one_line(str(seen), 500)}"
            ) from None

    @property
    def usable(self) -> bool:
        """Whether nothing is known against it."""
        return not self.lost.done()

    def listen(self, on_item: Callable[[Item], None]) -> None:
        """Have every item from now on, and those that are waiting, go to `on_item`."""
        self._on_item = on_item
        early, self._early = self._early, []
        for item in early:
            on_item(item)

    async def room(self) -> None:
        """Wait until the line takes more."""
        while self.line.full and self.usable:
            self._room.clear()
            await self._room.wait()

    def waits(self, size: int) -> None:
        """Note that `size` more characters wait for whom they are for, or less, where it is negative."""
        self._backlog += size
        if self._backlog > _BACKLOG:
            self._drained.clear()
        else:
            self._drained.set()

    def give_up(self, died: bool, why: str) -> None:
        """Use it no more."""
        if not self.lost.done():
            self.lost.set_result(Lost(died, why))
        self._room.set()
        self._drained.set()

    async def interrupt(self) -> None:
        """Interrupt the kernel itself, which does not answer."""
        await self._server.interrupt_kernel(self.ident)

    async def close(self) -> bool:
        """Disconnect and end the kernel; return whether it is gone for certain."""
        self.give_up(False, "it is closed")
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        return await self._server.delete_kernel(self.ident)

    async def _execute(self, code: str, expressions: dict[str, str]) -> dict[str, Any]:
        number = self._send("execute_request", _request(code, expressions))
        self._replies[number] = self._loop.create_future()
        reply = await self._first(self._replies[number])
        if reply.get("status") != "ok":
            why = f"{reply.get('ename')}: {reply.get('evalue')}"
            raise ContainerConnectivityError(
                f"the kernel of the Jupyter server at {self._server.url} cannot be used, it must be a Python "
                f"kernel on Linux (ipykernel): {one_line(why, 500)}"
            )
        return reply

    async def _first(self, wanted: asyncio.Future[Any]) -> Any:
        """Return what `wanted` comes to, unless the kernel is lost before."""
        await asyncio.wait({wanted, self.lost}, return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done():
            wanted.cancel()
            raise ContainerConnectivityError(
                f"a kernel of the Jupyter server at {self._server.url} was lost: {self.lost.result().why}"
            )
        return wanted.result()

    async def _stay_connected(self) -> None:
        from websockets.exceptions import WebSocketException

        pause, since = _RETRY[0], self._loop.time()
        while self.usable:
            why = "the server closed the connection"
            try:
                async with self._server.channels(self.ident, self._session) as connection:
                    pause = _RETRY[0]
                    await self._converse(connection)
            except (OSError, TimeoutError, WebSocketException) as error:
                why = one_line(str(error), 200) or type(error).__name__
            except Exception as error:  # what the other end sent is not what it should be
                self.give_up(False, f"it sent what cannot be read ({type(error).__name__})")
                _log.debug("a kernel sent nonsense", exc_info=error)
                return
            if self._heard:
                since, self._heard = self._loop.time(), False
            if not self._ready.done():  # nothing is lost with it: another is taken in its place
                self.give_up(False, f"the connection broke while it was made ready ({why})")
            elif await self._server.has_kernel(self.ident) is False:
                self.give_up(True, "the kernel died")
            elif self._loop.time() - since > self._reconnect:
                self.give_up(False, f"the connection broke ({why}) and was not back within {self._reconnect:g} s")
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _RETRY[1])

    async def _converse(self, connection: ClientConnection) -> None:
        sock: socket.socket = connection.transport.get_extra_info("socket")
        again = self._connected.done()
        self._outgoing.clear()
        answered = None
        if again:
            self.line.again()
            self.line.repeat()
            answered = self._loop.call_later(self._reconnect, self._give_up_mute, self._lines)
        else:
            self._connected.set_result(None)
        sending = self._loop.create_task(self._send_all(connection))
        try:
            async for text in connection:
                # The server sends in small pieces and waits for the acknowledgement of each, which Linux holds back
                # for 40 ms.
                if hasattr(socket, "TCP_QUICKACK") and sock.family != socket.AF_UNIX:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                if isinstance(text, str):
                    self._hear(json.loads(text))
                await self._drained.wait()
                if not self.usable:
                    return
        finally:
            if answered is not None:
                answered.cancel()
            sending.cancel()
            await asyncio.wait({sending})

    def _give_up_mute(self, lines: int) -> None:
        if self._lines == lines:
            self.give_up(False, "the connection broke, and the kernel does not answer any more")

    async def _send_all(self, connection: ClientConnection) -> None:
        while True:
            while self._outgoing:
                await connection.send(self._outgoing.popleft())
            self._more.clear()
            await self._more.wait()

    def _send(self, kind: str, content: dict[str, Any]) -> str:
        number = uuid.uuid4().hex
        header = {
            "msg_id": number,
            "msg_type": kind,
            "session": self._session,
            "username": "osprey-executor",
            "date": datetime.now(UTC).isoformat(),
            "version": "5.3",
        }
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        self._outgoing.append(json.dumps({**message, "buffers": []}))
        self._more.set()
        return number

    def _send_line(self, message: dict[str, Any]) -> None:
        self._send("comm_msg", {"comm_id": self._comm, "data": message})

    def _hear(self, message: dict[str, Any]) -> None:
        kind, content = message["header"]["msg_type"], cast(dict[str, Any], message["content"])
        self._heard = True
        if kind == "comm_msg" and content["comm_id"] == self._comm:
            self._lines += 1
            self.line.hear(content["data"])
        elif kind == "execute_reply":
            reply = self._replies.pop(message["parent_header"].get("msg_id"), None)
            if reply is not None and not reply.done():
                reply.set_result(content)
        elif kind == "status" and content["execution_state"] in _DEAD:
            self.give_up(True, "the kernel died")

    def _take(self, item: Item) -> None:
        if "ready" in item:
            self.facts = dict(item["ready"])
            if not self._ready.done():
                self._ready.set_result(None)
        elif self._on_item is not None:
            self._on_item(item)
        elif len(self._early) < _MOST_EARLY:
            self._early.append(item)
        else:
            self.give_up(False, "it talks before it was asked")

    def _make_room(self) -> None:
        self._room.set()


def _request(code: str, expressions: dict[str, str]) -> dict[str, Any]:
    flags = {"silent": True, "store_history": False, "allow_stdin": False, "stop_on_error": True}
    return {"code": code, "user_expressions": expressions, **flags}
