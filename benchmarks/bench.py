"""What a user waits for and what a site installs: `make bench`, or `python benchmarks/bench.py --only import,help`.

Costs are medians of rounds in which all subjects take turns; ratios hold, seconds are of this machine at this hour.
Goals are printed beside what was seen. Nothing fails because a clock was slow.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from _install import install
from _measure import Cost, command, interleave, median, spread
from _report import Line, table, write
from _request import request

RESULTS = Path(__file__).parent / "results"
COMMAND = Path(sys.executable).with_name("osprey-executor")
NAMES = "from osprey_executor import PythonExecutorService, PythonExecutionRequest, RunResult"


def imports(rounds: int) -> list[Line]:
    """CPU time of importing the package, and of reaching for its public names."""
    subjects = {
        "python -c pass": command([sys.executable, "-c", "pass"]),
        "import osprey_executor": command([sys.executable, "-c", "import osprey_executor"]),
        "import the service": command([sys.executable, "-c", NAMES]),
    }
    return _lines(
        "import (CPU)", "cpu", interleave(subjects, rounds), {"import osprey_executor", "import the service"}, 0.5
    )


def help_(rounds: int) -> list[Line]:
    """Time of the command's own help, which is also what completion waits for; on a busy machine CPU tells more."""
    subjects = {
        "python -c pass": command([sys.executable, "-c", "pass"]),
        "osprey-executor --help": command([COMMAND, "--help"]),
    }
    costs = interleave(subjects, rounds)
    return [
        *_lines("help (wall)", "wall", costs, {"osprey-executor --help"}, 0.3),
        *_lines("help (CPU)", "cpu", costs, set(), 0.3),
    ]


def _lines(
    topic: str, clock: str, costs: Mapping[str, Sequence[Cost]], judged: Collection[str], goal: float
) -> list[Line]:
    base = median(next(iter(costs.values())), clock)
    return [
        Line(
            topic,
            what,
            median(tries, clock),
            "s",
            goal=goal if what in judged else None,
            ratio=median(tries, clock) / base,
            spread=spread(tries, clock),
        )
        for what, tries in costs.items()
    ]


TOPICS: dict[str, Callable[[int], list[Line]]] = {
    "import": imports,
    "help": help_,
    "install": lambda rounds: install(),
    "request": request,
}


def main() -> int:
    """Measure the topics asked for, print the table, write the file."""
    parser = argparse.ArgumentParser(description="What a user waits for and what a site installs.")
    parser.add_argument("--only", default=",".join(TOPICS), help="topics, by comma: " + ", ".join(TOPICS))
    parser.add_argument("--rounds", type=int, default=15, help="how often each subject runs (default: 15)")
    chosen = parser.parse_args()
    topics = [name.strip() for name in chosen.only.split(",") if name.strip()]
    unknown = [name for name in topics if name not in TOPICS]
    if unknown or chosen.rounds < 1:
        parser.error(f"no such topic: {', '.join(unknown)}" if unknown else "--rounds needs a number from 1")
    lines: list[Line] = []
    for name in topics:
        print(f"measuring {name} ...", file=sys.stderr)
        lines += TOPICS[name](chosen.rounds)
    print(table(lines))
    print(f"\nwritten to {write(lines, RESULTS)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
