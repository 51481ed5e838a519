"""Our own generators keep the contract of every generator, each through the real SDK of its provider."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from osprey_executor.generation import (
    BasicLLMCodeGenerator,
    ClaudeCodeGenerator,
    CodeGenerator,
    HybridCodeGenerator,
    MockCodeGenerator,
)
from osprey_executor.testing.generator_conformance import *
from osprey_executor.testing.generator_conformance import GeneratorUnderTest


def basic(provider: str, streaming: bool = False) -> Callable[[str, str, float], CodeGenerator]:
    settings = {"provider": provider, "model_id": "m", "streaming": streaming}
    return lambda url, key, timeout: BasicLLMCodeGenerator(
        {**settings, "base_url": url, "api_key": key, "timeout": timeout}
    )


OURS = {
    "basic-anthropic": GeneratorUnderTest(basic("anthropic"), "anthropic"),
    "basic-openai": GeneratorUnderTest(basic("some-server", streaming=True), "openai"),
    "hybrid": GeneratorUnderTest(
        lambda *how: HybridCodeGenerator(basic("some-server")(*how), basic("some-server", streaming=True)(*how)),
        "openai",
    ),
    "claude-code": GeneratorUnderTest(
        lambda url, key, timeout: ClaudeCodeGenerator(
            {"api_config": {"base_url": url, "api_key": key}, "timeout": timeout}, folder=Path("/nowhere")
        ),
        "anthropic",
    ),
    "mock": GeneratorUnderTest(lambda *how: MockCodeGenerator(), None),
}


@pytest.fixture(scope="module", params=OURS.values(), ids=OURS)
def generator_under_test(request: pytest.FixtureRequest) -> GeneratorUnderTest:
    return request.param
