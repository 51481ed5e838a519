"""Programs that leave what they measured in `results`, run by themselves, as the other side of a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

TYPICAL = """
import time

def typical(work, times):
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return sorted(taken)[times // 2]
"""
"""The median counts: on a busy machine a mean tells how often it was interrupted."""


def results_of(code: str, environment: Mapping[str, str]) -> dict[str, float]:
    """Run a program in a Python of its own and return its `results`.

    Raises:
        RuntimeError: it failed; a failure must not look fast.
    """
    told = f"{code}\nimport json, os\nprint('\\n' + json.dumps(results), flush=True)\nos._exit(0)\n"
    done = subprocess.run(
        [sys.executable, "-c", told],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"a program ended with {done.returncode}: {done.stderr[-800:]}")
    return json.loads(done.stdout.splitlines()[-1])
