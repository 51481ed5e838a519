"""Limits of the processor, memory, processes, open files and output: each is kept, and named when it is hit."""

from __future__ import annotations

import re

import pytest

from osprey_executor.models import Limits, Outcome, RunStatus
from osprey_executor.testing.engine_conformance._bench import MIB, Bench, told

LIMITS = Limits(timeout=60, memory=256 * MIB, output=MIB, processes=24, open_files=64)
BEFORE = """
from osprey_executor import runtime
open("kept.txt", "w").write("kept")
runtime.publish({"step": 1})
print("before", flush=True)
"""
MEMORY = {
    "piece-by-piece": "import time\nkept = [b'x' * (16 << 20) for _ in range(64)]\ntime.sleep(20)",
    "at-once": "kept = bytearray(5 << 30)",
    "shared-mapping": """
import mmap, time
kept = []
for _ in range(20):
    kept.append(mmap.mmap(-1, 32 << 20))
    for at in range(0, 32 << 20, 4096): kept[-1][at] = 1
time.sleep(20)
""",
    "four-processes": """
import os, time
for _ in range(4):
    if os.fork() == 0: break
kept = b"x" * (100 << 20)
time.sleep(20)
""",
    "shared-memory-files": """
import os, time
for number in range(4):
    with open(f"/dev/shm/{number}", "wb") as stream:
        for _ in range(100): stream.write(b"x" * (1 << 20))
time.sleep(20)
""",
}
PROCESSES = {
    "fork-bomb": "import os, time\nfor _ in range(60):\n    if os.fork() == 0: time.sleep(20)\ntime.sleep(20)",
    "stubborn-fork-bomb": """
import os, time
for _ in range(60):
    try:
        if os.fork() == 0: time.sleep(20); os._exit(0)
    except OSError: pass
time.sleep(20)
""",
    "threads": "import threading, time\nfor _ in range(60): threading.Thread(target=time.sleep, args=(20,)).start()",
}


def assert_named(outcome: Outcome, limit: str, key: str) -> None:
    """Check that the run failed for `limit` and says so, and that what was there before is kept and marked partial."""
    assert re.search(rf"\b{limit} exceeded( on standard \w+)? \(limits\.{key}\)", told(outcome)), told(outcome)
    assert (outcome.status, outcome.partial) == (RunStatus.FAILED, True)
    assert outcome.stdout.startswith("before\n")
    assert outcome.results == {"step": 1}
    assert "kept.txt" in [path.name for path in outcome.artifacts]


class TestLimits:
    """Each limit ends the run, or the call that passes it, by name."""

    @pytest.mark.parametrize("name", MEMORY)
    def test_memory(self, bench: Bench, name: str) -> None:
        assert_named(bench.run(BEFORE + MEMORY[name], limits=LIMITS), "memory limit 256 MiB", "memory")

    def test_memory_refused_to_an_array(self, bench: Bench) -> None:
        outcome = bench.run(BEFORE + "import numpy\nkept = numpy.ones(1 << 32)", limits=LIMITS)
        if "numpy" in bench.expected.packages:
            assert_named(outcome, "memory limit 256 MiB", "memory")
        else:
            assert "numpy" in told(outcome)

    def test_memory_that_processes_share_counts_once(self, bench: Bench) -> None:
        code = """
import os, time
kept = b"x" * (100 << 20)
children = []
for _ in range(6):
    children.append(os.fork())
    if children[-1] == 0: time.sleep(0.3); os._exit(0)
for child in children: os.waitpid(child, 0)
results = {"a": 1}
"""
        assert bench.results(code, limits=LIMITS) == {"a": 1}

    def test_cpu_time_of_one_process(self, bench: Bench) -> None:
        outcome = bench.run(BEFORE + "while True: pass", limits=Limits(timeout=60, cpu_time=1))
        assert_named(outcome, "CPU time limit 1 s", "cpu_time")

    def test_cpu_time_of_processes_at_once(self, bench: Bench) -> None:
        code = BEFORE + "import os\nfor _ in range(3): os.fork()\nwhile True: pass"
        outcome = bench.run(code, limits=Limits(timeout=60, cpu_time=2))
        assert_named(outcome, "CPU time limit 2 s", "cpu_time")
        assert outcome.usage.cpu_seconds < 6

    def test_cpu_time_of_processes_one_after_the_other(self, bench: Bench) -> None:
        code = """
import os, time
while True:
    if os.fork() == 0:
        while time.process_time() < 0.4: pass
        os._exit(0)
    os.wait()
"""
        outcome = bench.run(BEFORE + code, limits=Limits(timeout=60, cpu_time=1))
        assert_named(outcome, "CPU time limit 1 s", "cpu_time")

    @pytest.mark.parametrize("name", PROCESSES)
    def test_processes(self, bench: Bench, name: str) -> None:
        assert_named(bench.run(BEFORE + PROCESSES[name], limits=LIMITS), "process limit 24", "processes")

    def test_as_many_processes_as_the_limit_are_fine(self, bench: Bench) -> None:
        code = """
import threading, time
threads = [threading.Thread(target=time.sleep, args=(0.2,)) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
results = {"a": 1}
"""
        assert bench.results(code, limits=LIMITS) == {"a": 1}

    def test_open_files(self, bench: Bench) -> None:
        outcome = bench.run(BEFORE + "kept = [open('/dev/null') for _ in range(100)]", limits=LIMITS)
        assert_named(outcome, "open file limit 64", "open_files")

    @pytest.mark.parametrize(("number", "stream"), [(1, "output"), (2, "error")])
    def test_output(self, bench: Bench, number: int, stream: str) -> None:
        code = BEFORE + f"import os\nblock = b'x' * 65536\nwhile True: os.write({number}, block)"
        outcome = bench.run(code, limits=LIMITS)
        assert_named(outcome, "output limit 1 MiB", "output")
        assert f"on standard {stream}" in told(outcome)
        assert len((outcome.stdout, outcome.stderr)[number - 1]) == MIB

    def test_output_below_the_limit_is_kept_whole(self, bench: Bench) -> None:
        outcome = bench.run("import sys\nprint('x' * 1000_000)\nprint('y' * 1000_000, file=sys.stderr)", limits=LIMITS)
        assert (len(outcome.stdout), len(outcome.stderr), outcome.partial) == (1000_001, 1000_001, False)
