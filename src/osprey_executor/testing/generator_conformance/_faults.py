"""What a generator tells when its provider fails: one sentence, in time, without a secret."""

from __future__ import annotations

import asyncio
import socket

import pytest

from osprey_executor.errors import CodeGenerationError, GeneratorUnavailableError, PythonExecutorException
from osprey_executor.models import PythonExecutionRequest
from osprey_executor.testing.generator_conformance._bench import ANSWER, KEY, GeneratorBench
from osprey_executor.testing.scripted_provider import ScriptedProvider, Step

_STEPS = {
    "wrong key": Step(status=401, message=f"no such key: {KEY}\x1b[2J"),
    "wrong model": Step(status=404),
    "rate limit": Step(status=429, headers={"retry-after": "3600"}),
    "broken": Step(status=500),
    "overloaded": Step(status=529),
    "cut": Step(ANSWER.text, fault="cut"),
    "garbage": Step(fault="garbage"),
}
_TOO_SLOW = {"hang": Step(fault="hang"), "drip": Step(ANSWER.text * 2000, pause=0.2)}


class TestFaults:
    """A provider that fails; a generator without a model notices nothing."""

    @pytest.mark.parametrize("step", _STEPS.values(), ids=_STEPS)
    def test_a_fault_is_one_clear_sentence(self, generator_bench: GeneratorBench, step: Step) -> None:
        self._told(generator_bench, generator_bench.provider.url, step)

    @pytest.mark.parametrize("step", _TOO_SLOW.values(), ids=_TOO_SLOW)
    def test_an_answer_that_does_not_come_in_time_is_not_waited_for(
        self, generator_bench: GeneratorBench, step: Step
    ) -> None:
        self._told(generator_bench, generator_bench.provider.url, step, timeout=0.5)

    def test_no_route_names_the_address(self, generator_bench: GeneratorBench) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
        error = self._told(generator_bench, url, ANSWER)
        assert error is None or url.removeprefix("http://") in str(error)

    def test_a_redirect_is_not_followed(self, generator_bench: GeneratorBench) -> None:
        """Task and key go to the address that was configured, and to no other."""
        with ScriptedProvider() as other:
            to = {"location": f"{other.url}/v1/messages"}
            self._told(generator_bench, generator_bench.provider.url, Step(status=307, headers=to))
            assert (other.requests, other.strays) == ([], [])

    def test_a_cancel_is_a_cancel(self, generator_bench: GeneratorBench) -> None:
        generator = generator_bench.make(Step(fault="hang"))

        async def cancel() -> None:
            task = asyncio.ensure_future(generator.generate_code(PythonExecutionRequest(user_query="a task"), []))
            while not generator_bench.provider.requests and not task.done():  # noqa: ASYNC110 - a thread notes it
                await asyncio.sleep(0.01)
            task.cancel()
            if generator_bench.expected.asks is None:
                await asyncio.wait([task])
                return
            with pytest.raises(asyncio.CancelledError):
                await task

        generator_bench.wait(cancel())

    @staticmethod
    def _told(bench: GeneratorBench, url: str, step: Step, timeout: float = 30.0) -> PythonExecutorException | None:
        generator = bench.make(step, url=url, timeout=timeout)
        if bench.expected.asks is None:
            assert bench.code(generator).strip()
            return None
        with pytest.raises((GeneratorUnavailableError, CodeGenerationError)) as caught:
            bench.code(generator)
        told = str(caught.value)
        assert len(told) > 20
        assert "\n" not in told
        assert "\x1b" not in told
        assert KEY not in told
        return caught.value
