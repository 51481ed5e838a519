"""What a generator is told of the Python that will run its program."""

from __future__ import annotations

from typing import Any

from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution import Engine
from osprey_executor.models import PythonExecutionRequest
from osprey_executor.text import one_line

_LONGEST = 6000


async def with_environment(request: PythonExecutionRequest, engine: Engine) -> PythonExecutionRequest:
    """Return the request with the interpreter and the packages of `engine` among its prompts.

    An engine that cannot tell leaves it as it is: how a program fares is the run's to show.
    """
    try:
        interpreter: dict[str, Any] = (await engine.identity()).get("interpreter", {})
    except EngineUnavailableError:
        return request
    packages: dict[str, str] = interpreter.get("packages", {})
    if not interpreter.get("version"):
        return request
    listed = ", ".join(f"{name} {version}" for name, version in packages.items()) or "none beside the standard library"
    told = f"The program runs under Python {interpreter['version']}. Its packages, and no others: {listed}."
    return request.model_copy(update={"capability_prompts": (*request.capability_prompts, one_line(told, _LONGEST))})
