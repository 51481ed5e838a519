"""Runs the tasks of a suite with generators, in a state folder of their own, and never writes to any machine."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from osprey_executor.config import Config, ControlSystemConfig
from osprey_executor.errors import ConfigurationError, ErrorCategory, GeneratorUnavailableError, MissingExtraError
from osprey_executor.evaluation._report import GeneratorReport, Report, TaskReport
from osprey_executor.evaluation._suite import Suite, Task
from osprey_executor.generation import create_code_generator
from osprey_executor.models import ApprovalCard, Reject, RunResult, RunStatus
from osprey_executor.service import PythonExecutorService
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from osprey_executor.generation import CodeGenerator

Told = Callable[[TaskReport], None]
"""Hears of every task that has ended."""
_PATIENCE = 3
"""How often in a row a provider may not answer before no more is asked of it."""


async def evaluate(
    suite: Suite,
    config: Config,
    generators: Sequence[str],
    *,
    repeats: int = 1,
    home: Path | None = None,
    told: Callable[[str, TaskReport], None] | None = None,
) -> Report:
    """Run every task with every generator.

    Args:
        suite: the tasks.
        config: with the generators and their models.
        generators: names as `execution.code_generator` takes them.
        repeats: how often each task is run.
        home: the state folder for the runs; None: one that is deleted afterwards.
        told: hears the name of the generator and each task that has ended.

    Raises:
        ConfigurationError: one of them cannot be made; nothing was run.
        PythonExecutorException: programs cannot be run here at all.
    """
    configs = {name: _with_generator(config, name) for name in generators}
    for chosen in configs.values():
        create_code_generator(chosen)  # before the others have cost time and money
    reports: list[GeneratorReport] = []
    for name, chosen in configs.items():
        hear = functools.partial(told, name) if told else None
        report = await run_tasks(suite, chosen, repeats=repeats, home=home, told=hear)
        reports.append(report.model_copy(update={"name": name}))
    return Report(suite=suite.name, repeats=repeats, generators=tuple(reports))


def _with_generator(config: Config, name: str) -> Config:
    return config.model_copy(update={"execution": config.execution.model_copy(update={"code_generator": name})})


async def run_tasks(
    suite: Suite,
    config: Config,
    *,
    generator: CodeGenerator | None = None,
    repeats: int = 1,
    retries: int | None = None,
    home: Path | None = None,
    told: Told | None = None,
) -> GeneratorReport:
    """Run every task with one generator: `generator`, or the one that is configured.

    Raises:
        PythonExecutorException: programs cannot be run here at all.
    """
    label, stopped, misconfigured = "", "", False
    reports: list[TaskReport] = []
    unanswered = 0
    with ExitStack() as stack:
        if home is None:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="osprey-executor-eval-")))
        async with PythonExecutorService.from_config(
            _harmless(config, suite), generator=generator, home=home
        ) as service:
            for repeat, task in ((repeat, task) for repeat in range(1, repeats + 1) for task in suite.tasks):
                looked = _Looks()
                try:
                    result = await service.run(task.request(retries), decide=looked)
                except (ConfigurationError, MissingExtraError) as error:
                    if not reports and generator is not None:
                        raise
                    stopped, misconfigured = str(error), True
                    break
                label = label or result.generator
                reports.append(_judged(task, repeat, result, looked.card))
                if told:
                    told(reports[-1])
                stopped, unanswered = _give_up(result, unanswered)
                if stopped:
                    misconfigured = not unanswered
                    break
    return GeneratorReport(name="", label=label, tasks=tuple(reports), stopped=stopped, misconfigured=misconfigured)


@dataclass
class _Looks:
    """Looks at a card, and never approves: an evaluation writes to no machine."""

    card: ApprovalCard | None = field(default=None)

    def __call__(self, card: ApprovalCard) -> Reject:
        self.card = card
        return Reject("an evaluation only looks at the plan")


def _harmless(config: Config, suite: Suite) -> Config:
    """Return the configuration with the machine of the suite, where every write asks."""
    # `disabled` would write to a simulator unasked, and `all_code` would ask before there is a plan to look at.
    changes: dict[str, object] = {"approval": config.approval.model_copy(update={"mode": "control_writes"})}
    if suite.machine != "configured":
        changes["control_system"] = ControlSystemConfig(type=suite.machine, writes_enabled=True)
    return config.model_copy(update=changes)


def _judged(task: Task, repeat: int, result: RunResult, card: ApprovalCard | None) -> TaskReport:
    problems: list[str] = []
    done = RunStatus.REJECTED if task.writes else RunStatus.SUCCEEDED
    if result.status is not done or (card is not None) != task.writes:
        problems.append(_otherwise(task, result))
    else:
        plan = card.plan if card else None
        problems += [problem for check in task.checks if (problem := check.problem(result, plan))]
    return TaskReport(
        id=task.id,
        repeat=repeat,
        passed=not problems,
        answered=not _unanswered(result),
        attempts=max(1, len(result.attempts)),
        problems=tuple(problems),
        seconds=result.timings.total - result.timings.waiting,
        tokens=result.generation.tokens,
        cost=result.generation.cost,
        run_id=result.run_id,
    )


def _otherwise(task: Task, result: RunResult) -> str:
    if result.error and result.status is not RunStatus.REJECTED:
        return f"{one_line(result.error.type)}: {one_line(result.error.message, 300)}"
    if result.status is RunStatus.REJECTED:
        return "it asked for an approval, and the task needs no write"
    return f"it {result.status.replace('_', ' ')}" + (" and wrote nothing" if task.writes else "")


def _unanswered(result: RunResult) -> bool:
    error = result.error
    if error is None or error.category is not ErrorCategory.INFRASTRUCTURE:
        return False  # a program may raise an error of any name, which is of another category
    return error.type == GeneratorUnavailableError.__name__


def _give_up(result: RunResult, unanswered: int) -> tuple[str, int]:
    """Return why no more is asked of a generator, empty: go on; and how often in a row it has not answered."""
    error = result.error
    if error is None:
        return "", 0
    names = (ConfigurationError.__name__, MissingExtraError.__name__)
    if error.type in names:
        return error.message, 0
    unanswered = unanswered + 1 if _unanswered(result) else 0
    return (error.message if unanswered >= _PATIENCE else ""), unanswered
