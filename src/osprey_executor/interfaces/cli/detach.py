"""`run --detach`: hands a run to a process of its own, and leaves when that has begun it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from osprey_executor.interfaces.cli.exits import Exit
from osprey_executor.interfaces.cli.failures import tell
from osprey_executor.interfaces.cli.streams import write_json, write_out

_CHILD = "osprey_executor.interfaces.cli.detached"


@dataclass(frozen=True)
class Order:
    """What the other process is to run."""

    task: str
    code: str | None
    inputs: Mapping[str, Path | bytes]
    config: Path | None

    def to_json(self) -> bytes:
        """Return the order as it goes through a pipe."""
        inputs = {
            name: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else {"path": str(value)}
            for name, value in self.inputs.items()
        }
        config = None if self.config is None else str(self.config)
        return json.dumps({"task": self.task, "code": self.code, "inputs": inputs, "config": config}).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Order:
        """Return the order that `to_json` wrote."""
        told: dict[str, Any] = json.loads(text)
        inputs: dict[str, Path | bytes] = {
            name: Path(value["path"]) if "path" in value else base64.b64decode(value["base64"])
            for name, value in told["inputs"].items()
        }
        config = None if told["config"] is None else Path(told["config"])
        return cls(told["task"], told["code"], inputs, config)


def detached(order: Order, *, as_json: bool) -> int:
    """Begin the run in a process of its own and print its id; what keeps it from beginning is told here."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, os.fdopen(reading, "rb") as answer:
        # -P: a module in the working folder must not stand in the place of one of ours. A session of its own has no
        # terminal whose end or Ctrl-C would reach it.
        arguments = [sys.executable, "-P", "-m", _CHILD, str(writing), *(["--json"] if as_json else [])]
        try:
            child = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=out, stderr=err, pass_fds=(writing,), start_new_session=True
            )
        finally:
            os.close(writing)
        assert child.stdin is not None
        with suppress(BrokenPipeError), child.stdin:  # it ended before it listened: told below
            child.stdin.write(order.to_json())
        run_id = answer.readline().decode().strip()
        if not run_id:
            return _failed(child.wait(), out, err, as_json=as_json)
    if as_json:
        write_json({"run_id": run_id, "state": "running"})
    else:
        write_out(lambda: sys.stdout.write(f"{run_id}\n"))
        sys.stderr.write(f"It goes on by itself: osprey-executor watch {run_id}\n")
    return 0


def _failed(code: int, out: IO[bytes], err: IO[bytes], *, as_json: bool) -> int:
    """Pass on what the other process said, and its exit code."""
    err.seek(0)
    said = err.read().decode(errors="replace")
    if "osprey-executor: " not in said:  # it is the interpreter who speaks, or nobody
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        message = (
            f"the process of the run ended with {how} before it began: {said.strip()[-2000:] or 'it said nothing'}"
        )
        return tell("EngineError", message, Exit.UNAVAILABLE, as_json=as_json)
    out.seek(0)
    sys.stderr.write(said)
    write_out(lambda: shutil.copyfileobj(out, sys.stdout.buffer))
    return code
