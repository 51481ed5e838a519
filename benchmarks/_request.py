"""From a request to its result, against starting Python, the same code in it, and what a site might use instead."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from _engine import PASS
from _live import TRIVIAL, ask, opened, service
from _measure import Subject, command, interleave
from _report import Line, against, cost
from _sandboxes import sandboxes

SCRIPTS = {
    "small": TRIVIAL,
    "numpy": "import numpy\nresults = {'total': float(numpy.arange(1000.0).sum())}\n",
}
CONFIG = "execution:\n  code_generator: mock\ncontrol_system:\n  type: mock\n"
SERVICE = "request to result, mock generator"
_RARELY = 13
"""The slow ways of a script take part in one of so many rounds."""


def request(rounds: int) -> list[Line]:
    """Measure a request against starting Python often, then each script in all ways a few times."""
    with tempfile.TemporaryDirectory(prefix="bench-request-") as temporary:
        folder = Path(temporary)
        lines = against_pass(folder, rounds)
        for name, code in SCRIPTS.items():
            lines += _all_ways(name, code, folder / name, max(1, rounds // _RARELY))
    return lines


def against_pass(folder: Path, rounds: int) -> list[Line]:
    """Measure a small request against starting Python."""
    with opened(service(folder / "home", TRIVIAL)) as (loop, serving):
        subjects = {PASS: command([sys.executable, "-c", "pass"]), SERVICE: loop.subject(lambda: ask(serving))}
        costs = interleave(subjects, rounds)
    return [
        *cost("request", costs, baseline=PASS),
        against("request", SERVICE, costs, PASS, 0.5, goal=3),
        against("request", SERVICE, costs, PASS, 0.99),
    ]


def _all_ways(name: str, code: str, folder: Path, rounds: int) -> list[Line]:
    folder.mkdir()
    script, config = folder / "code.py", folder / "config.yml"
    script.write_text(code)
    config.write_text(CONFIG)
    command_line = [Path(sys.executable).with_name("osprey-executor"), "run", "--config", config, "--json"]
    world = {"OSPREY_EXECUTOR_HOME": str(folder / "home")}
    topic, plain = f"request, {name}", "plain python"
    others, missing = sandboxes(script)
    with opened(service(folder / "service-home", code)) as (loop, serving):
        subjects: dict[str, Subject] = {plain: command([sys.executable, script]), **others}
        subjects["service, one process, mock"] = loop.subject(lambda: ask(serving))
        subjects["osprey-executor run --code"] = command([*command_line, "--code", script], world)
        costs = interleave(subjects, rounds)
    absent = [Line(topic, other, None, "ms", note=why) for other, why in missing.items()]
    return [*cost(topic, costs, baseline=plain), *absent]
