"""What a generator asks its model, what it makes of the answer, and what it tells of the price."""

from __future__ import annotations

import ast

import pytest

from osprey_executor.config import BudgetConfig
from osprey_executor.errors import BudgetExceededError, CodeGenerationError
from osprey_executor.generation import Meter, metered
from osprey_executor.models import ModelCall
from osprey_executor.testing.generator_conformance._bench import ANSWER, PROGRAM, GeneratorBench
from osprey_executor.testing.generator_conformance._contract import REPORT
from osprey_executor.testing.scripted_provider import Step

_PATHS = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions"}
_TOKENS = ANSWER.input_tokens + ANSWER.output_tokens
_NO_PROGRAM = {
    "empty": Step(""),
    "prose": Step("Sorry, I would rather not."),
    "cut off": Step("```python\nresults = {", stop="length"),
    "refused": Step("I cannot help with that.", stop="refused"),
}


class TestModel:
    """Question and answer; a generator without a model asks nobody."""

    def test_it_asks_in_its_protocol(self, generator_bench: GeneratorBench) -> None:
        generator_bench.code(generator_bench.make(), "count the 17 BPMs", REPORT)
        asked, provider = generator_bench.expected.asks, generator_bench.provider
        if asked is None:
            assert provider.requests == []
            return
        assert {one.path.partition("?")[0] for one in provider.requests} == {_PATHS[asked]}
        text = "\n".join(f"{one.system}\n{one.text}" for one in provider.requests)
        assert "count the 17 BPMs" in text
        assert "ZeroDivisionError" in text, "the model was not told of the error"

    def test_the_program_is_what_the_model_wrote(self, generator_bench: GeneratorBench) -> None:
        code = generator_bench.code(generator_bench.make())
        if generator_bench.expected.asks:
            assert ast.dump(ast.parse(code)) == ast.dump(ast.parse(PROGRAM))

    @pytest.mark.parametrize("step", _NO_PROGRAM.values(), ids=_NO_PROGRAM)
    def test_an_answer_without_a_program_is_told(self, generator_bench: GeneratorBench, step: Step) -> None:
        generator = generator_bench.make(step)
        if generator_bench.expected.asks is None:
            assert generator_bench.code(generator).strip()
            return
        with pytest.raises(CodeGenerationError) as caught:
            generator_bench.code(generator)
        assert str(caught.value).strip()


class TestBudget:
    """The meter of the request is told of every call, and obeyed."""

    def test_it_tells_what_it_used(self, generator_bench: GeneratorBench) -> None:
        generator, meter = generator_bench.make(), Meter()
        with metered(meter):
            generator_bench.code(generator)
        told = meter.generation
        assert len(told.calls) == len(generator_bench.provider.requests), told
        assert all(call.model.strip() for call in told.calls), told
        answered = [call for call in told.calls if not call.error]
        assert sum(call.tokens or 0 for call in answered) == len(answered) * _TOKENS, told

    def test_it_asks_nothing_once_the_budget_is_spent(self, generator_bench: GeneratorBench) -> None:
        generator, meter = generator_bench.make(), Meter(BudgetConfig(tokens=10))
        meter.add(ModelCall(model="another/model", input_tokens=10, output_tokens=0, cost=0.0))
        with metered(meter):
            if generator_bench.expected.asks is None:
                assert generator_bench.code(generator).strip()
            else:
                with pytest.raises(BudgetExceededError):
                    generator_bench.code(generator)
        assert generator_bench.provider.requests == []
