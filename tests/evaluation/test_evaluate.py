"""Evaluations on a real service: what is counted, when no more is asked, and that nothing is ever written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osprey_executor import PythonExecutionRequest, PythonExecutorService
from osprey_executor.config import config_from
from osprey_executor.errors import ConfigurationError, GeneratorUnavailableError
from osprey_executor.evaluation import Suite, evaluate, self_test, shipped_suite
from osprey_executor.evaluation._evaluate import run_tasks
from osprey_executor.generation import MockCodeGenerator
from osprey_executor.models import MachineEffects, RunStatus

WRITE = """
from osprey_executor.runtime import write_channel
write_channel("MAG:1:SP", 1.5)
results = {"sum": 2}
"""


def suite(*checks: dict[str, Any], machine: str = "mock", **more: Any) -> Suite:
    """A suite of one task."""
    tasks = [{"id": "add", "task": "add one and one", "checks": checks, **more}]
    return Suite.model_validate({"name": "ours", "machine": machine, "tasks": tasks})


def mock(*programs: str) -> MockCodeGenerator:
    """A generator that gives these programs, one after the other."""
    generator = MockCodeGenerator()
    generator.set_code_sequence(programs)
    return generator


async def test_all_solutions_of_the_shipped_suite_pass_and_no_mistake_does() -> None:
    assert await self_test(shipped_suite(), config_from({})) == []


async def test_a_suite_that_is_wrong_fails_its_test() -> None:
    blind = suite(
        {"figures": 1}, solution="results = {}", mistake="import matplotlib.pyplot as p; p.plot([1]); results = {}"
    )
    assert await self_test(blind, config_from({})) == [
        "add: its solution fails: 0 figures, not 1",
        "add: its mistake passes",
    ]
    [problem] = await self_test(suite({"figures": 1}), config_from({}))
    assert "add: its solution fails: CodeGenerationError: the suite has no program" in problem


async def test_first_try_repair_and_failure_are_told_apart() -> None:
    good, bad, wrong = "results = {'sum': 2}", "results = {'sum': 1 / 0}", "results = {'sum': 3}"
    task = suite({"result": "sum", "equals": 2})
    report = await run_tasks(task, config_from({}), generator=mock(good, bad, good, wrong), repeats=3)
    assert [(run.passed, run.attempts, run.first_try) for run in report.tasks] == [
        (True, 1, True),
        (True, 2, False),
        (False, 1, False),
    ]
    assert (report.first_try, report.passed) == (1, 2)
    assert report.tasks[2].problems == ("results: sum is 3, not 2",)


@pytest.mark.parametrize("mode", ["disabled", "control_writes", "all_code"])
@pytest.mark.parametrize("machine", ["mock", "configured"])
async def test_nothing_is_written_whatever_is_configured(mode: str, machine: str, home: Path) -> None:
    config = config_from(
        {
            "approval": {"mode": mode},
            "control_system": {"type": "mock", "writes_enabled": True, "on_failure": "restore"},
        }
    )
    writing = suite({"writes": {"MAG:1:SP": [1.5, 1.5]}}, machine=machine)
    report = await run_tasks(writing, config, generator=mock(WRITE), home=home)
    assert [run.problems for run in report.tasks] == [()]
    async with PythonExecutorService.from_config({}, home=home) as service:
        result = await service.result(report.tasks[0].run_id)
    assert (result.status, result.effects, result.writes) == (RunStatus.REJECTED, MachineEffects.NONE, ())


async def test_a_write_that_nobody_asked_for_fails_the_task() -> None:
    report = await run_tasks(suite({"result": "sum", "equals": 2}), config_from({}), generator=mock(WRITE))
    assert report.tasks[0].problems == ("it asked for an approval, and the task needs no write",)
    report = await run_tasks(
        suite({"writes": {"MAG:1:SP": [1.5, 1.5]}}), config_from({}), generator=mock("results = {'sum': 2}")
    )
    assert report.tasks[0].problems == ("it succeeded and wrote nothing",)


async def test_each_generator_by_its_name_and_none_is_asked_that_cannot_answer() -> None:
    heard: list[tuple[str, str]] = []
    report = await evaluate(
        suite({"result": "mean", "between": [-1e9, 1e9]}),
        config_from({"models": {"python_code_generator": {"provider": "anthropic", "model_id": "m"}}}),
        ["mock", "basic"],
        repeats=2,
        told=lambda name, run: heard.append((name, run.id)),
    )
    assert [(each.name, each.label, len(each.tasks)) for each in report.generators] == [
        ("mock", "mock (scripted)", 2),
        ("basic", "basic (anthropic/m)", 1),
    ]
    assert report.generators[0].first_try == 2
    assert "there is no key" in report.generators[1].stopped
    assert [each.misconfigured for each in report.generators] == [False, True]
    assert heard == [("mock", "add"), ("mock", "add"), ("basic", "add")]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("basic", "the model python_code_generator, which is not in models"),
        ("no_such_module:Writer", "cannot be loaded"),
    ],
)
async def test_what_cannot_be_made_is_told_before_anything_is_run(name: str, words: str) -> None:
    heard: list[str] = []
    with pytest.raises(ConfigurationError, match=words):
        await evaluate(
            suite({"figures": 1}), config_from({}), ["mock", name], told=lambda name, run: heard.append(name)
        )
    assert heard == []


class Away:
    """A generator whose provider does not answer."""

    asked = 0

    async def generate_code(self, request: PythonExecutionRequest, error_chain: list[str]) -> str:
        """Never answer."""
        self.asked += 1
        raise GeneratorUnavailableError("nobody answers at http://127.0.0.1:9")


async def test_a_provider_that_is_away_is_not_asked_for_ever() -> None:
    away = Away()
    report = await run_tasks(suite({"figures": 1}), config_from({}), generator=away, repeats=20, retries=0)
    assert report.stopped == "nobody answers at http://127.0.0.1:9"
    assert len(report.tasks) == 3
