"""Does a service that runs for days grow? Its memory after many runs against after a hundred, in a process of its own.

Also the program of that process: `python _memory.py RUNS` prints a line of JSON now and then.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _live import TRIVIAL, ask, service
from _measure import tell
from _report import Line

EARLY = 100


def memory(runs: int) -> list[Line]:
    """Return the memory of a service after `runs` requests against after the first hundred.

    Raises:
        RuntimeError: the service's process failed.
    """
    seen: dict[int, dict[str, Any]] = {}
    with subprocess.Popen([sys.executable, __file__, str(runs)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for text in process.stdout:
            told = json.loads(text)
            seen.setdefault(told["runs"], {}).update(told)
            tell(f"{told['runs']} of {runs} runs")
    tell("")
    if process.returncode or runs not in seen:
        raise RuntimeError(f"the service that was measured ended with {process.returncode}")
    early, late = seen[EARLY], seen[runs]
    beside = f"{late['beside']} processes beside the service after {runs} runs"
    return [
        Line("memory", f"service after {EARLY} runs", early["rss"] / 1e6, "MB"),
        Line("memory", f"service after {runs} runs", late["rss"] / 1e6, "MB"),
        Line("memory", f"after {runs} runs against after {EARLY}", late["rss"] / early["rss"], "x", goal=1.1),
        Line("memory", beside, late["pss_beside"] / 1e6, "MB", note="what they share is divided among them"),
        Line("memory", f"state folder after {runs} runs", late["disk"] / 1e6, "MB"),
    ]


def _size(process: int | str, file: str, name: str) -> int:
    """Return a size that the kernel tells of a process, in bytes; 0 where it tells none, or the process is gone."""
    try:
        lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def _descendants(process: int) -> list[int]:
    found: list[int] = []
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found += [child, *_descendants(child)]
    return found


async def _live(runs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as temporary:
        home = Path(temporary)
        async with service(home, TRIVIAL) as serving:
            for count in range(1, runs + 1):
                await ask(serving)
                if count in (EARLY, runs) or count % 500 == 0:
                    print(json.dumps({"runs": count, **_look()}), flush=True)
        # Last of all: it lists every folder, and this process is the one that is measured.
        print(json.dumps({"runs": runs, "disk": _disk(home)}), flush=True)


def _look() -> dict[str, int]:
    gc.collect()
    beside = _descendants(os.getpid())
    return {
        "rss": _size("self", "status", "VmRSS:"),
        "beside": len(beside),
        "pss_beside": sum(_size(child, "smaps_rollup", "Pss:") for child in beside),
    }


def _disk(home: Path) -> int:
    return sum(Path(folder, name).lstat().st_size for folder, _, names in os.walk(home) for name in names)


if __name__ == "__main__":
    asyncio.run(_live(int(sys.argv[1])))
