"""Whatever ends a run - the program, the time limit, the caller - ends all of it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from uuid import uuid4

import pytest

from osprey_executor.execution import EngineEvent, Outcome, Program
from osprey_executor.models import Limits, RunStatus
from osprey_executor.testing.engine_conformance._bench import Bench, message

# Children that are marked by an argument, and try to outlive the program each in a way of its own.
SURVIVORS = """
import os, signal, subprocess, sys, time
from osprey_executor import runtime
child = '''
import os, signal, sys, time
way = sys.argv[2]
if way in ("double fork", "session"):
    if way == "session" or os.fork() == 0:
        os.setsid()
        if way == "double fork" and os.fork(): os._exit(0)
if way == "deaf":
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(number, signal.SIG_IGN)
os.write(1, b".")
if way == "stopped": os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(600)
'''
reading, writing = os.pipe()
for way in ("plain", "session", "double fork", "deaf", "stopped"):
    subprocess.Popen([sys.executable, "-I", "-S", "-c", child, context.marker, way], stdout=writing)
up = b""
while len(up) < 6: up += os.read(reading, 10)  # one of them became two
open("kept.txt", "w").write("kept")
runtime.publish({"step": 1})
print("up", flush=True)
"""


def living(marker: str) -> list[int]:
    """Return the processes of this machine that have `marker` among their arguments."""
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and marker.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:  # ended meanwhile
            continue
    return found


def assert_gone(marker: str) -> None:
    """Wait a little for the kernel, which buries the last processes after it has told of their end."""
    for _ in range(100):
        if not living(marker):
            return
        time.sleep(0.01)
    raise AssertionError(f"still there: {living(marker)}")


class TestEndOfTree:
    """No process outlives its run."""

    def test_the_end_of_the_program_ends_its_children(self, bench: Bench) -> None:
        marker, seen = uuid4().hex, list[int]()
        code = SURVIVORS + "time.sleep(0.2)\nresults = {'a': 1}"
        outcome = bench.run(code, context={"marker": marker}, on_event=lambda event: seen.append(len(living(marker))))
        assert outcome.status is RunStatus.SUCCEEDED, f"{outcome.error}\n{outcome.stderr}"
        assert bool(seen and seen[0] >= 5) == bench.expected.same_machine, seen
        assert_gone(marker)

    def test_the_time_limit_ends_the_whole_tree(self, bench: Bench) -> None:
        marker, seen = uuid4().hex, list[int]()
        outcome = bench.run(
            SURVIVORS + "while True: time.sleep(1)",
            context={"marker": marker},
            limits=Limits(timeout=5),
            on_event=lambda event: seen.append(len(living(marker))),
        )
        assert outcome.status is RunStatus.TIMED_OUT
        assert bool(seen and seen[0] >= 5) == bench.expected.same_machine, seen
        assert_gone(marker)
        assert "time limit of 5 s" in message(outcome)
        assert outcome.partial
        assert (outcome.stdout, outcome.results) == ("up\n", {"step": 1})
        assert [path.name for path in outcome.artifacts] == ["kept.txt"]

    @pytest.mark.parametrize(
        "code",
        [
            "while True: pass",
            "import signal, time\nfor n in set(signal.Signals) - {9, 19}: signal.signal(n, signal.SIG_IGN)\n"
            "while True: time.sleep(1)",
            "import os\nos.kill(os.getpid(), 19)",
            "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        ],
        ids=["busy", "deaf", "stopped", "stubborn"],
    )
    def test_no_program_passes_the_time_limit(self, bench: Bench, code: str) -> None:
        outcome = bench.run(code, limits=Limits(timeout=0.7))
        assert (outcome.status, outcome.partial) == (RunStatus.TIMED_OUT, True)
        assert "0.7 s" in message(outcome)

    def test_a_child_that_holds_the_output_does_not_hold_the_run(self, bench: Bench) -> None:
        code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\nprint('done')"
        outcome = bench.run(code)
        assert (outcome.status, outcome.stdout) == (RunStatus.SUCCEEDED, "done\n")

    @pytest.mark.parametrize("times", [1, 2])
    def test_cancelling_leaves_no_process(self, bench: Bench, times: int) -> None:
        marker = uuid4().hex

        async def cancelled() -> int:
            up = asyncio.Event()

            def note(event: EngineEvent) -> None:
                up.set()

            program = Program(code=SURVIVORS + "time.sleep(600)", context={"marker": marker})
            task = asyncio.create_task(bench.engine.run(program, on_event=note))
            await asyncio.wait({task, asyncio.create_task(up.wait())}, return_when=asyncio.FIRST_COMPLETED)
            lived = len(living(marker))
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await task
            return lived

        assert (bench.wait(cancelled()) >= 5) == bench.expected.same_machine
        assert_gone(marker)

    @pytest.mark.parametrize("moment", [0, 0.002, 0.01, 0.04, 0.1])
    def test_cancelling_at_any_moment_is_heard(self, bench: Bench, moment: float) -> None:
        async def cancelled() -> Outcome:
            task = asyncio.create_task(bench.engine.run(Program(code="import time\ntime.sleep(600)")))
            await asyncio.sleep(moment)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await bench.engine.run(Program(code="results = {'a': 1}"))

        assert bench.wait(cancelled()).results == {"a": 1}
