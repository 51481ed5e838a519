"""What the analysis is measured by: programs of any length, sources made to hurt, and corpora with known answers."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from _report import Line

from osprey_executor.analysis import Gates, analyze
from osprey_executor.models import Verdict

TOPIC = "analysis"
CORPORA = Path(__file__).parent.parent / "tests" / "analysis" / "data"
GOALS_MS = {50: 3.0, 500: 25.0, 5000: 250.0}
RATES = {"honest": (0.98, True), "evasion": (0.95, True), "harmless": (0.02, False), "risky": (0.95, True)}
"""By kind: the goal, and whether more is better. Of risky programs, the share whose effects are all named."""
BOUND_SECONDS = 10.0
STALL_SECONDS = 0.5
BLOCK = '''
def sector_{n}(readings, gain=0.{n}):
    """Return the corrected mean of sector {n}."""
    names = [f"SR{{i:02d}}C:BPM{n}:X" for i in range(1, 13)]
    values = np.array([readings.get(name, 0.0) for name in names])
    if values.std() > gain:
        values = values - values.mean()
    for place, value in enumerate(values):
        log.append((names[place], round(float(value), 4)))
    return values.mean() * gain


orbit_{n} = {{name: caget(name) for name in [f"SR{{i:02d}}C:BPM{n}:X" for i in range(1, 13)]}}
mean_{n} = sector_{n}(orbit_{n})
summary["sector {n}"] = {{"mean": mean_{n}, "spread": max(orbit_{n}.values()) - min(orbit_{n}.values())}}
if mean_{n} > 0.1:
    caput("SR:HCM{n}:SP", -mean_{n})
'''


def program(lines: int) -> str:
    """Return a program of about `lines` lines, such as a long script is: functions, loops, tables, a few writes."""
    parts = ["import numpy as np\nfrom epics import caget, caput\n\nlog = []\nsummary = {}\n"]
    count = parts[0].count("\n")
    number = 0
    while count < lines:
        parts.append(BLOCK.format(n=number))
        count += BLOCK.count("\n")
        number += 1
    return "".join(parts)


HOSTILE = {
    "200,000 minus signs": "x = " + "-" * 200_000 + "1",
    "5 MB": "x = 1\n" * 850_000,
    "480 kB of short lines": "x = 1\n" * 80_000,
    "250,000 names": "a," * 250_000 + "a",
    "90 brackets, 2,500 times": ("[" * 90 + "]" * 90 + "\n") * 2500,
    "170,000 fields of one text": 'f"' + "{a}" * 170_000 + '"',
    "9,000 functions in a chain": "\n".join(f'def f{n}(x): return f{n + 1}(x + "a")' for n in range(9000)),
    "2,000 partials of partials": "import functools\nf = print\n" + "f = functools.partial(f, 1)\n" * 2000,
    "loops in loops": "\n".join(" " * n + f"for x{n} in y:" for n in range(19)) + "\n" + " " * 19 + "z = z + x0",
    "null byte": "x = 1\0",
    "broken encoding": "# coding: utf-16\nx = 1",
}


@dataclass
class Rates:
    """How a corpus was judged."""

    programs: dict[str, int] = field(default_factory=dict[str, int])
    right: dict[str, int] = field(default_factory=dict[str, int])
    """By kind: flagged ones; of risky ones, those whose effects are all named."""
    misses: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def rate(self, kind: str) -> float:
        """Return the share of a kind."""
        return self.right[kind] / self.programs[kind]


Judge = Callable[[str], tuple[bool, str]]
"""Of a program: is it flagged, and why."""


def ours(code: str) -> tuple[bool, str]:
    """Judge as this project does."""
    report = analyze(code)
    return report.verdict is not Verdict.ALLOW, report.reason


def read_corpus(path: Path) -> list[dict[str, Any]]:
    """Return the programs of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def rates(rows: Iterable[Mapping[str, Any]], judge: Judge = ours) -> Rates:
    """Judge each program of a corpus."""
    found = Rates()
    for row in rows:
        kind = str(row["kind"])
        found.programs[kind] = found.programs.get(kind, 0) + 1
        if kind == "risky":
            report = analyze(row["code"])
            lacking = set(row["effects"]) - set(report.effects)
            well, miss, reason = not lacking, bool(lacking), f"no finding names {', '.join(sorted(lacking))}"
        else:
            well, reason = judge(row["code"])
            miss = well != row["must_flag"]
        found.right[kind] = found.right.get(kind, 0) + well
        if miss:
            found.misses.append({"id": row["id"], "kind": kind, "reason": reason})
    return found


def timings(rounds: int, gates: Gates | None = None) -> dict[int, list[float]]:
    """Return milliseconds of CPU by number of lines, each a list of tries that took turns."""
    analyze("import epics", gates=gates)
    sources = {lines: program(lines) for lines in GOALS_MS}
    measured: dict[int, list[float]] = {lines: [] for lines in sources}
    for _ in range(rounds):
        for lines, source in sources.items():
            start = time.process_time()
            analyze(source, gates=gates)
            measured[lines].append(1000 * (time.process_time() - start))
    return measured


async def _beside_a_loop(source: str) -> tuple[float, float]:
    """Return seconds of CPU for a source, child processes included, and how long an event loop stood still for it."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    start = sum(os.times()[:4])
    await asyncio.to_thread(analyze, source, gates=Gates())
    taken = sum(os.times()[:4]) - start
    ticking.cancel()
    return taken, longest


def analysis(rounds: int) -> list[Line]:
    """Time over the size of a program, with and without the quality gates; hostile sources; rates on our corpus."""
    plain, gated = timings(rounds), timings(rounds, Gates())
    lines: list[Line] = []
    for count, goal in GOALS_MS.items():
        base = median(plain[count])
        lines.append(Line(TOPIC, f"{count} lines (CPU)", base, "ms", goal))
        both = median(gated[count])
        lines.append(Line(TOPIC, f"{count} lines with quality gates (CPU)", both, "ms", ratio=both / base))
        lines.append(Line(TOPIC, f"{count} lines, quality gates beside the rest", (both - base) / base, "x", 1.0))
    growth = median(plain[5000]) / (10 * median(plain[500]))
    lines.append(Line(TOPIC, "growth from 500 to 5000 lines, against linear", growth, "x", 1.1))
    slowest, longest = ("", 0.0), ("", 0.0)
    for name, source in HOSTILE.items():
        taken, stall = asyncio.run(_beside_a_loop(source))
        slowest = max(slowest, (name, taken), key=lambda one: one[1])
        longest = max(longest, (name, stall), key=lambda one: one[1])
    lines.append(Line(TOPIC, "slowest hostile source (CPU)", slowest[1], "s", BOUND_SECONDS, note=slowest[0]))
    lines.append(Line(TOPIC, "longest stop of the service by one", longest[1], "s", STALL_SECONDS, note=longest[0]))
    found = rates(row for name in ("programs.jsonl", "risky.jsonl") for row in read_corpus(CORPORA / name))
    for kind, (goal, more) in RATES.items():
        note = f"{found.right[kind]} of {found.programs[kind]}"
        what = "named" if kind == "risky" else "flagged"
        lines.append(Line(TOPIC, f"{kind} programs {what}", found.rate(kind), "", goal, at_least=more, note=note))
    return lines
