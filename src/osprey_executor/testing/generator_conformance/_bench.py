"""One generator, the provider that it asks, and what the tests do with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import pytest

from osprey_executor.generation import CodeGenerator
from osprey_executor.models import PythonExecutionRequest
from osprey_executor.testing.scripted_provider import ScriptedProvider, Step

T = TypeVar("T")

PROGRAM = "import math\n\nresults = {'pi': math.pi}\n"
ANSWER = Step(f"Here it is.\n\n```python\n{PROGRAM}```\n", input_tokens=300, output_tokens=40)
KEY = "sk-conformance-0123456789"
PATIENCE = 60.0
"""Seconds until a generator that hangs is a failure."""


@dataclass(frozen=True)
class GeneratorUnderTest:
    """Which generator is tested. What it lacks is checked too, never passed over."""

    make: Callable[[str, str, float], CodeGenerator]
    """Returns a new one that asks the provider at this URL, with this key, and gives up after so many seconds. One that
    asks no model takes no notice of them."""
    asks: Literal["anthropic", "openai"] | None
    """The protocol in which it asks its model; None: it asks none."""


class GeneratorBench:
    """Drives one generator from tests that are no coroutines."""

    def __init__(self, expected: GeneratorUnderTest, provider: ScriptedProvider) -> None:
        """Take over what is tested, and a provider that serves."""
        self.expected, self.provider = expected, provider

    def make(self, *steps: Step, url: str | None = None, timeout: float = PATIENCE) -> CodeGenerator:
        """Return a new generator whose provider answers with these steps."""
        self.provider.script(*(steps or (ANSWER,)))
        return self.expected.make(url or self.provider.url, KEY, timeout)

    def code(self, generator: CodeGenerator, task: str = "give me pi", *errors: str) -> str:
        """Return a program of the generator, asked in an event loop of its own."""
        return self.wait(generator.generate_code(PythonExecutionRequest(user_query=task), list(errors)))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in an event loop of its own; one that hangs is a failure."""
        return asyncio.run(_bounded(work))


async def _bounded(work: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(PATIENCE):
        return await work


@pytest.fixture
def generator_bench(generator_under_test: GeneratorUnderTest) -> Iterator[GeneratorBench]:
    """The generator under test beside a provider of its own."""
    with ScriptedProvider() as provider:
        yield GeneratorBench(generator_under_test, provider)
