"""Runs whose programs a model writes: what it took, its budget, its prompts, repair and fresh programs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import genai_prices
import pytest

from osprey_executor import PythonExecutionRequest, PythonExecutorService, Reject, RunResult, RunStatus
from osprey_executor.errors import BudgetExceededError
from osprey_executor.generation import CodeGenerator, MockCodeGenerator, meter
from osprey_executor.models import Assignment, ModelCall
from osprey_executor.testing.scripted_provider import ScriptedProvider, Step, ToolUse

from .conftest import WRITE, OpenService

TASK = PythonExecutionRequest(user_query="a task")
KEY = "sk-very-secret-0123456789"
GOOD = Step("```python\nresults = {'ok': 1}\n```", input_tokens=1000, output_tokens=500)
BAD = Step("```python\nresults = {'ok': 1 / 0}\n```", input_tokens=1000, output_tokens=500)

OpenBasic = Callable[..., Any]


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def open_basic(provider: ScriptedProvider, home: Path) -> OpenBasic:
    """Opens a service whose `basic` asks the scripted provider; `budget` and `execution` change its section."""

    @asynccontextmanager
    async def opened(model: str = "claude-sonnet-5", **execution: Any) -> AsyncGenerator[PythonExecutorService]:
        config = {
            "execution": {"code_generator": "basic", "timeout": 60, **execution},
            "models": {
                "python_code_generator": {
                    "provider": "anthropic",
                    "model_id": model,
                    "base_url": provider.url,
                    "api_key": KEY,
                }
            },
        }
        async with PythonExecutorService.from_config(config, home=home) as service:
            yield service

    return opened


async def test_tokens_cost_time_and_model_stand_in_the_record(
    open_basic: OpenBasic, provider: ScriptedProvider
) -> None:
    provider.script(Step(status=429, headers={"retry-after": "0"}), BAD, GOOD)
    async with open_basic() as service:
        result = await service.run(TASK)
        loaded = await service.result(result.run_id)
    assert (result.status, result.results) == (RunStatus.SUCCEEDED, {"ok": 1})
    for told in (result, loaded):
        first, second = (attempt.generation for attempt in told.attempts)
        assert [call.error for call in first.calls] == ["rate_limit", ""]
        assert first.models == second.models == ("anthropic/claude-sonnet-5",)
        assert (first.tokens, second.tokens, told.generation.tokens) == (1500, 1500, 3000)
        usage = genai_prices.Usage(input_tokens=1000, output_tokens=500)
        price = genai_prices.calc_price(usage, model_ref="claude-sonnet-5", provider_id="anthropic").total_price
        assert second.cost == pytest.approx(float(price))
        assert told.generation.cost == pytest.approx(2 * second.cost)
        assert second.calls[0].seconds > 0
        assert second.seconds >= second.calls[0].seconds
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert manifest["attempts"][1]["generation"]["calls"][0]["output_tokens"] == 500


async def test_a_price_that_nobody_knows_is_not_nothing(open_basic: OpenBasic, provider: ScriptedProvider) -> None:
    provider.script(GOOD)
    async with open_basic("model-of-tomorrow") as service:
        result = await service.run(TASK)
    assert result.generation.tokens == 1500
    assert result.generation.cost is None
    assert str(result.generation) == "1 request to anthropic/model-of-tomorrow; 1,500 tokens; cost unknown"


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({"tokens": 3000}, "is spent: 3,000 of 3,000 tokens, by 2 requests to anthropic/claude-sonnet-5"),
        ({"cost": 0.01}, r"is spent: 0\.0\d+ of 0\.01 US dollars, by 2 requests"),
    ],
)
async def test_a_budget_covers_all_attempts_and_stops_the_run(
    open_basic: OpenBasic, provider: ScriptedProvider, budget: dict[str, float], words: str
) -> None:
    provider.script(BAD)
    async with open_basic(generation_budget=budget) as service:
        result = await service.run(TASK)
    assert len(provider.requests) == 2
    stopped(result, words)
    assert f"raise execution.generation_budget.{next(iter(budget))}" in str(result.attempts[-1].error)


async def test_a_budget_of_time_ends_a_request_that_hangs(open_basic: OpenBasic, provider: ScriptedProvider) -> None:
    provider.script(Step(fault="hang"))
    async with open_basic(generation_budget={"seconds": 0.5}) as service:
        result = await asyncio.wait_for(service.run(TASK), 60)
    assert len(provider.requests) <= 1  # on a busy machine the time is over before it is asked
    stopped(result, "of 0.5 seconds")


async def test_a_budget_of_time_ends_a_slow_drip(open_basic: OpenBasic, provider: ScriptedProvider) -> None:
    provider.script(Step("x" * 10_000, pause=0.05))
    async with open_basic(generation_budget={"seconds": 0.5}) as service:
        result = await asyncio.wait_for(service.run(TASK), 60)
    stopped(result, "of 0.5 seconds")


async def test_a_budget_of_money_needs_a_price(open_basic: OpenBasic, provider: ScriptedProvider) -> None:
    async with open_basic("model-of-tomorrow", generation_budget={"cost": 1}) as service:
        result = await service.run(TASK)
    assert provider.requests == []
    stopped(result, "nobody knows what it costs, so execution.generation_budget.cost cannot be kept")


async def test_a_budget_goes_on_after_the_wait_for_a_person(open_service: OpenService) -> None:
    class Counting:
        async def generate_code(self, request: PythonExecutionRequest, error_chain: list[str]) -> str:
            meter().check()
            meter().add(ModelCall(model="own/model", input_tokens=60, output_tokens=0))
            return WRITE

    async with open_service(Counting(), execution__generation_budget={"tokens": 100}) as service:
        waiting = await service.run(TASK)
        for _ in range(2):
            [card] = await service.pending()
            result = await service.decide(card.run_id, Reject("not like this", regenerate=True))
    assert waiting.status is RunStatus.AWAITING_APPROVAL
    assert result.error is not None
    assert "120 of 100 tokens, by 2 requests to own/model" in result.error.message


class Unshowable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


async def end_itself() -> str:
    raise SystemExit(3)


async def cancel_itself() -> str:
    raise asyncio.CancelledError


async def raise_the_unshowable() -> str:
    raise Unshowable


async def count_nonsense() -> str:
    meter().add("x")  # type: ignore[arg-type]
    return WRITE


async def give_half_a_character() -> str:
    return "results = {'a': '\ud800'}"


class Misbehaving:
    """A plug-in that does what its author did not mean, and then its work."""

    def __init__(self, does: Callable[[], Awaitable[str]]) -> None:
        self._does: Callable[[], Awaitable[str]] | None = does
        self.told: list[str] = []

    async def generate_code(self, request: PythonExecutionRequest, error_chain: list[str]) -> str:
        self.told = error_chain
        does, self._does = self._does, None
        return await does() if does else "results = {'ok': 1}"


@pytest.mark.parametrize(
    ("does", "words"),
    [
        (end_itself, "ended itself with SystemExit"),
        (cancel_itself, "ended itself with CancelledError"),
        (raise_the_unshowable, "raised Unshowable, which cannot be shown"),
        (count_nonsense, "the generator counted 'x'"),
        (give_half_a_character, r"half of a character, '\ud800'"),
    ],
)
async def test_a_plug_in_that_misbehaves_is_asked_again(
    open_service: OpenService, does: Callable[[], Awaitable[str]], words: str
) -> None:
    generator = Misbehaving(does)
    async with open_service(generator) as service:
        result = await service.run(TASK)
    assert (result.status, result.results) == (RunStatus.SUCCEEDED, {"ok": 1})
    error = result.attempts[0].error
    assert error is not None
    assert error.type == "CodeGenerationError"
    assert words in error.message
    assert words in generator.told[0]


async def test_a_plug_in_that_is_deaf_to_its_time_has_not_succeeded(open_service: OpenService) -> None:
    async def deaf() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "results = {'late': 1}"

    async with open_service(Misbehaving(deaf), execution__generation_budget={"seconds": 0.5}) as service:
        result = await service.run(TASK)
    stopped(result, "of 0.5 seconds")


async def test_what_a_plug_in_says_is_masked_and_cut(home: Path) -> None:
    async def boast() -> str:
        raise RuntimeError(f"my key is {KEY} \ud800 " + "x" * 50_000)

    config = {"models": {"mine": {"provider": "anthropic", "model_id": "m", "api_key": KEY}}}
    async with PythonExecutorService.from_config(config, generator=Misbehaving(boast), home=home) as service:
        result = await service.run(TASK)
    assert result.error is not None
    assert "my key is ******** \\ud800 xxx" in result.error.message
    assert len(result.error.message) < 2100
    assert not [file for file in home.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]


def stopped(result: RunResult, words: str) -> None:
    """The run ended with the error of a budget."""
    assert result.status is RunStatus.FAILED
    error = result.attempts[-1].error
    assert error is not None
    assert error.type == "BudgetExceededError"
    with pytest.raises(BudgetExceededError, match=words):
        result.raise_for_status()


async def test_prompts_and_answers_are_kept_without_secrets(open_basic: OpenBasic, provider: ScriptedProvider) -> None:
    provider.script(Step(f"Your key is {KEY}.\n{BAD.text}"), GOOD)
    async with open_basic(save_prompts=True) as service:
        result = await service.run(PythonExecutionRequest(user_query=f"mind my {KEY}"))
    first, second = (result.folder / "attempts" / str(number) / "prompts" for number in (1, 2))
    assert "mind my ********" in (first / "1-prompt.md").read_text()
    assert "Your key is ********." in (first / "1-answer.md").read_text()
    assert "ZeroDivisionError" in (second / "1-prompt.md").read_text()
    assert KEY not in "".join(path.read_text() for folder in (first, second) for path in folder.iterdir())
    listed = {entry["path"] for entry in json.loads((result.folder / "manifest.json").read_text())["files"]}
    assert "attempts/1/prompts/1-prompt.md" in listed


async def test_prompts_are_not_kept_unasked(open_basic: OpenBasic, provider: ScriptedProvider) -> None:
    provider.script(GOOD)
    async with open_basic() as service:
        result = await service.run(TASK)
    assert list(result.folder.rglob("*-prompt.md")) == []


class Listening:
    """Notes the chains that it is given, and fails until `good` programs were asked for."""

    def __init__(self, code: str = "1 / 0") -> None:
        self.chains: list[list[str]] = []
        self.failures: list[int] = []
        self.code = code

    async def generate_code(self, request: PythonExecutionRequest, error_chain: list[str]) -> str:
        assert isinstance(request, Assignment)
        self.chains.append(error_chain)
        self.failures.append(request.failures)
        return self.code


async def test_after_some_repairs_a_fresh_program_is_asked_for(open_service: OpenService) -> None:
    generator = Listening()
    async with open_service(
        generator, execution__repairs_before_fresh=1, execution__max_execution_retries=4
    ) as service:
        await service.run(TASK)
    assert [len(chain) for chain in generator.chains] == [0, 1, 0, 1, 0]
    assert generator.failures == [0, 1, 2, 3, 4]
    assert "Stage: execution\nError: ZeroDivisionError" in generator.chains[3][0]


async def test_what_a_person_said_is_told_to_a_fresh_program_too(open_service: OpenService) -> None:
    generator = Listening(WRITE)
    async with open_service(generator, execution__repairs_before_fresh=0) as service:
        await service.run(TASK, decide=lambda card: Reject("beam is on", regenerate=True))
    assert [len(chain) for chain in generator.chains] == [0, 1, 2, 3]
    assert all("beam is on" in report for chain in generator.chains for report in chain)


@pytest.mark.parametrize("block", ["fast", {"generator": "basic", "model_config_name": "fast"}])
async def test_hybrid_goes_on_with_the_thorough_one(provider: ScriptedProvider, home: Path, block: Any) -> None:
    model = {"provider": "some-server", "base_url": provider.url}
    config = {
        "execution": {
            "code_generator": "hybrid",
            "repairs_before_fresh": 1,
            "generators": {
                "basic": {"model_config_name": "fast"},
                "hybrid": {
                    "first": "basic" if isinstance(block, str) else block,
                    "then": {"generator": "basic", "model_config_name": "thorough"},
                    "failures": 2,
                },
            },
        },
        "models": {name: {**model, "model_id": f"{name}-1"} for name in ("fast", "thorough")},
    }
    provider.script(BAD, BAD, BAD, GOOD)
    async with PythonExecutorService.from_config(config, home=home) as service:
        result = await service.run(TASK)
    assert result.status is RunStatus.SUCCEEDED
    assert [asked.model for asked in provider.requests] == ["fast-1", "fast-1", "thorough-1", "thorough-1"]
    assert result.generator == "hybrid (basic (some-server/fast-1), then basic (some-server/thorough-1))"
    assert result.attempts[2].generation.models == ("some-server/thorough-1",)


async def test_one_budget_holds_for_both_of_a_hybrid(provider: ScriptedProvider, home: Path) -> None:
    api = {"base_url": provider.url, "api_key": KEY}
    model = {"provider": "anthropic", "model_id": "claude-sonnet-5", **api}
    hybrid = {
        "first": {"generator": "basic", "model_config_name": "fast"},
        "then": {"generator": "claude_code", "model": "claude-sonnet-5", "api_config": api},
    }
    config = {
        "execution": {
            "code_generator": "hybrid",
            "generators": {"hybrid": hybrid},
            "generation_budget": {"tokens": 2000},
        },
        "models": {"fast": model},
    }
    look = Step(tools=(ToolUse("Glob", {"pattern": "*"}),), input_tokens=1000, output_tokens=500)
    provider.script(BAD, look, GOOD)
    async with PythonExecutorService.from_config(config, home=home) as service:
        result = await service.run(TASK)
    assert len(provider.requests) == 2
    stopped(result, "3,000 of 2,000 tokens, by 2 requests to anthropic/claude-sonnet-5")
    assert result.generation.tokens == 3000


async def test_no_other_provider_stands_in_for_one_that_fails(provider: ScriptedProvider, home: Path) -> None:
    model = {"provider": "some-server", "base_url": provider.url}
    hybrid = {key: {"generator": "basic", "model_config_name": key} for key in ("first", "then")}
    config = {
        "execution": {"code_generator": "hybrid", "generators": {"hybrid": hybrid}},
        "models": {name: {**model, "model_id": f"{name}-1"} for name in hybrid},
    }
    provider.script(Step(status=401), GOOD)
    async with PythonExecutorService.from_config(config, home=home) as service:
        result = await service.run(TASK)
    assert result.status is RunStatus.FAILED
    assert [asked.model for asked in provider.requests] == ["first-1"]
    assert "some-server, model first-1: the provider refused the key" in str(result.error)


def test_a_hybrid_is_a_generator_of_any_two() -> None:
    from osprey_executor.generation import HybridCodeGenerator

    assert isinstance(HybridCodeGenerator(MockCodeGenerator(), Listening()), CodeGenerator)
