"""How others judge the same programs: bandit, and the pattern analysis of Osprey, each in a Python of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from _analysis import GOALS_MS, Judge, ours, program, rates, read_corpus, timings
from _measure import NotMeasured
from _osprey import _environment, _install
from _report import Line

BANDIT = "bandit==1.9.4"
_PEERS = Path(__file__).parent / ".peers"
_DRIVER = Path(__file__).with_name("osprey_patterns.py")
_TIMEOUT = 600


def judges(codes: Sequence[str]) -> dict[str, Judge | NotMeasured]:
    """Return for each peer how it judges these programs, or why that could not be measured."""
    return {name: _judge(codes, answers) for name, answers in (("bandit", _bandit), ("Osprey 0.9.10", _osprey))}


def _judge(codes: Sequence[str], answers: Any) -> Judge | NotMeasured:
    try:
        flagged = dict(zip(codes, answers(codes), strict=True))
    except NotMeasured as error:
        return error
    return lambda code: (flagged[code], "")


def _run(line: list[Any], text: str | None = None, **more: Any) -> str:
    done = subprocess.run(
        [str(part) for part in line], input=text, capture_output=True, text=True, timeout=_TIMEOUT, check=False, **more
    )
    if done.returncode not in (0, 1):  # bandit ends with 1 where it found something
        raise NotMeasured(f"ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


def bandit_python() -> Path:
    """Install bandit if it is missing; return its Python.

    Raises:
        NotMeasured: it could not be installed.
    """
    home = _PEERS / "bandit"
    python = home / "bin" / "python"
    if not (home / ".installed").exists():
        _run([sys.executable, "-m", "venv", "--clear", home])
        _run([python, "-m", "pip", "--disable-pip-version-check", "install", "-q", BANDIT])
        (home / ".installed").write_text(BANDIT)
    return python


def _bandit(codes: Sequence[str]) -> list[bool]:
    """Flagged is what bandit finds of medium or high severity: it finds something low in almost every program."""
    python = bandit_python()
    with tempfile.TemporaryDirectory(prefix="bench-bandit-") as folder:
        for number, code in enumerate(codes):
            (Path(folder) / f"p{number}.py").write_text(code, "utf-8", errors="replace")
        told = json.loads(_run([python, "-m", "bandit", "-q", "-r", "-f", "json", folder]))
    found = {
        int(Path(one["filename"]).stem[1:]) for one in told["results"] if one["issue_severity"] in ("MEDIUM", "HIGH")
    }
    return [number in found for number in range(len(codes))]


def _osprey(codes: Sequence[str]) -> list[bool]:
    return [bool(one["flagged"]) for one in _osprey_answers(codes)]


def _osprey_answers(codes: Sequence[str]) -> list[dict[str, Any]]:
    home = _PEERS / "osprey"
    home.mkdir(parents=True, exist_ok=True)
    _install(home)
    with tempfile.TemporaryDirectory(prefix="bench-osprey-") as folder:
        text = "".join(json.dumps({"code": code}) + "\n" for code in codes)
        out = _run([home / "bin" / "python", _DRIVER, folder], text, env=_environment(Path(folder)), cwd=folder)
    return [json.loads(line) for line in out.splitlines()]


def peers(corpus: Path) -> list[Line]:
    """Return rates on a corpus and times, for each peer and beside them for this project."""
    rows = [row for row in read_corpus(corpus) if row["kind"] != "risky"]
    lines: list[Line] = []
    for name, judge in {"ours": ours, **judges([row["code"] for row in rows])}.items():
        if isinstance(judge, NotMeasured):
            lines.append(Line("analysis", name, None, "", note=str(judge)))
            continue
        found = rates(rows, judge)
        lines += [
            Line("analysis", f"{name}: {kind} programs flagged", found.rate(kind), "", note=f"of {count}")
            for kind, count in found.programs.items()
        ]
    return lines + _times()


def _times() -> list[Line]:
    lines = [Line("analysis", f"ours: {count} lines (CPU)", median(tries), "ms") for count, tries in timings(5).items()]
    try:
        told = _osprey_answers(["import epics", *(program(count) for count in GOALS_MS)])[1:]
        lines += [
            Line("analysis", f"Osprey 0.9.10: {count} lines", one["ms"], "ms")
            for count, one in zip(GOALS_MS, told, strict=True)
        ]
        python = bandit_python()
        with tempfile.TemporaryDirectory(prefix="bench-bandit-") as folder:
            for number, count in enumerate((0, 0, *GOALS_MS)):
                file = Path(folder) / "p.py"
                file.write_text(program(count) if count else "", "utf-8")
                start = time.perf_counter()
                _run([python, "-m", "bandit", "-q", "-f", "json", file])
                taken = 1000 * (time.perf_counter() - start)
                what = f"bandit: {count} lines, with its start" if count else "bandit: its start"
                if number:  # the first start compiles the byte code
                    lines.append(Line("analysis", what, taken, "ms"))
    except NotMeasured as error:
        lines.append(Line("analysis", "times of the peers", None, "ms", note=str(error)))
    return lines
