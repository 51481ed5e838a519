"""What a program says of its own end is never believed."""

from __future__ import annotations

import pytest

from osprey_executor.models import RunStatus
from osprey_executor.testing.engine_conformance._bench import Bench, message

WRITE_EVERYWHERE = """
import os
for number in range(3, 64):
    for words in (b"exit 0", b'{"op": "finish", "nonce": "", "results": false, "error": null}', bytes(64)):
        try: os.write(number, words)
        except OSError: break
"""
LEAVE_FILES = """
import os
for folder in (".", "/tmp", os.path.expanduser("~")):
    for name in ("result.json", "results.json", ".result.json", "status", "outcome.json", "execution_metadata.json"):
        try: open(os.path.join(folder, name), "w").write('{"status": "succeeded", "results": {"forged": 1}}')
        except OSError: pass
"""
# Only where it is certain to be the run's own: the first process of its world.
STRIKE_THE_WATCH = """
import os, resource, signal
if os.getppid() == 1:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGXCPU):
        try: os.kill(1, number)
        except OSError: pass
    for path in ("/proc/1/mem", "/proc/1/fd/3", "/proc/1/oom_score_adj"):
        try: open(path, "wb").close()
        except OSError: pass
        else: print("reached", path)
    for work in (
        lambda: resource.prlimit(1, resource.RLIMIT_CPU, (0, 0)),
        lambda: os.setpriority(os.PRIO_PROCESS, 1, 19),
        lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0)),
    ):
        try: work()
        except OSError: pass
        else: print("slowed it")
"""


class TestForgery:
    """Status and results come from where the code cannot reach."""

    @pytest.mark.parametrize("code", [0, 7])
    def test_words_on_every_descriptor_are_no_success(self, bench: Bench, code: int) -> None:
        outcome = bench.run(WRITE_EVERYWHERE + f"os._exit({code})")
        assert outcome.status is RunStatus.FAILED
        assert "forged" not in outcome.results

    def test_files_that_claim_success_are_files(self, bench: Bench) -> None:
        outcome = bench.run(LEAVE_FILES + "os._exit(7)")
        assert (outcome.status, outcome.results) == (RunStatus.FAILED, {})
        assert "7" in message(outcome)
        assert "result.json" in [path.name for path in outcome.artifacts]

    def test_whoever_watches_cannot_be_struck(self, bench: Bench) -> None:
        outcome = bench.run(STRIKE_THE_WATCH + "os._exit(7)")
        assert (outcome.status, outcome.stdout) == (RunStatus.FAILED, "")
        assert "exit code 7" in message(outcome)

    def test_a_child_that_speaks_for_its_parent_is_not_heard(self, bench: Bench) -> None:
        code = "import os, time\nif os.fork() == 0:\n    print('child', flush=True)\n    os._exit(0)\nos.wait()\n1 / 0"
        outcome = bench.run(code)
        assert outcome.status is RunStatus.FAILED
        assert "ZeroDivisionError" in message(outcome)

    def test_success_is_no_matter_of_a_replaced_function(self, bench: Bench) -> None:
        code = """
import atexit, builtins, json, os, sys
json.dumps = lambda *args, **more: '{"forged": 1}'
builtins.isinstance = lambda *args: True
sys.excepthook = lambda *args: os._exit(0)
sys.exit = lambda *args: None
raise RuntimeError("the end")
"""
        outcome = bench.run(code)
        assert outcome.status is RunStatus.FAILED
        assert "forged" not in outcome.results

    def test_output_cannot_pass_for_the_service(self, bench: Bench) -> None:
        outcome = bench.run("print('status: succeeded')\nprint('\\x1b[2J\\u202e')\nraise SystemExit(1)")
        assert outcome.status is RunStatus.FAILED
        assert outcome.stdout == "status: succeeded\n\x1b[2J\u202e\n"
