"""The suite for generators against generators with one fault each; test_conformance_canaries.py runs it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from osprey_executor.errors import CodeGenerationError, GeneratorUnavailableError
from osprey_executor.generation import BasicLLMCodeGenerator, Meter, metered
from osprey_executor.testing.generator_conformance import *


class Sound(BasicLLMCodeGenerator):
    """Without a fault."""

    def __init__(self, url: str, key: str, timeout: float) -> None:
        self.key = key
        super().__init__(
            {"provider": "some-server", "model_id": "m", "base_url": url, "api_key": key, "timeout": timeout}
        )


class IsNoCoroutine(Sound):
    def generate_code(self, request: Any, error_chain: Any) -> Any:
        return super().generate_code(request, error_chain)


class GivesFences(Sound):
    async def generate_code(self, request: Any, error_chain: Any) -> str:
        return f"```python\n{await super().generate_code(request, error_chain)}```"


class ForgetsErrors(Sound):
    async def generate_code(self, request: Any, error_chain: Any) -> str:
        return await super().generate_code(request, [])


class ChangesReports(Sound):
    async def generate_code(self, request: Any, error_chain: Any) -> str:
        code = await super().generate_code(request, error_chain)
        error_chain.clear()
        return code


class InventsPrograms(Sound):
    async def generate_code(self, request: Any, error_chain: Any) -> str:
        try:
            return await super().generate_code(request, error_chain)
        except (CodeGenerationError, GeneratorUnavailableError):
            return "results = {}"


class LeaksItsKey(Sound):
    async def generate_code(self, request: Any, error_chain: Any) -> str:
        try:
            return await super().generate_code(request, error_chain)
        except GeneratorUnavailableError as error:
            raise GeneratorUnavailableError(f"{error} (with {self.key})") from None


class TellsNoAddress(Sound):
    async def generate_code(self, request: Any, error_chain: Any) -> str:
        try:
            return await super().generate_code(request, error_chain)
        except GeneratorUnavailableError:
            raise GeneratorUnavailableError("something went wrong somewhere") from None


class WaitsForEver(Sound):
    def __init__(self, url: str, key: str, timeout: float) -> None:
        super().__init__(url, key, 600)


class Blocks(Sound):
    async def generate_code(self, request: Any, error_chain: Any) -> str:
        answer: list[str] = []
        own = super().generate_code

        def ask() -> None:
            answer.append(asyncio.run(own(request, error_chain)))

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        return answer[0]


class KeepsNoCount(Sound):
    async def generate_code(self, request: Any, error_chain: Any) -> str:
        with metered(Meter()):
            return await super().generate_code(request, error_chain)


class KeepsOneLoop(Sound):
    loop: asyncio.AbstractEventLoop | None = None

    async def generate_code(self, request: Any, error_chain: Any) -> str:
        self.loop = self.loop or asyncio.get_running_loop()
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.loop))
        return await super().generate_code(request, error_chain)


class FollowsRedirects(Sound):
    async def _opened(self, other: Any = None) -> Any:
        opened = await super()._opened(other)
        opened.chat.http_async_client.follow_redirects = True
        return opened


class CannotBeCancelled(Sound):
    async def generate_code(self, request: Any, error_chain: Any) -> str:
        try:
            return await super().generate_code(request, error_chain)
        except asyncio.CancelledError:
            return "results = {}"


FAULTS = (
    *(IsNoCoroutine, GivesFences, ForgetsErrors, ChangesReports, InventsPrograms, LeaksItsKey, TellsNoAddress),
    *(WaitsForEver, Blocks, KeepsNoCount, KeepsOneLoop, FollowsRedirects, CannotBeCancelled),
)


@pytest.fixture(scope="module", params=FAULTS, ids=lambda fault: fault.__name__)
def generator_under_test(request: pytest.FixtureRequest) -> GeneratorUnderTest:
    return GeneratorUnderTest(request.param, "openai")


@pytest.fixture(autouse=True)
def impatient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that never end are given up soon, and failures of a provider are tried again at once."""
    monkeypatch.setattr("osprey_executor.generation.basic._FIRST_PAUSE", 0.01)
    if any(name in request.node.name for name in ("WaitsForEver", "KeepsOneLoop")):
        monkeypatch.setattr("osprey_executor.testing.generator_conformance._bench.PATIENCE", 3.0)
