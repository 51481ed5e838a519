"""Whether the models of the configured generator answer, tried with one tiny request each."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

from osprey_executor.config import Config
from osprey_executor.errors import PythonExecutorException
from osprey_executor.generation._protocol import CodeGenerator
from osprey_executor.generation._registry import create_code_generator, generator_label
from osprey_executor.generation.hybrid import HybridCodeGenerator
from osprey_executor.generation.mock import MockCodeGenerator
from osprey_executor.models import Probe
from osprey_executor.text import one_line


@runtime_checkable
class ChecksOnline(Protocol):
    """A generator that can tell, at the price of a few tokens, whether its model would answer."""

    async def check_online(self) -> None:
        """Make one tiny request.

        Raises:
            PythonExecutorException: what keeps the model from answering, and the remedy.
        """
        ...


async def check_generator(config: Config) -> list[Probe]:
    """Try each model that the configured generator asks. What fails is in the probes."""
    if config.execution.code_generator is None:
        return [Probe(name="generator", outcome="unavailable", detail="none is configured")]
    try:
        generator = create_code_generator(config)
    except PythonExecutorException as error:
        return [Probe(name=one_line(config.execution.code_generator), outcome="failed", detail=str(error))]
    parts = generator.parts if isinstance(generator, HybridCodeGenerator) else (generator,)
    name = None if len(parts) > 1 else config.execution.code_generator
    return [await _tried(generator_label(name, part), part) for part in parts]


async def _tried(name: str, generator: CodeGenerator) -> Probe:
    if isinstance(generator, MockCodeGenerator):
        return Probe(name=name, outcome="ok", detail="asks no model")
    if not isinstance(generator, ChecksOnline):
        return Probe(name=name, outcome="unavailable", detail="has no check_online, so only a run can tell")
    begun = time.monotonic()
    try:
        await generator.check_online()
    except PythonExecutorException as error:
        return Probe(name=name, outcome="failed", detail=str(error))
    except Exception as error:  # a plug-in may raise anything
        return Probe(name=name, outcome="failed", detail=one_line(f"{type(error).__name__}: {error}"))
    return Probe(name=name, outcome="ok", detail=f"answered after {time.monotonic() - begun:.1f} s")
