"""Output, progress and early results come while the code runs, and in order."""

from __future__ import annotations

from osprey_executor.execution import EngineEvent, OutputChunk, ProgressReport
from osprey_executor.models import Limits, RunStatus
from osprey_executor.testing.engine_conformance._bench import Bench
from osprey_executor.testing.engine_conformance._session import Session


def text(events: list[EngineEvent], stream: str) -> str:
    """Return what came on one stream."""
    return "".join(event.text for event in events if isinstance(event, OutputChunk) and event.stream == stream)


class TestStreaming:
    """What `on_event` is called with."""

    def test_output_comes_while_the_program_waits(self, bench: Bench) -> None:
        """The program goes on only when its words have been heard."""
        session, events = Session(), list[EngineEvent]()

        def hear(event: EngineEvent) -> None:
            events.append(event)
            if text(events, "stdout") == "ready\n":
                session.go.set()

        code = "from osprey_executor import runtime\nprint('ready')\nresults = {'go': runtime.read_channel('GO')}"
        outcome = bench.run(code, control=session, on_event=hear, limits=Limits(timeout=30))
        assert (outcome.status, outcome.results) == (RunStatus.SUCCEEDED, {"go": 1})

    def test_progress_comes_while_the_program_waits(self, bench: Bench) -> None:
        session, events = Session(), list[EngineEvent]()

        def hear(event: EngineEvent) -> None:
            events.append(event)
            session.go.set()

        code = "from osprey_executor import runtime\nruntime.progress(0.5, 'half é')\nruntime.read_channel('GO')"
        outcome = bench.run(code, control=session, on_event=hear, limits=Limits(timeout=30))
        assert outcome.status is RunStatus.SUCCEEDED, outcome.error
        assert events == [ProgressReport(0.5, "half é")]

    def test_the_events_are_the_output(self, bench: Bench) -> None:
        events: list[EngineEvent] = []
        code = """
import os, sys
for number in range(3000):
    print(number, "é" * 20)
    print(-number, file=sys.stderr)
os.write(1, "日".encode()[:1]); os.write(1, "日".encode()[1:])
"""
        outcome = bench.run(code, on_event=events.append)
        assert text(events, "stdout") == outcome.stdout == "".join(f"{n} {'é' * 20}\n" for n in range(3000)) + "日"
        assert text(events, "stderr") == outcome.stderr == "".join(f"{-n}\n" for n in range(3000))

    def test_progress_keeps_its_order_and_its_end(self, bench: Bench) -> None:
        events: list[EngineEvent] = []
        code = """
from osprey_executor import runtime
for number in range(101): runtime.progress(number / 100, str(number))
"""
        bench.run(code, on_event=events.append)
        fractions = [event.fraction for event in events if isinstance(event, ProgressReport)]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1

    def test_progress_that_is_none_does_no_harm(self, bench: Bench) -> None:
        events: list[EngineEvent] = []
        code = """
from osprey_executor import runtime
for fraction in (float("nan"), float("inf"), -3, 7, 10**300):
    try: runtime.progress(fraction, "\\x1b[2J" * 10_000)
    except Exception: pass
results = {"a": 1}
"""
        assert bench.run(code, on_event=events.append).results == {"a": 1}
        assert all(0 <= event.fraction <= 1 for event in events if isinstance(event, ProgressReport))

    def test_bytes_that_are_no_text_are_shown_as_such(self, bench: Bench) -> None:
        outcome = bench.run("import os\nos.write(1, b'a\\xff\\0b\\n')")
        assert outcome.stdout == "a\ufffd\0b\n"

    def test_children_are_heard(self, bench: Bench) -> None:
        code = "import subprocess\nsubprocess.run(['/bin/sh', '-c', 'echo child; echo error >&2'], check=True)"
        outcome = bench.run(code)
        assert (outcome.stdout, outcome.stderr) == ("child\n", "error\n")

    def test_the_last_early_results_stand_where_there_are_no_others(self, bench: Bench) -> None:
        code = "from osprey_executor import runtime\nfor n in range(3): runtime.publish({'n': n})\n"
        assert bench.run(code + "1 / 0").results == {"n": 2}
        assert bench.run(code + "results = {'end': 1}").results == {"end": 1}
