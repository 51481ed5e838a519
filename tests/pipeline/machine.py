"""A real IOC that keeps a record of its own of every put."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osprey_executor.control.connectors._child import Child

from .conftest import settings

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Machine:
    """An IOC, and the file to which it appends every put."""

    pid: int
    port: int
    puts: Path

    def arrived(self) -> dict[str, list[float]]:
        """Return the values of each channel in the order in which they arrived."""
        found: dict[str, list[float]] = defaultdict(list)
        for line in self.puts.read_text().splitlines():
            channel, value = line.split()
            found[channel].append(float(value))
        return found

    def stop(self) -> None:
        """Let it hang."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def config(self, **changes: Any) -> dict[str, Any]:
        address = [f"127.0.0.1:{self.port}"]
        return settings(control_system__type="epics", control_system__epics={"address_list": address}, **changes)


@asynccontextmanager
async def machine_with(channels: int, folder: Path) -> AsyncIterator[Machine]:
    """Run an IOC."""
    puts = folder / "puts"
    puts.touch()
    environment = {"PYTHONPATH": str(HERE / "ioc"), "CHANNELS": str(channels), "PUTS": str(puts)}
    child = await Child.start("counter", environment=environment)
    try:
        assert child.process.stdout is not None
        told = json.loads(await asyncio.wait_for(child.process.stdout.readline(), 60))
        yield Machine(child.process.pid, told["port"], puts)
    finally:
        await child.stop()
