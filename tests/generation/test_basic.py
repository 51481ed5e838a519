"""The `basic` generator through the real SDKs, against a scripted provider on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from osprey_executor.config import BudgetConfig
from osprey_executor.errors import (
    BudgetExceededError,
    CodeGenerationError,
    ConfigurationError,
    GeneratorUnavailableError,
    MissingExtraError,
)
from osprey_executor.generation import BasicLLMCodeGenerator, Meter, metered
from osprey_executor.generation._faults import retry_after
from osprey_executor.models import PythonExecutionRequest
from osprey_executor.testing.scripted_provider import ScriptedProvider, Step

CODE = "import math\n\nresults = {'pi': math.pi}\n"
ANSWER = f"Here it is.\n\n```python\n{CODE}```\n"
KEY = "sk-very-secret-0123456789"
REQUEST = PythonExecutionRequest(user_query="give me pi")

Make = Callable[..., BasicLLMCodeGenerator]


@pytest.fixture(params=["anthropic", "openai", "some-server"])
def make(request: pytest.FixtureRequest, server: ScriptedProvider) -> Make:
    """Makes the generator for each protocol."""

    def made(**settings: Any) -> BasicLLMCodeGenerator:
        model = {"provider": request.param, "model_id": "test-model", "base_url": server.url, "api_key": KEY}
        if request.param == "openai":
            model["base_url"] += "/v1"
        return BasicLLMCodeGenerator({**model, "timeout": 20, **settings})

    return made


@pytest.mark.parametrize("streaming", [False, True])
async def test_program_of_an_answer(make: Make, server: ScriptedProvider, streaming: bool) -> None:
    server.script(Step(ANSWER))
    assert await make(streaming=streaming).generate_code(REQUEST, []) == CODE
    (seen,) = server.requests
    assert bool(seen.body.get("stream")) is streaming
    assert seen.body["model"] == "test-model"
    assert KEY in (seen.headers.get("x-api-key", "") + seen.headers.get("authorization", ""))
    assert "give me pi" in seen.user
    assert "`results`" in seen.system


async def test_settings_reach_the_provider(make: Make, server: ScriptedProvider) -> None:
    await make(temperature=0.25, max_tokens=777).generate_code(REQUEST, [])
    body = server.requests[0].body
    assert body["temperature"] == 0.25
    assert 777 in (body.get("max_tokens"), body.get("max_completion_tokens"))


async def test_unset_settings_are_not_sent(make: Make, server: ScriptedProvider) -> None:
    await make().generate_code(REQUEST, [])
    assert "temperature" not in server.requests[0].body


async def test_error_chain_goes_in_whole(make: Make, server: ScriptedProvider) -> None:
    reports = ["Stage: execution\nError: KeyError: 'bpm'\n" + "x" * 5000, "Stage: analysis\nError: SyntaxError"]
    await make().generate_code(REQUEST, reports)
    for report in reports:
        assert report in server.requests[0].user


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Step(status=401), "refused the key"),
        (Step(status=403), "ask for access"),
        (Step(status=404), "does not know the model"),
        (Step(status=400, message="temperature is not supported"), "temperature is not supported"),
        (Step(status=413), "too long for the model"),
        (Step(status=429, headers={"retry-after": "3600"}), "try again in 3600 s"),
        (Step(status=408), "failed on its side"),
        (Step(status=500), "failed on its side"),
        (Step(status=529), "is overloaded"),
        (Step(fault="error", text=ANSWER), "on its side|is overloaded"),
        (Step(fault="cut", text=ANSWER), "broke off its answer"),
        (Step(fault="garbage"), "not of its protocol"),
    ],
    ids=lambda value: f"{value.status}-{value.fault}" if isinstance(value, Step) else None,
)
@pytest.mark.parametrize("streaming", [False, True])
async def test_fault_is_one_clear_sentence(
    make: Make, server: ScriptedProvider, step: Step, words: str, streaming: bool
) -> None:
    server.script(step)
    generator = make(streaming=streaming)
    with pytest.raises(GeneratorUnavailableError) as caught:
        await generator.generate_code(REQUEST, [])
    told = str(caught.value)
    assert re.search(words, told)
    assert "test-model" in told
    assert generator.model.provider in told
    assert KEY not in told
    assert "\n" not in told
    assert not (streaming and "streaming: true" in told)


async def test_provider_that_repeats_the_key_is_masked(make: Make, server: ScriptedProvider) -> None:
    server.script(Step(status=401, message=f"wrong key {KEY}\x1b[2J"))
    with pytest.raises(GeneratorUnavailableError) as caught:
        await make().generate_code(REQUEST, [])
    assert KEY not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("streaming", [False, True])
async def test_hang_ends_within_the_budget(make: Make, server: ScriptedProvider, streaming: bool) -> None:
    server.script(Step(fault="hang"))
    with pytest.raises(GeneratorUnavailableError, match=r"no answer within 0\.5 s"):
        await asyncio.wait_for(make(timeout=0.5, streaming=streaming).generate_code(REQUEST, []), 15)
    assert len(server.requests) <= 1


@pytest.mark.parametrize("streaming", [False, True])
async def test_slow_drip_ends_within_the_budget(make: Make, server: ScriptedProvider, streaming: bool) -> None:
    server.script(Step(ANSWER * 100, pause=0.05))
    with pytest.raises(GeneratorUnavailableError, match=r"no answer within 0\.5 s"):
        await asyncio.wait_for(make(timeout=0.5, streaming=streaming).generate_code(REQUEST, []), 15)
    assert len(server.requests) <= 1


async def test_a_lost_cancellation_does_not_stretch_the_budget(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    class Stubborn:
        model = make(timeout=0.2).model

        async def ask(self, system: str, user: str) -> None:
            for _ in range(2):
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(60)
            ended.append(user)

    monkeypatch.setattr("osprey_executor.generation.basic.open_chat_model", lambda model: Stubborn())
    with pytest.raises(GeneratorUnavailableError, match=r"no answer within 0\.2 s"):
        await asyncio.wait_for(make(timeout=0.2).generate_code(REQUEST, []), 15)
    assert len(ended) == 1


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("7", 7.0), ("0.25", 0.2), ("-3", 0.0), ("nan", None), ("inf", None), ("soon", None), ("", None)],
)
def test_how_long_to_wait(told: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": told}) == seconds


def test_how_long_to_wait_may_be_a_date() -> None:
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert (retry_after({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}) or 0) > 10**8
    assert retry_after({}) is None


async def test_wrong_address_is_told_from_a_wrong_model(make: Make, server: ScriptedProvider) -> None:
    with pytest.raises(GeneratorUnavailableError, match="serves no models there; mend base_url") as caught:
        await make(base_url=f"{server.url}/elsewhere/v1").generate_code(REQUEST, [])
    assert f"{server.url}/elsewhere/v1" in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("status", [302, 307])
async def test_a_redirect_is_not_followed(make: Make, server: ScriptedProvider, status: int) -> None:
    with ScriptedProvider() as other:
        server.script(Step(status=status, headers={"location": f"{other.url}/elsewhere?key={KEY}"}))
        with pytest.raises(GeneratorUnavailableError, match=f"a redirect to {other.url}/elsewhere; mend base_url"):
            await make().generate_code(REQUEST, [])
        with pytest.raises(GeneratorUnavailableError, match="answers with a redirect"):
            await make().check_online()
        assert (other.requests, other.strays) == ([], [])
    assert len(server.requests) == 2


@pytest.mark.parametrize("streaming", [False, True])
async def test_each_try_is_counted(make: Make, server: ScriptedProvider, streaming: bool) -> None:
    server.script(Step(status=529, headers={"retry-after": "0"}), Step(ANSWER, cached_tokens=40))
    generator = make(streaming=streaming)
    with metered(Meter(keep_prompts=True)) as counted:
        await generator.generate_code(REQUEST, [])
    failed, answered = counted.generation.calls
    assert (failed.error, failed.tokens, failed.cost) == ("overloaded", 0, 0.0)
    assert (answered.input_tokens, answered.cached_tokens, answered.output_tokens) == (140, 40, 20)
    assert answered.model == f"{generator.model.provider}/test-model"
    assert answered.cost is None
    assert [answer for _, answer in counted.exchanges] == ["(overloaded)", ANSWER]
    assert all("give me pi" in prompt for prompt, _ in counted.exchanges)


@pytest.mark.parametrize(
    "step",
    [
        Step(ANSWER, tells_usage=False),
        Step(ANSWER, input_tokens=0),
        Step(ANSWER, input_tokens=-5000),
        Step(ANSWER, output_tokens=-5000),
        Step(ANSWER, input_tokens=10**30),
    ],
    ids=["none", "zero", "negative-input", "negative-output", "absurd"],
)
async def test_usage_that_is_not_told_is_unknown_and_keeps_no_budget(
    make: Make, server: ScriptedProvider, step: Step
) -> None:
    server.script(step)
    with metered(Meter(BudgetConfig(tokens=1000))) as counted:
        await make().generate_code(REQUEST, [])
        assert (counted.generation.tokens, counted.generation.cost) == (None, None)
        with pytest.raises(BudgetExceededError, match="nobody knows how many tokens it used"):
            await make().generate_code(REQUEST, [])
    assert len(server.requests) == 1


async def test_a_cancelled_try_is_counted_as_unknown(make: Make, server: ScriptedProvider) -> None:
    server.script(Step(fault="hang"))
    with metered(Meter()) as counted:
        task = asyncio.create_task(make().generate_code(REQUEST, []))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    [call] = counted.generation.calls
    assert (call.error, call.tokens) == ("cancelled", None)


async def test_passing_fault_is_tried_again(make: Make, server: ScriptedProvider) -> None:
    server.script(
        Step(status=429, headers={"retry-after": "0"}), Step(status=529, headers={"retry-after": "0"}), Step(ANSWER)
    )
    assert await make().generate_code(REQUEST, []) == CODE
    assert len(server.requests) == 3


async def test_lasting_fault_is_not_tried_again(make: Make, server: ScriptedProvider) -> None:
    server.script(Step(status=401), Step(ANSWER))
    with pytest.raises(GeneratorUnavailableError):
        await make().generate_code(REQUEST, [])
    assert len(server.requests) == 1


async def test_no_route_names_the_url(make: Make) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(GeneratorUnavailableError, match="cannot be reached") as caught:
        await make(base_url=url).generate_code(REQUEST, [])
    assert url in str(caught.value)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Step("```python\nresults = {", stop="length"), "raise max_tokens"),
        (Step("I cannot help with that.", stop="refused"), "refused the task"),
        (Step(""), "empty"),
        (Step("Sorry, no."), "no block of Python; it says: Sorry, no."),
        (Step("```python\na = 1\n```\nor\n```python\na = 2\n```"), "2 blocks of Python"),
    ],
    ids=["length", "refused", "empty", "prose", "several"],
)
async def test_answer_without_one_program(make: Make, server: ScriptedProvider, step: Step, words: str) -> None:
    server.script(step)
    with pytest.raises(CodeGenerationError, match=words) as caught:
        await make().generate_code(REQUEST, [])
    assert "test-model" in str(caught.value)


def test_two_event_loops_one_after_the_other(make: Make, server: ScriptedProvider) -> None:
    server.script(Step(ANSWER))
    same = make()
    for generator in (same, same, make()):
        assert asyncio.run(generator.generate_code(REQUEST, [])) == CODE


async def test_many_at_once(make: Make, server: ScriptedProvider) -> None:
    server.script(Step(ANSWER))
    generator = make()
    assert set(await asyncio.gather(*(generator.generate_code(REQUEST, []) for _ in range(8)))) == {CODE}


async def test_cancel_is_a_cancel(make: Make, server: ScriptedProvider) -> None:
    server.script(Step(fault="hang"))
    task = asyncio.create_task(make().generate_code(REQUEST, []))
    while not server.requests:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_environment_reroutes_nothing(
    make: Make, server: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables of the SDKs neither choose another endpoint nor send a secret that the configuration does not name."""
    for name in ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("ANTHROPIC_AUTH_TOKEN", "LANGSMITH_API_KEY", "LANGSMITH_GATEWAY_API_KEY"):
        monkeypatch.setenv(name, "stray-secret")
    await make().generate_code(REQUEST, [])
    assert "stray-secret" not in str(dict(server.requests[0].headers))


async def test_tracing_stays_off(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from langsmith.utils import tracing_is_enabled

    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "LANGCHAIN_TRACING"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    await make().generate_code(REQUEST, [])
    assert not tracing_is_enabled()
    assert dict(os.environ) == before


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
async def test_no_key_names_the_variable(provider: str) -> None:
    generator = BasicLLMCodeGenerator({"provider": provider, "model_id": "m"})
    with pytest.raises(ConfigurationError, match=f"set {provider.upper()}_API_KEY"):
        await generator.generate_code(REQUEST, [])


async def test_server_of_ones_own_needs_no_key(server: ScriptedProvider) -> None:
    server.script(Step(ANSWER))
    generator = BasicLLMCodeGenerator({"provider": "ollama", "model_id": "m", "base_url": server.url})
    assert await generator.generate_code(REQUEST, []) == CODE
    assert server.requests[0].path == "/v1/chat/completions"


async def test_missing_package_is_one_sentence(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "langchain_anthropic", None)
    monkeypatch.setitem(sys.modules, "langchain_openai", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'osprey-executor\[(anthropic|openai)\]'"):
        await make().generate_code(REQUEST, [])
