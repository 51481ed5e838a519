"""What a generator is: it takes a request and reports, and gives the source of a program."""

from __future__ import annotations

import ast
import asyncio
import inspect
from dataclasses import replace

from osprey_executor.generation import CodeGenerator
from osprey_executor.models import Assignment, PythonExecutionRequest, Recalled
from osprey_executor.testing.generator_conformance._bench import ANSWER, GeneratorBench

REPORT = "Stage: execution\nError: ZeroDivisionError: division by zero\nThe code that failed:\n```python\n1 / 0\n```"


class TestContract:
    """One coroutine."""

    def test_it_is_a_generator(self, generator_bench: GeneratorBench) -> None:
        generator = generator_bench.make()
        assert isinstance(generator, CodeGenerator)
        assert inspect.iscoroutinefunction(generator.generate_code)

    def test_it_gives_the_source_of_a_program(self, generator_bench: GeneratorBench) -> None:
        code = generator_bench.code(generator_bench.make())
        assert type(code) is str
        assert ast.parse(code).body, "the program is empty"

    def test_it_takes_the_reports_of_failures(self, generator_bench: GeneratorBench) -> None:
        assert generator_bench.code(generator_bench.make(), "give me pi", REPORT, "Stage: analysis\nError: no").strip()

    def test_it_takes_a_request_that_knows_more(self, generator_bench: GeneratorBench) -> None:
        request = PythonExecutionRequest(user_query="give me pi", capability_context_data={"one": [1, 2]})
        assigned = Assignment.of(request, environment="Python 3.11.", recalled=Recalled(notes=("n",)), failures=2)
        assert generator_bench.wait(generator_bench.make().generate_code(assigned, [])).strip()

    def test_it_changes_neither_request_nor_reports(self, generator_bench: GeneratorBench) -> None:
        reports, data = [REPORT], {"orbit": [1.0, 2.0], "inner": {"a": 1}}
        request = PythonExecutionRequest(user_query="give me pi", capability_context_data=data)
        generator_bench.wait(generator_bench.make().generate_code(request, reports))
        assert reports == [REPORT]
        assert request.capability_context_data == {"orbit": [1.0, 2.0], "inner": {"a": 1}}


class TestLife:
    """One generator serves many requests, at once and one after the other."""

    def test_it_serves_requests_at_once(self, generator_bench: GeneratorBench) -> None:
        generator = generator_bench.make()

        async def ask() -> list[str]:
            requests = [PythonExecutionRequest(user_query=f"task {number}") for number in range(4)]
            return await asyncio.gather(*(generator.generate_code(request, []) for request in requests))

        assert all(code.strip() for code in generator_bench.wait(ask()))

    def test_it_serves_two_event_loops_one_after_the_other(self, generator_bench: GeneratorBench) -> None:
        generator = generator_bench.make()
        assert generator_bench.code(generator).strip()
        assert generator_bench.code(generator).strip()

    def test_it_does_not_keep_the_event_loop_waiting(self, generator_bench: GeneratorBench) -> None:
        """While the provider thinks, something else goes on."""
        generator = generator_bench.make()
        generator_bench.code(generator)  # first imports may take their time
        generator_bench.provider.script(replace(ANSWER, delay=0.5))

        async def ask() -> int:
            task = asyncio.ensure_future(generator.generate_code(PythonExecutionRequest(user_query="a task"), []))
            turns = 0
            while not task.done():
                await asyncio.sleep(0.01)
                turns += 1
            await task
            return turns

        turns = generator_bench.wait(ask())
        assert generator_bench.expected.asks is None or turns >= 3
