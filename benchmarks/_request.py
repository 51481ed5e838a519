"""From a request to its result, against the same code in plain Python and in what a site might use instead."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from _measure import Subject, call, command, interleave, median, spread
from _report import Line

SCRIPTS = {
    "small": "results = {'total': sum(number * number for number in range(1000))}\n",
    "numpy": "import numpy\nresults = {'total': float(numpy.arange(1000.0).sum())}\n",
}
CONFIG = "execution:\n  code_generator: mock\ncontrol_system:\n  type: mock\n"
PLAIN = "plain python"


def request(rounds: int) -> list[Line]:
    """Measure each script by hand, in other sandboxes if there are any, through the service, and by the command."""
    lines: list[Line] = []
    for name, code in SCRIPTS.items():
        with tempfile.TemporaryDirectory(prefix="bench-request-") as temporary:
            lines += _one(name, code, Path(temporary), rounds)
    return lines


def _one(name: str, code: str, folder: Path, rounds: int) -> list[Line]:
    script, config = folder / "code.py", folder / "config.yml"
    script.write_text(code)
    config.write_text(CONFIG)
    command_line = [Path(sys.executable).with_name("osprey-executor"), "run", "--config", config, "--json"]
    world = {"OSPREY_EXECUTOR_HOME": str(folder / "home")}
    with _service(folder / "service-home", config, code) as ask:
        subjects: dict[str, Subject] = {PLAIN: command([sys.executable, script])}
        peers = {"bubblewrap": _bubblewrap(script), "podman": None}
        subjects |= {peer: subject for peer, subject in peers.items() if subject}
        subjects["service, one process, mock"] = call(ask)
        subjects["osprey-executor run --code"] = command([*command_line, "--code", script], world)
        costs = interleave(subjects, rounds)
    plain = median(costs[PLAIN], "wall")
    lines = [
        Line(
            f"request, {name}",
            what,
            median(tries, "wall") * 1e3,
            "ms",
            ratio=median(tries, "wall") / plain,
            spread=spread(tries, "wall", 1e3),
        )
        for what, tries in costs.items()
    ]
    missing = [peer for peer, subject in peers.items() if subject is None]
    reasons = {"bubblewrap": "not installed, or the kernel refuses it", "podman": "needs an image with this Python"}
    return lines + [Line(f"request, {name}", peer, None, "ms", note=reasons[peer]) for peer in missing]


@contextmanager
def _service(home: Path, config: Path, code: str) -> Iterator[Callable[[], object]]:
    from osprey_executor import PythonExecutionRequest, PythonExecutorService
    from osprey_executor.generation import MockCodeGenerator

    generator = MockCodeGenerator()
    generator.set_code(code)
    with asyncio.Runner() as runner:
        service = PythonExecutorService.from_config(config, generator=generator, home=home)
        runner.run(service.__aenter__())
        try:
            yield lambda: runner.run(service.run(PythonExecutionRequest(user_query="measure"))).raise_for_status()
        finally:
            runner.run(service.__aexit__(None, None, None))


def _bubblewrap(script: Path) -> Subject | None:
    program = shutil.which("bwrap")
    if program is None:
        return None
    arguments = [
        program,
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--unshare-all",
        "--die-with-parent",
    ]
    arguments += [sys.executable, str(script)]
    works = subprocess.run(arguments, capture_output=True, check=False).returncode == 0
    return command(arguments) if works else None
