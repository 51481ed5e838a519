"""The CLI's process: started with exactly the environment that it is given, and ended with all its children."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from claude_agent_sdk import CLIConnectionError, Transport

from osprey_executor.generation.claude_code._command import Command

_LONGEST_LINE = 16 << 20
_KEPT_COMPLAINT = 4000


class CliTransport(Transport):
    """One process, in a session of its own, which ends all its children with itself; it speaks in lines of JSON.

    The SDK's own transport merges the environment of the service into that of the CLI, waits seconds for it to end, and
    does not end it where a task is cancelled in the middle.
    """

    def __init__(self, command: Command, folder: Path) -> None:
        self._command = command
        self._folder = folder
        self._control = -1
        """Held open as long as the process may live; the kernel closes it where the service dies."""
        self._process: asyncio.subprocess.Process | None = None
        self.answers: dict[str, Mapping[str, Any]] = {}
        """What each of the model's answers has used, by its id; noted before anything is done that they ask for."""
        self._complaint = b""
        self._listening: asyncio.Task[None] | None = None

    @property
    def complaint(self) -> str:
        """The last that the process wrote to its standard error."""
        return self._complaint.decode(errors="replace")

    @property
    def exit_code(self) -> int | None:
        """How the process ended by itself; None while it runs, and where it was ended."""
        return self._process.returncode if self._process else None

    async def connect(self) -> None:
        """Start the process."""
        control, self._control = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command.line(control),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=self._folder,
                env=self._command.environment,
                start_new_session=True,
                limit=_LONGEST_LINE,
                pass_fds=(control,),
            )
        finally:
            os.close(control)
        self._listening = asyncio.create_task(self._listen(self._process))

    async def write(self, data: str) -> None:
        """Send lines to the process."""
        if self._process is None or self._process.stdin is None or self._process.stdin.is_closing():
            raise CLIConnectionError("the CLI is not running")
        try:
            self._process.stdin.write(data.encode())
            await self._process.stdin.drain()
        except ConnectionError:
            raise CLIConnectionError("the CLI has ended") from None

    async def read_messages(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what the process says until its end."""
        if self._process is None or self._process.stdout is None:
            raise CLIConnectionError("the CLI is not running")
        try:
            async for line in self._process.stdout:
                if line.startswith(b"{"):
                    message = json.loads(line)
                    if message.get("type") == "assistant":
                        answer = message.get("message", {})
                        self.answers[str(answer.get("id"))] = answer.get("usage") or {}
                    yield message
        except ValueError:
            raise CLIConnectionError("the CLI said something that is no message") from None
        if await self._process.wait() != 0:
            raise CLIConnectionError("the CLI has ended early")

    async def end_input(self) -> None:
        """Tell the process that nothing more comes."""
        if self._process and self._process.stdin:
            self._process.stdin.close()

    async def close(self) -> None:
        """End the process and its children at once; there is nothing that it should still write."""
        if self._listening:
            self._listening.cancel()
        if self._control >= 0:
            os.close(self._control)
            self._control = -1
        if self._process:
            await self._process.wait()

    def is_ready(self) -> bool:
        """Whether it can be written to."""
        return self._process is not None and self._process.returncode is None

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        while process.stderr and (piece := await process.stderr.read(_KEPT_COMPLAINT)):
            self._complaint = (self._complaint + piece)[-_KEPT_COMPLAINT:]
