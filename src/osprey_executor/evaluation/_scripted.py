"""A suite tested by itself: its solutions must pass, and its mistakes must not."""

from __future__ import annotations

from collections import Counter

from osprey_executor.config import Config
from osprey_executor.errors import CodeGenerationError
from osprey_executor.evaluation._evaluate import Told, run_tasks
from osprey_executor.evaluation._suite import Suite
from osprey_executor.models import PythonExecutionRequest


class _Scripted:
    """A generator that gives for each task its solution, and at the second request its mistake."""

    def __init__(self, suite: Suite) -> None:
        self._programs = {task.task: (task.solution, task.mistake) for task in suite.tasks}
        self._asked = Counter[str]()

    async def generate_code(self, request: PythonExecutionRequest, error_chain: list[str]) -> str:
        """Return the next program of the task.

        Raises:
            CodeGenerationError: the suite has none.
        """
        program = self._programs[request.user_query][self._asked[request.user_query]]
        self._asked[request.user_query] += 1
        if program is None:
            raise CodeGenerationError("the suite has no program for this")
        return program


async def self_test(suite: Suite, config: Config, *, told: Told | None = None) -> list[str]:
    """Run the solution and the mistake of each task, and return what is wrong with the suite, a sentence each.

    Raises:
        PythonExecutorException: programs cannot be run here at all.
    """
    # One try each, as there is nothing to repair.
    report = await run_tasks(suite, config, generator=_Scripted(suite), repeats=2, retries=0, told=told)
    solutions = [run for run in report.tasks if run.repeat == 1 and not run.passed]
    mistakes = [run for run in report.tasks if run.repeat == 2 and run.passed]
    return [f"{run.id}: its solution fails: {'; '.join(run.problems)}" for run in solutions] + [
        f"{run.id}: its mistake passes" for run in mistakes
    ]
