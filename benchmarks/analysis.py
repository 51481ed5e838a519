"""How well and how fast the analysis sees what a program does: rates over a corpus, time over the size of the source.

    python benchmarks/analysis.py --corpus FILE [--json FILE]

The corpus is JSON lines: id, kind (honest, evasion, harmless), must_flag, code. Flagged is the verdict ask or deny.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from osprey_executor.analysis import analyze
from osprey_executor.models import Verdict

GOALS_MS = {50: 3.0, 500: 25.0, 5000: 250.0}
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


def rates(corpus: Path) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Return the rate of flagged programs by kind, and the programs that were judged wrongly."""
    kinds: dict[str, dict[str, Any]] = {}
    misses: list[dict[str, Any]] = []
    for line in corpus.read_text("utf-8").splitlines():
        if not line.strip():
            continue
        row = json.loads(line)
        report = analyze(row["code"])
        flagged = report.verdict is not Verdict.ALLOW
        kind = kinds.setdefault(row["kind"], {"programs": 0, "flagged": 0})
        kind["programs"] += 1
        kind["flagged"] += flagged
        if flagged != row["must_flag"]:
            misses.append({"id": row["id"], "kind": row["kind"], "reason": report.reason})
    for kind in kinds.values():
        kind["rate"] = kind["flagged"] / kind["programs"]
    return kinds, misses


def timings(repeats: int) -> dict[str, dict[str, float]]:
    """Return milliseconds of CPU by number of lines."""
    analyze("import epics")
    measured: dict[str, dict[str, float]] = {}
    for lines, goal in GOALS_MS.items():
        source = program(lines)
        taken: list[float] = []
        for _ in range(repeats):
            start = time.process_time()
            analyze(source)
            taken.append(1000 * (time.process_time() - start))
        measured[str(lines)] = {"median_ms": median(taken), "best_ms": min(taken), "goal_ms": goal}
    return measured


def main(arguments: list[str] | None = None) -> int:
    """Print the rates, the misses and the timings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, action="append", default=[], help="JSON lines; may be given again")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    figures: dict[str, Any] = {"python": platform.python_version(), "corpora": {}}
    for corpus in options.corpus:
        kinds, misses = rates(corpus)
        figures["corpora"][corpus.name] = {"kinds": kinds, "misses": misses}
        print(f"{corpus.name}:")
        for name, kind in sorted(kinds.items()):
            print(f"  {name:<10} flagged {kind['flagged']:>4} of {kind['programs']:>4}  {100 * kind['rate']:6.1f} %")
        for miss in misses:
            print(f"  miss {miss['id']} ({miss['kind']}): {miss['reason']}")
    figures["timings"] = timings(options.repeats)
    print("time of the analysis, CPU:")
    for lines, taken in figures["timings"].items():
        print(f"  {lines:>5} lines  {taken['median_ms']:8.1f} ms  (goal {taken['goal_ms']:.0f} ms)")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
