"""From request to result: generated, analysed, executed, collected, with retries that learn."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import platform
from pathlib import Path

import pytest

from osprey_executor import Approve, PythonExecutionRequest, PythonExecutorService, RunStatus
from osprey_executor.errors import CodeRuntimeError, ConfigurationError, EngineUnavailableError, InvalidRequestError
from osprey_executor.generation import MockCodeGenerator
from osprey_executor.models import Assignment, Limits, MachineEffects
from osprey_executor.models.events import AttemptFailed, Finished, Output, Progress

from .conftest import OpenService, own

TASK = PythonExecutionRequest(user_query="a task")


def scripted(*programs: str) -> MockCodeGenerator:
    generator = MockCodeGenerator()
    generator.set_code_sequence(list(programs))
    return generator


async def test_own_code_runs_and_is_recorded(service: PythonExecutorService) -> None:
    result = await service.run(own("print('hello')\nresults = {'sum': 1 + 1}\nopen('a.txt', 'w').write('x')"))
    assert result.status is RunStatus.SUCCEEDED
    assert result.effects is MachineEffects.NONE
    assert result.results == {"sum": 2}
    assert result.stdout == "hello\n"
    assert result.generator == "user"
    assert [path.name for path in result.artifacts] == ["a.txt"]
    assert all(path.is_file() and path.is_relative_to(result.folder) for path in result.artifacts)
    assert result.notebook_path is not None
    assert json.loads(result.notebook_path.read_text())["nbformat"] == 4
    recorded = json.loads((result.folder / "manifest.json").read_text())["isolation"]["enforced"]
    assert set(recorded) == set(Limits.model_fields)
    assert recorded["memory"][-1] == "watchdog"
    assert result.raise_for_status() is result
    assert await service.result(result.run_id) == result
    [row] = await service.runs()
    assert (row.run_id, row.state) == (result.run_id, "succeeded")


@pytest.mark.parametrize(
    "request_",
    [
        own("1 / 0"),
        own("1 +"),
        own("results = {}", expected_results={"value": "float"}),
        own("from osprey_executor.runtime import write_channel\nwrite_channel('MAG:1:SP', 1.5)\nresults = {}"),
    ],
    ids=["failure", "syntax", "unmet", "write"],
)
async def test_what_run_returns_is_what_the_record_says(
    service: PythonExecutorService, request_: PythonExecutionRequest
) -> None:
    result = await service.run(request_, decide=lambda card: Approve(card.digest))
    assert await service.result(result.run_id) == result


async def test_runs_that_draw_the_same_id_become_two(
    service: PythonExecutorService, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(["same", "same", "other", "same", "third"])
    monkeypatch.setattr("osprey_executor.pipeline.executor._new_run_id", lambda: next(drawn))
    at_once = await asyncio.gather(service.run(own("results = {}")), service.run(own("results = {}")))
    later = await service.run(own("results = {}"))
    assert sorted(result.run_id for result in at_once) == ["other", "same"]
    assert later.run_id == "third"


async def test_own_code_may_leave_no_results_and_is_not_tried_again(service: PythonExecutorService) -> None:
    quiet = await service.run(own("pass"))
    assert (quiet.status, quiet.results) == (RunStatus.SUCCEEDED, {})
    failed = await service.run(own("x = 1\n1 / 0"))
    assert failed.status is RunStatus.FAILED
    assert len(failed.attempts) == 1
    assert failed.error is not None
    assert (failed.error.type, failed.error.line) == ("ZeroDivisionError", 2)
    with pytest.raises(CodeRuntimeError, match="ZeroDivisionError"):
        failed.raise_for_status()


async def test_the_error_chain_reaches_the_generator_and_mends_the_code(open_service: OpenService) -> None:
    generator = scripted("1 / 0", "results = 3", "x = 1", "results = {'ok': True}")
    async with open_service(generator, execution__repairs_before_fresh=3) as service:
        result = await service.run(TASK)
    assert result.status is RunStatus.SUCCEEDED
    assert result.results == {"ok": True}
    assert [attempt.number for attempt in result.attempts] == [1, 2, 3, 4]
    assert [attempt.error.type if attempt.error else None for attempt in result.attempts] == [
        "ZeroDivisionError",
        "ResultsError",
        "ResultsError",
        None,
    ]
    assert generator.last_error_chain is not None
    assert len(generator.last_error_chain) == 3
    first = generator.last_error_chain[0]
    for part in ("execution", "ZeroDivisionError", "line 1", "1 / 0"):
        assert part in first
    assert all(attempt.notebook_path and attempt.notebook_path.is_file() for attempt in result.attempts)


async def test_code_that_does_not_parse_goes_back_and_never_runs(open_service: OpenService) -> None:
    generator = scripted("open('ran.txt', 'w')\ndef broken(:", "results = {}")
    async with open_service(generator) as service:
        result = await service.run(TASK)
    assert result.status is RunStatus.SUCCEEDED
    assert result.artifacts == ()
    assert result.attempts[0].error is not None
    assert result.attempts[0].error.type == "CodeSyntaxError"
    assert result.attempts[0].status is None


async def test_retries_end(open_service: OpenService) -> None:
    generator = MockCodeGenerator({"behavior": "runtime_error"})
    async with open_service(generator) as service:
        result = await service.run(PythonExecutionRequest(user_query="a task", retries=2))
    assert result.status is RunStatus.FAILED
    assert generator.call_count == 3
    assert result.error is not None
    assert result.error.type == "MaxAttemptsExceededError"


async def test_expected_results_are_asked_for_again(open_service: OpenService) -> None:
    generator = scripted("results = {'mean': 'high'}", "results = {'mean': 2.5}")
    async with open_service(generator) as service:
        result = await service.run(PythonExecutionRequest(user_query="mean", expected_results={"mean": "float"}))
    assert result.results == {"mean": 2.5}
    assert result.attempts[0].error is not None
    assert "mean" in result.attempts[0].error.message


async def test_a_generator_that_raises_anything_ends_in_a_report(open_service: OpenService) -> None:
    class Broken:
        async def generate_code(self, request: PythonExecutionRequest, error_chain: list[str]) -> str:
            raise KeyError("a bug of the plug-in")

    async with open_service(Broken()) as service:
        result = await service.run(TASK)
    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert "a bug of the plug-in" in result.error.message


async def test_context_inputs_and_figures_go_through(service: PythonExecutorService, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("1,2\n3,4\n")
    code = """
import matplotlib.pyplot as plt
import numpy as np
plt.plot(np.loadtxt("inputs/data.csv", delimiter=","))
results = {"a": context.offset + np.arange(3), "raw": open("inputs/raw", "rb").read()}
"""
    result = await service.run(
        own(code, inputs={"data.csv": data, "raw": b"\x00\xff"}, capability_context_data={"offset": 10})
    )
    assert result.error is None
    assert result.results["a"].tolist() == [10, 11, 12]
    assert result.results["raw"] == b"\x00\xff"
    [figure] = result.figures
    assert figure.read_bytes().startswith(b"\x89PNG")


async def test_the_stream_tells_what_happens_in_order(open_service: OpenService) -> None:
    code = "from osprey_executor.runtime import progress\nprint('out', flush=True)\nprogress(0.5, 'half')\nresults = {}"
    async with open_service(scripted("1 / 0", code)) as service:
        events = [event async for event in service.stream(TASK)]
        kinds = [event.kind for event in events]
        watched = [event async for event in service.watch(events[0].run_id)]
    assert kinds[:3] == ["stage", "code", "stage"]
    assert isinstance(events[-1], Finished)
    assert events[-1].result.status is RunStatus.SUCCEEDED
    assert any(isinstance(event, AttemptFailed) for event in events)
    assert any(isinstance(event, Output) and "out" in event.text for event in events)
    assert any(isinstance(event, Progress) and event.fraction == 0.5 for event in events)
    assert [event.kind for event in watched] == kinds


async def test_leaving_the_stream_cancels_the_run(service: PythonExecutorService) -> None:
    stream = service.stream(own("import time\nprint('up', flush=True)\ntime.sleep(60)"))
    async for event in stream:
        if isinstance(event, Output):
            break
    await stream.aclose()
    [row] = await service.runs()
    assert row.state == "cancelled"


async def test_no_generator_is_one_clear_sentence(home: Path) -> None:
    async with PythonExecutorService.from_config({}, home=home) as service:
        with pytest.raises(ConfigurationError, match="code_generator"):
            await service.run(TASK)
        assert await service.runs() == []
        assert (await service.run(own("results = {'a': 1}"))).results == {"a": 1}


async def test_an_unavailable_engine_starts_nothing(open_service: OpenService) -> None:
    nowhere = {"execution__execution_method": "container", "execution__container": {"jupyter_port": 1}}
    async with open_service(**nowhere) as service:
        with pytest.raises(EngineUnavailableError, match="no Jupyter server answers"):
            await service.run(own("pass"))
        assert await service.runs() == []


async def test_an_unreadable_input_starts_nothing(service: PythonExecutorService, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"gone\.csv"):
        await service.run(own("pass", inputs={"gone.csv": tmp_path / "gone.csv"}))
    assert await service.runs() == []


def test_run_sync_works_without_and_within_a_loop(open_service: OpenService) -> None:
    import asyncio

    service = open_service()
    assert service.run_sync(own("results = {'a': 1}")).results == {"a": 1}

    async def inside() -> None:
        assert service.run_sync(own("results = {'a': 2}")).results == {"a": 2}

    asyncio.run(inside())


async def test_a_replay_gives_the_same_and_touches_nothing(service: PythonExecutorService) -> None:
    code = "from osprey_executor.runtime import read_channel\nresults = {'value': read_channel('BPM:1:X')}"
    result = await service.run(own(code))
    again = await service.replay(result.run_id)
    assert again.status is RunStatus.SUCCEEDED
    assert again.results == result.results


async def test_a_generator_is_told_the_packages_of_the_target_environment(open_service: OpenService) -> None:
    seen: list[Assignment] = []

    class Curious:
        async def generate_code(self, request: Assignment, error_chain: list[str]) -> str:
            seen.append(request)
            return "results = {}"

    async with open_service(generator=Curious()) as service:
        result = await service.run(PythonExecutionRequest(user_query="a task", capability_prompts=("first",)))
    assert result.status is RunStatus.SUCCEEDED, result.error
    assert seen[0].capability_prompts == ("first",)
    told = seen[0].environment
    assert f"Python {platform.python_version()}" in told
    assert f"numpy {importlib.metadata.version('numpy')}" in told
