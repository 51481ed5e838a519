"""The service without any package of a provider: it starts, runs code, and tells in one sentence what is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from osprey_executor.generation._prices import cost_of, knows_price

PROGRAM = """
import asyncio, sys

MISSING = ("langchain_anthropic", "langchain_openai", "anthropic", "openai", "claude_agent_sdk", "genai_prices")
sys.modules.update(dict.fromkeys(MISSING))

from osprey_executor import PythonExecutionRequest, PythonExecutorService

MODEL = {"provider": "anthropic", "model_id": "m", "api_key": "k"}

async def ask(generator, **request):
    config = {
        "execution": {"code_generator": generator, "isolation": "none"},
        "models": {"python_code_generator": MODEL},
    }
    async with PythonExecutorService.from_config(config) as service:
        result = await service.run(PythonExecutionRequest(user_query="a task", **request))
    print(result.status, result.error and result.error.message)

asyncio.run(ask("basic", code="results = {}"))
asyncio.run(ask("mock"))
asyncio.run(ask("basic"))
"""


def test_the_service_works_and_names_the_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=110, check=False, cwd=Path("/")
    )
    assert done.returncode == 0, done.stderr
    own, mock, basic = done.stdout.splitlines()
    assert own == mock == "succeeded None"
    assert basic == (
        "failed the provider anthropic of model m needs the extra 'anthropic', which is not installed: "
        "pip install 'osprey-executor[anthropic]'"
    )


def test_without_the_price_list_the_cost_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert knows_price("anthropic", "claude-sonnet-5")
    assert not knows_price("some-server", "claude-sonnet-5")
    assert not knows_price("anthropic", "model-of-tomorrow")
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    assert cost_of("anthropic", "claude-sonnet-5", 1, 0, 1) is None


def test_cached_tokens_are_cheaper() -> None:
    whole = cost_of("anthropic", "claude-sonnet-5", 1000, 0, 0)
    cached = cost_of("anthropic", "claude-sonnet-5", 1000, 1000, 0)
    assert whole is not None
    assert cached is not None
    assert 0 < cached < whole
