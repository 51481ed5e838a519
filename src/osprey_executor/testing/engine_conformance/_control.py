"""The one route from the code to channels: the control session that `run` was given."""

from __future__ import annotations

from osprey_executor.models import RunStatus
from osprey_executor.testing.engine_conformance._bench import Bench, message
from osprey_executor.testing.engine_conformance._session import Session


class TestControl:
    """Calls of `osprey_executor.runtime` arrive, with their line, and come back."""

    def test_values_are_read(self, bench: Bench) -> None:
        code = "from osprey_executor import runtime\nresults = runtime.read_channels(['NAME', 'CURRENT'])"
        assert bench.results(code, control=Session()) == {"NAME": "beam é", "CURRENT": 1.5}

    def test_the_name_of_the_older_service_works_too(self, bench: Bench) -> None:
        code = "from osprey.runtime import read_channel\nresults = {'read': read_channel('CURRENT')}"
        assert bench.results(code, control=Session()) == {"read": 1.5}

    def test_a_write_arrives_with_its_line(self, bench: Bench) -> None:
        session = Session()
        code = """from osprey_executor import runtime
runtime.declare_writes({'CURRENT': (0, 5)})
runtime.write_channel('CURRENT', 2.5)
results = {'read': runtime.read_channel('CURRENT')}"""
        assert bench.results(code, control=session) == {"read": 2.5}
        assert (session.declared, session.lines) == ({"CURRENT": (0.0, 5.0)}, [3])

    def test_a_command_arrives_with_its_line_and_is_answered(self, bench: Bench) -> None:
        session = Session()
        code = """from osprey_executor import runtime
results = {'told': runtime.call_channel('CURRENT', {'row': [1.0, 2.0], 'text': 'go', 'on': True})}"""
        assert bench.results(code, control=session) == {"told": {"row": [1.0, 2.0], "text": "go", "on": True}}
        assert session.lines == [2]

    def test_history_arrives_as_columns(self, bench: Bench) -> None:
        code = """
from datetime import datetime, timedelta, timezone
from osprey_executor import runtime
start = datetime(2026, 1, 31, 8, tzinfo=timezone(timedelta(hours=1)))
seen = runtime.read_history("CURRENT", start, "2026-01-31T08:00:00Z", bin=timedelta(minutes=1))["CURRENT"]
refused = []
for naive in (datetime(2026, 1, 31), "2026-01-31T08:00:00"):
    try: runtime.read_history(["CURRENT"], naive, 1e9)
    except ValueError as error: refused.append("time zone" in str(error))
results = {"time": seen["time"].astype("M8[s]").astype(int).tolist(), "value": seen["value"].tolist(),
           "severity": seen["severity"].tolist(), "columns": sorted(seen), "refused": refused}
"""
        assert bench.results(code, control=Session()) == {
            "time": [1769842800, 1769846400],
            "value": [1.5, 60.0],
            "severity": [0, 1],
            "columns": ["severity", "time", "value"],
            "refused": [True, True],
        }

    def test_an_uncaught_refusal_is_a_refused_run(self, bench: Bench) -> None:
        code = "from osprey_executor import runtime\nruntime.write_channel('GO', 2)"
        outcome = bench.run(code, control=Session())
        assert outcome.status is RunStatus.REFUSED
        assert outcome.error is not None
        assert (outcome.error.type, outcome.error.line) == ("WriteRefused", 2)

    def test_a_caught_refusal_is_no_failure(self, bench: Bench) -> None:
        code = """
from osprey_executor import runtime
try: runtime.write_channel("GO", 2)
except runtime.WriteRefused as error: results = {"why": str(error)}
"""
        assert bench.results(code, control=Session()) == {"why": "GO is not approved"}

    def test_a_refusal_that_never_was_is_a_failure(self, bench: Bench) -> None:
        code = "from osprey_executor import runtime\nraise runtime.WriteRefused('I say so')"
        assert bench.run(code, control=Session()).status is RunStatus.FAILED

    def test_an_unknown_channel_is_an_error_of_the_control_system(self, bench: Bench) -> None:
        code = "from osprey_executor import runtime\nruntime.read_channel('NOWHERE')"
        assert "ControlSystemError: there is no channel NOWHERE" in message(bench.run(code, control=Session()))

    def test_without_a_session_there_are_no_channels(self, bench: Bench) -> None:
        code = "from osprey_executor import runtime\nruntime.write_channel('CURRENT', 2)"
        outcome = bench.run(code)
        assert outcome.status is RunStatus.FAILED
        assert "ControlSystemError" in message(outcome)

    def test_threads_call_at_once(self, bench: Bench) -> None:
        code = """
from concurrent.futures import ThreadPoolExecutor
from osprey_executor import runtime
with ThreadPoolExecutor(8) as pool: results = {"read": list(pool.map(runtime.read_channel, ["CURRENT"] * 100))}
"""
        assert bench.results(code, control=Session()) == {"read": [1.5] * 100}
