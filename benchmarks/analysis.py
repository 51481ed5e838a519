"""How well and how fast the analysis sees what a program does: rates over a corpus, time over the size of the source.

    python benchmarks/analysis.py --corpus FILE [--json FILE] [--peers]

The corpus is JSON lines: id, kind (honest, evasion, harmless), must_flag, code. Flagged is the verdict ask or deny. A
program of the kind risky has effects instead of must_flag, and is right when findings name all of them. With --peers,
bandit and the pattern analysis of the Osprey framework judge the same programs; the first time, they are installed.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from statistics import median
from typing import Any

from _analysis import GOALS_MS, Rates, rates, read_corpus, timings
from _analysis_peers import judges
from _measure import NotMeasured

from osprey_executor.analysis import Gates


def _told(name: str, found: Rates) -> None:
    print(f"{name}:")
    for kind in sorted(found.programs):
        word = "named" if kind == "risky" else "flagged"
        seen, count = found.right[kind], found.programs[kind]
        print(f"  {kind:<10} {word} {seen:>4} of {count:>4}  {100 * found.rate(kind):6.1f} %")


def _figures(found: Rates) -> dict[str, Any]:
    kinds = {
        kind: {"programs": count, "flagged": found.right[kind], "rate": found.rate(kind)}
        for kind, count in found.programs.items()
    }
    return {"kinds": kinds, "misses": found.misses}


def main(arguments: list[str] | None = None) -> int:
    """Print the rates, the misses and the timings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, action="append", default=[], help="JSON lines; may be given again")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", action="store_true", help="also bandit and Osprey; installs them once")
    options = parser.parse_args(arguments)
    figures: dict[str, Any] = {"python": platform.python_version(), "corpora": {}, "peers": {}}
    for corpus in options.corpus:
        rows = read_corpus(corpus)
        found = rates(rows)
        figures["corpora"][corpus.name] = _figures(found)
        _told(corpus.name, found)
        for miss in found.misses:
            print(f"  miss {miss['id']} ({miss['kind']}): {miss['reason']}")
        judged = [row for row in rows if row["kind"] != "risky"]
        if options.peers and judged:
            for name, judge in judges([row["code"] for row in judged]).items():
                if isinstance(judge, NotMeasured):
                    print(f"{corpus.name}, {name}: not measured: {judge}")
                    continue
                peer = rates(judged, judge)
                figures["peers"].setdefault(name, {})[corpus.name] = _figures(peer)
                _told(f"{corpus.name}, {name}", peer)
    for what, gates in (("", None), (" with quality gates", Gates())):
        measured = timings(options.repeats, gates)
        figures[f"timings{what.replace(' ', '_')}"] = {
            str(lines): {"median_ms": median(tries), "best_ms": min(tries), "goal_ms": GOALS_MS[lines]}
            for lines, tries in measured.items()
        }
        print(f"time of the analysis{what}, CPU:")
        for lines, tries in measured.items():
            goal = f"  (goal {GOALS_MS[lines]:.0f} ms)" if gates is None else ""
            print(f"  {lines:>5} lines  {median(tries):8.1f} ms{goal}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
