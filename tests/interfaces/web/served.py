"""A real `osprey-executor serve`, on a port of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = str(Path(sys.executable).with_name("osprey-executor"))


@dataclass(frozen=True)
class Served:
    """A process that serves."""

    process: subprocess.Popen[str]
    url: str
    said: list[str]
    """Its first lines."""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tell it to end, and return with which code it did."""
        self.process.send_signal(number)
        return self.process.wait(60)


def arguments(folder: Path, config: dict[str, Any], *more: str) -> list[str]:
    """The command, with a configuration of its own."""
    file = folder / "config.yml"
    file.write_text(json.dumps(config))
    return [COMMAND, "serve", "--config", str(file), *more]


@contextmanager
def serving(home: Path, folder: Path, config: dict[str, Any], *more: str) -> Iterator[Served]:
    """Serve a state folder until the context ends."""
    process = subprocess.Popen(
        arguments(folder, config, "--port", "0", *more),
        env=os.environ | {"OSPREY_EXECUTOR_HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr
        said: list[str] = []
        while len(said) < 3:
            line = process.stderr.readline()
            assert line, f"it ended with {process.wait(10)}: {said}"
            said.append(line.rstrip("\n"))
        yield Served(process, said[0].split()[-1], said)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)
        assert process.stderr
        process.stderr.close()
