"""What a generator is told of the Python that will run its program."""

from __future__ import annotations

from typing import Any

from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution import Engine
from osprey_executor.text import one_line

_LONGEST = 6000


async def environment_of(engine: Engine) -> str:
    """Return the interpreter of `engine` and the exact versions of its packages, in words.

    An engine that cannot tell gives an empty text: how a program fares is the run's to show.
    """
    try:
        interpreter: dict[str, Any] = (await engine.identity()).get("interpreter", {})
    except EngineUnavailableError:
        return ""
    packages: dict[str, str] = interpreter.get("packages", {})
    if not interpreter.get("version"):
        return ""
    listed = ", ".join(f"{name} {version}" for name, version in packages.items()) or "none beside the standard library"
    return one_line(f"Python {interpreter['version']}. Its packages, and no others: {listed}.", _LONGEST)
