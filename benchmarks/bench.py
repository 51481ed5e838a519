"""What a user waits for and what a site needs: `make bench`, or `python benchmarks/bench.py --only import,help`.

Costs are medians of rounds in which all subjects take turns; ratios hold, seconds are of this machine at this hour.
Goals are printed beside what was seen. Nothing fails because a clock was slow.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from _analysis import analysis
from _claude import claude
from _container import container
from _crowd import concurrent
from _doors import doors
from _engine import engine, figure, throughput
from _gateways import gateways
from _generators import generators
from _install import install
from _measure import Cost, command, interleave, percentile, spread
from _memory import EARLY, memory
from _reads import reads
from _rehearsal import rehearsal
from _report import Line, table, write
from _request import request
from _writes import writes

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
    base = percentile(next(iter(costs.values())), clock, 0.5)
    return [
        Line(
            topic,
            what,
            percentile(tries, clock, 0.5),
            "s",
            goal=goal if what in judged else None,
            ratio=percentile(tries, clock, 0.5) / base,
            spread=spread(tries, clock),
        )
        for what, tries in costs.items()
    ]


TOPICS: dict[str, tuple[Callable[[int], list[Line]], int]] = {
    "import": (imports, 15),
    "help": (help_, 15),
    "install": (lambda rounds: install(), 1),
    "engine": (engine, 200),
    "figure": (figure, 15),
    "throughput": (throughput, 5),
    "request": (request, 200),
    "concurrent": (concurrent, 3),
    "analysis": (analysis, 7),
    "reads": (reads, 50),
    "gateways": (gateways, 5),
    "writes": (writes, 5),
    "rehearsal": (rehearsal, 100),
    "generators": (generators, 50),
    "claude": (claude, 10),
    "container": (container, 15),
    "doors": (doors, 40),
    "memory": (memory, 10_000),
}
"""What is measured, and in how many rounds unless --rounds says so. A round of `memory` is one run of the service."""
LONG = ("memory",)
"""Measured only when named."""


def main() -> int:
    """Measure the topics asked for, print the table, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only",
        metavar="TOPIC,...",
        default=",".join(name for name in TOPICS if name not in LONG),
        help=f"of {', '.join(TOPICS)} (default: all but {', '.join(LONG)}, which takes several minutes more)",
    )
    rounds = ", ".join(f"{name} {count}" for name, (_, count) in TOPICS.items())
    parser.add_argument("--rounds", type=int, metavar="N", help=f"in how many rounds (default: {rounds})")
    chosen = parser.parse_args()
    topics = [name.strip() for name in chosen.only.split(",") if name.strip()]
    unknown = [name for name in topics if name not in TOPICS]
    if unknown:
        parser.error(f"no such topic: {', '.join(unknown)}; there are {', '.join(TOPICS)}")
    least = EARLY + 1 if "memory" in topics else 1
    if chosen.rounds is not None and chosen.rounds < least:
        parser.error(f"--rounds needs a number from {least}")
    lines: list[Line] = []
    for name in topics:
        measure, usually = TOPICS[name]
        print(f"measuring {name} ...", file=sys.stderr)
        lines += measure(chosen.rounds or usually)
    print(table(lines))
    left_out = [name for name in TOPICS if name not in topics]
    if left_out:
        print(f"\nnot measured this time: {', '.join(left_out)} (--only chooses)")
    print(f"\nwritten to {write(lines, RESULTS)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
