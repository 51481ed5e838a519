"""Other processes, the service among them: not seen, not signalled, not read; nothing of theirs is inherited."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest

from osprey_executor.testing.engine_conformance._bench import SECRET, SECRET_NAME, Bench

# The attack searches for `context.victim` by number, and for what it holds by parts: it must not find itself.
_SEARCH = """
wanted = ("".join(context.parts)).encode()
seen = 0
for process in [name for name in os.listdir("/proc") if name.isdigit()]:
    try: text = open("/proc/" + process + "/{name}", "rb").read()
    except OSError: continue
    seen += 1
    if wanted in text: return process
raise OSError(str(seen) + " looked at, none of them is it")
"""


class Victim:
    """A process of the host that does nothing, with a secret in its environment and in its arguments."""

    def __init__(self) -> None:
        """Start it."""
        self.secret = uuid4().hex
        sleep = "import sys; sys.stdin.read()"
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", sleep, self.secret],
            env={"SECRET": self.secret},
            stdin=subprocess.PIPE,
        )
        self.pid = self._process.pid
        self.context = {"parts": list(self.secret), "victim": self.pid}

    def close(self) -> None:
        """End it."""
        self._process.communicate(b"")


class TestIsolationOfProcesses:
    """Every attack is harmless: it looks, or sends the signal 0."""

    @pytest.fixture
    def victim(self) -> Iterator[Victim]:
        """A process of the host."""
        process = Victim()
        yield process
        process.close()

    def test_a_process_cannot_be_seen(self, bench: Bench, victim: Victim) -> None:
        bench.attack(_SEARCH.format(name="cmdline"), context=victim.context)

    def test_an_environment_cannot_be_read(self, bench: Bench, victim: Victim) -> None:
        bench.attack(_SEARCH.format(name="environ"), context=victim.context)

    def test_a_process_cannot_be_signalled(self, bench: Bench, victim: Victim) -> None:
        bench.attack(
            """
            if context.victim in (os.getpid(), os.getppid(), 1):
                raise OSError("this number is another process here")
            os.kill(context.victim, 0)
            """,
            context=victim.context,
        )

    def test_memory_cannot_be_read(self, bench: Bench, victim: Victim) -> None:
        bench.attack("return open(f'/proc/{context.victim}/mem', 'rb')", context=victim.context)

    def test_descriptors_cannot_be_taken(self, bench: Bench, victim: Victim) -> None:
        bench.attack("return os.listdir(f'/proc/{context.victim}/fd')", context=victim.context)


class TestNothingInherited:
    """What the service holds does not come along."""

    def test_the_environment_of_the_service_is_not_inherited(self, bench: Bench) -> None:
        code = "import os\nresults = {'names': sorted(os.environ), 'values': list(os.environ.values())}"
        found = bench.results(code)
        assert SECRET_NAME not in found["names"]
        assert SECRET not in "".join(found["values"])

    def test_no_descriptor_of_the_service_is_inherited(self, bench: Bench) -> None:
        code = """
import os, stat
kinds = {}
for number in range(3, 1024):
    try: kinds[number] = stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError: pass
results = {"others": kinds}
"""
        others = bench.results(code)["others"]
        assert len(others) <= 1
        assert all(others.values()), "only the socket of the runtime"

    def test_the_descriptor_of_input_leads_nowhere(self, bench: Bench) -> None:
        assert bench.results("import sys\nresults = {'heard': sys.stdin.read()}") == {"heard": ""}
