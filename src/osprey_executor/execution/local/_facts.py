"""What the interpreter of a sandbox is and which packages it has."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from osprey_executor.execution.local._interpreter import Interpreter
from osprey_executor.execution.local._sandbox import LaunchError, Sandbox
from osprey_executor.execution.local._script import run_script
from osprey_executor.models import Limits
from osprey_executor.text import one_line

_LIMITS = Limits(timeout=60.0)


class Facts(BaseModel):
    """Said by the interpreter itself."""

    model_config = ConfigDict(frozen=True)

    version: str
    implementation: str
    packages: dict[str, str]


async def ask(sandbox: Sandbox, interpreter: Interpreter, root: Path) -> Facts:
    """Return what the interpreter says of itself, inside.

    Raises:
        LaunchError: the sandbox does not start, or the interpreter does not work inside.
    """
    prefixes = [str(prefix) for prefix in interpreter.prefixes[:1]]
    end = await run_script(sandbox, root, "facts", *prefixes, limits=_LIMITS)
    try:
        return Facts.model_validate_json(end.stdout)
    except ValueError:
        told = one_line(end.stderr.strip()[-1000:] or end.stdout[-1000:], 1000)
        raise LaunchError(
            f"the interpreter {interpreter.executable} does not work inside (it ended with {end.ending.code}): {told}"
        ) from None
