"""What the analysis finds decides in the pipeline: the site's refusals, and flaws that go back to the generator."""

from __future__ import annotations

import pytest

from osprey_executor import PythonExecutionRequest
from osprey_executor.errors import ConfigurationError
from osprey_executor.generation import MockCodeGenerator
from osprey_executor.models import RunStatus

from .conftest import OpenService, own

STARTS = "import subprocess\nopen('ran.txt', 'w')\nsubprocess.run(['true'])\nresults = {}\n"


def scripted(*codes: str) -> MockCodeGenerator:
    generator = MockCodeGenerator({})
    generator.set_code_sequence(list(codes))
    return generator


async def test_what_the_site_denies_is_refused_and_never_runs(open_service: OpenService) -> None:
    async with open_service(analysis__deny=["process"]) as service:
        result = await service.run(own(STARTS))
    assert result.status is RunStatus.REFUSED
    assert result.artifacts == ()
    assert result.error is not None
    assert (result.error.type, "line 3" in result.error.message) == ("PolicyDeniedError", True)


async def test_canary_without_the_policy_it_runs(open_service: OpenService) -> None:
    async with open_service() as service:
        result = await service.run(own(STARTS))
    assert result.status is RunStatus.SUCCEEDED
    assert [artifact.name for artifact in result.artifacts] == ["ran.txt"]


async def test_a_policy_that_cannot_be_used_starts_nothing(open_service: OpenService) -> None:
    async with open_service(analysis__deny=["proces"]) as service:
        with pytest.raises(ConfigurationError, match="did you mean process"):
            await service.run(own("results = {}"))


async def test_a_flaw_goes_back_to_the_generator_before_anything_runs(open_service: OpenService) -> None:
    flawed = "open('ran.txt', 'w')\nimport no_such_module_anywhere\nresults = {'mean': undefined}\n"
    generator = scripted(flawed, "results = {'mean': 1.0}\n")
    async with open_service(generator) as service:
        result = await service.run(PythonExecutionRequest(user_query="mean", expected_results={"mean": "float"}))
    assert result.status is RunStatus.SUCCEEDED
    assert result.artifacts == ()
    error = result.attempts[0].error
    assert error is not None
    assert (error.type, error.line) == ("CodeQualityError", 2)
    assert "no_such_module_anywhere" in error.message
    assert "undefined" in error.message
    assert generator.last_error_chain is not None
    assert "no_such_module_anywhere" in generator.last_error_chain[0]


async def test_a_persons_own_program_runs_as_it_is(open_service: OpenService) -> None:
    async with open_service() as service:
        result = await service.run(own("if False:\n    print(undefined)\nresults = {'a': 1}\n"))
    assert result.status is RunStatus.SUCCEEDED


async def test_the_gates_can_be_switched_off(open_service: OpenService) -> None:
    generator = scripted("if False:\n    print(undefined)\nresults = {'a': 1}\n")
    async with open_service(generator, analysis__quality=False) as service:
        result = await service.run(PythonExecutionRequest(user_query="x"))
    assert result.status is RunStatus.SUCCEEDED
    assert len(result.attempts) == 1
