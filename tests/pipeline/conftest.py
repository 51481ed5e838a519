"""A service on real parts: the local engine, the mock control system, the scripted generator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from osprey_executor import PythonExecutionRequest, PythonExecutorService
from osprey_executor.generation import MockCodeGenerator

WRITE = """
from osprey_executor.runtime import read_channel, write_channel
write_channel("MAG:1:SP", 1.5)
results = {"value": read_channel("MAG:1:SP")}
"""

OpenService = Callable[..., AbstractAsyncContextManager[PythonExecutorService]]


def settings(**changes: Any) -> dict[str, Any]:
    """A configuration with writes enabled on the mock control system; `a__b=1` sets `a: {b: 1}`."""
    config: dict[str, Any] = {
        "execution": {"code_generator": "mock", "timeout": 60},
        "control_system": {"type": "mock", "writes_enabled": True},
        "approval": {"mode": "control_writes"},
    }
    for name, value in changes.items():
        section, key = name.split("__")
        config.setdefault(section, {})[key] = value
    return config


def own(code: str, **fields: Any) -> PythonExecutionRequest:
    """A request that brings its own code."""
    return PythonExecutionRequest(user_query="own code", code=code, **fields)


@pytest.fixture
def open_service(home: Path) -> OpenService:
    """Opens a service on the state folder of this test."""

    def opened(generator: MockCodeGenerator | None = None, **changes: Any) -> PythonExecutorService:
        return PythonExecutorService.from_config(settings(**changes), generator=generator, home=home)

    return opened


@pytest.fixture
async def service(open_service: OpenService) -> AsyncGenerator[PythonExecutorService]:
    """An opened service."""
    async with open_service() as opened:
        yield opened
