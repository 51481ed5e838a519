"""Services that begin at once: each is forked from this process, which has imported all that they need.

For each line of standard input, `[home, configuration, program]`, one service runs the program and approves it. Its
process id comes back, then what the approved program prints, then `ended` with its exit status.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import osprey_executor.pipeline.driver
from osprey_executor import Approve, PythonExecutionRequest, PythonExecutorService
from osprey_executor.control import open_control
from osprey_executor.execution import open_engine

READY = (osprey_executor.pipeline.driver, open_control, open_engine)


def say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


async def serve(home: str, config: dict[str, Any], code: str) -> None:
    async with PythonExecutorService.from_config(config, home=Path(home)) as service:
        request = PythonExecutionRequest(user_query="t", code=code)
        stage = ""
        async for event in service.stream(request, decide=lambda card: Approve(card.digest)):
            if event.kind == "stage":
                stage = event.stage
            if event.kind == "output" and stage == "execution":  # and not in its rehearsal
                say(event.text.strip())


def main() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            asyncio.run(serve(*json.loads(line)))
            os._exit(0)
        say(str(pid))
        _, status = os.waitpid(pid, 0)
        say(f"ended {os.waitstatus_to_exitcode(status)}")


main()
