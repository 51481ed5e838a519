"""What the same work costs elsewhere: `make bench-peers`, in turns with this project in one session.

Peers: the Osprey framework's own Python service with its `local` execution, a Jupyter kernel, bubblewrap and podman;
for the analysis of programs, bandit and Osprey's pattern analysis.
The first run installs Osprey into benchmarks/.peers, which takes minutes and more than a gigabyte. Whatever could not
be installed or measured stands in the table with its reason. Nothing is called beyond this machine, and no model.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from _analysis import CORPORA
from _analysis_peers import peers as analysis_peers
from _engine import PASS, READY
from _jupyter import jupyter
from _live import TRIVIAL, ask, opened, run, service
from _measure import NotMeasured, Subject, command, interleave
from _osprey import footprint, osprey
from _report import Line, cost, table, write
from _sandboxes import sandboxes

from osprey_executor.execution import open_engine

HERE = Path(__file__).parent
TOPIC = "peers"
PEERS: dict[str, Callable[[Path], AbstractContextManager[dict[str, Subject]]]] = {
    "osprey": lambda folder: osprey(HERE / ".peers" / "osprey", folder, TRIVIAL),
    "jupyter": lambda folder: jupyter(folder, TRIVIAL, READY),
}
SANDBOXES = "sandboxes"
ANALYSIS = "analysis"


def measure(chosen: list[str], rounds: int) -> list[Line]:
    """Return what one small program costs here and in each peer."""
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-peers-")))
        trivial, ready = folder / "trivial.py", folder / "ready.py"
        trivial.write_text(TRIVIAL)
        ready.write_text(READY)
        peers: dict[str, Subject] = {}
        if SANDBOXES in chosen:
            peers, missing = sandboxes(trivial)
        for name in [name for name in PEERS if name in chosen]:
            (folder / name).mkdir()
            try:
                peers |= stack.enter_context(PEERS[name](folder / name))
            except NotMeasured as error:
                missing[name] = str(error)
        engine_loop, local = stack.enter_context(opened(open_engine("local", {"isolation": "full"})))
        service_loop, serving = stack.enter_context(opened(service(folder / "home", TRIVIAL)))
        subjects = {
            PASS: command([sys.executable, "-c", "pass"]),
            "plain python": command([sys.executable, trivial]),
            "plain python, three imports": command([sys.executable, ready], {"MPLBACKEND": "Agg"}),
            "our engine, warm": engine_loop.subject(lambda: run(local, TRIVIAL)),
            "our engine, warm, three imports": engine_loop.subject(lambda: run(local, READY)),
            "our service, request to result": service_loop.subject(lambda: ask(serving)),
            **peers,
        }
        lines = cost(TOPIC, interleave(subjects, rounds), baseline=PASS)
    return lines + [Line(TOPIC, peer, None, "ms", note=why) for peer, why in missing.items()]


def main() -> int:
    """Measure the peers asked for, print the table, write the file."""
    known = [*PEERS, SANDBOXES, ANALYSIS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", metavar="PEER,...", default=",".join(known), help=f"of {', '.join(known)} (default: all)"
    )
    parser.add_argument("--rounds", type=int, metavar="N", default=7, help="in how many rounds (default: 7)")
    chosen = parser.parse_args()
    peers = [name.strip() for name in chosen.only.split(",") if name.strip()]
    unknown = [name for name in peers if name not in known]
    if unknown or chosen.rounds < 1:
        parser.error(f"no such peer: {', '.join(unknown)}" if unknown else "--rounds needs a number from 1")
    lines = measure(peers, chosen.rounds) if set(peers) != {ANALYSIS} else []
    if ANALYSIS in peers:
        lines += analysis_peers(CORPORA / "programs.jsonl")
    if "osprey" in peers:
        lines += footprint(HERE / ".peers" / "osprey")
    print(table(lines))
    print(f"\nwritten to {write(lines, HERE / 'results', 'peers')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
