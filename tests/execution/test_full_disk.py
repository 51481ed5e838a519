"""A disk that is full when a run is over costs files, never the word on how the run ended."""

from __future__ import annotations

import json
from collections.abc import Callable

SCRIPT = """
import asyncio, json
from pathlib import Path
from osprey_executor.execution.local.jail import identity, kernel
identity.enter_user_namespace({"identity_map": False, "code_id": 1000})
kernel.unshare(kernel.CLONE_NEWNS)
disk = Path("/tmp/disk")
disk.mkdir()
kernel.mount("tmpfs", str(disk), 0, "size=40k")
from osprey_executor.execution import Program, open_engine
CODE = '''
import sys
open("small.txt", "w").write("kept")
open("large.bin", "wb").write(bytes(200_000))
open("zoo.txt", "w").write("kept too")
def figure(number):
    from osprey_executor.worker import runtime
    start = b"\\\\x89PNG\\\\r\\\\n\\\\x1a\\\\n" + bytes(4) + b"IHDR" + (10).to_bytes(4, "big") * 2
    runtime._channel().send({"op": "figure", "index": number}, [start + bytes(100_000)])
figure(1)
results = {"x": 1}
'''
async def main():
    async with open_engine("local") as engine:
        outcome = await engine.run(Program(code=CODE, folder=disk))
    files = sorted(str(path.relative_to(disk)) for path in disk.rglob("*") if path.is_file())
    told = [outcome.status, outcome.results, outcome.notes, len(outcome.figures), len(outcome.artifacts), files]
    print(json.dumps([*told, outcome.error and outcome.error.message]))
asyncio.run(main())
"""


def test_the_outcome_survives_a_full_disk(as_user: Callable[..., str]) -> None:
    status, results, notes, figures, artifacts, files, error = json.loads(as_user(SCRIPT).splitlines()[-1])
    assert error is None
    assert (status, results) == ("succeeded", {"x": 1})
    full = "the disk of the service is full (No space left on device)"
    assert notes == [f"artifact left out: large.bin: {full}", f"figure 1 left out: {full}"]
    assert (figures, artifacts) == (0, 2)
    assert files == ["artifacts/small.txt", "artifacts/zoo.txt"]
