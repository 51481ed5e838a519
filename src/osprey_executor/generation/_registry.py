"""From a name in the configuration to a generator: built in, by entry point, or `module:Class`."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from osprey_executor.config import Config, GeneratorBlock, generator_block, hybrid_parts, model_for, unsealed
from osprey_executor.errors import ConfigurationError, PythonExecutorException
from osprey_executor.generation._protocol import CodeGenerator
from osprey_executor.generation.basic import BasicLLMCodeGenerator
from osprey_executor.generation.claude_code import ClaudeCodeGenerator
from osprey_executor.generation.hybrid import HybridCodeGenerator, check_failures
from osprey_executor.generation.mock import MockCodeGenerator
from osprey_executor.text import one_line

GROUP = "osprey_executor.generators"
_BY_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def create_code_generator(config: Config) -> CodeGenerator:
    """Return the generator that the configuration names.

    Raises:
        ConfigurationError: none is named, there is no such generator, or it cannot be used; the message lists what is
            available.
    """
    name = config.execution.code_generator
    if not name:
        raise ConfigurationError(
            "no generator of code is configured; run `osprey-executor config init`, or set execution.code_generator to "
            f"one of {_listed()}"
        )
    return _create(config, generator_block(config, name))


def generator_faults(config: Config) -> tuple[list[str], list[str]]:
    """Return what keeps the configured generator from being made, and what it lacks once it is used.

    Looks into the file of `claude_code` and the parts of `hybrid`. A plug-in is not loaded: that runs it.
    """
    problems: list[str] = []
    lacking: list[str] = []
    name = config.execution.code_generator
    waiting = [generator_block(config, name)] if name else []
    while waiting:
        block = waiting.pop(0)
        try:
            if block.name == "hybrid":
                waiting += _parts(config, block)
            elif block.name not in _BUILT_IN:
                if block.name != name:  # the name itself is looked at by the configuration
                    _check_name(block.name)
            elif block.name in _LATER or not config.unset("execution", "generators", *block.path):
                made = _create(config, block)
                lacks = made.check_offline() if isinstance(made, ClaudeCodeGenerator) else None
                lacking += [lacks] if lacks else []
        except PythonExecutorException as error:
            problems.append(str(error))
    return problems, lacking


def _create(config: Config, block: GeneratorBlock) -> CodeGenerator:
    missing = config.unset("execution", "generators", *block.path)
    for key, variable in missing.items():
        if block.name not in _LATER:
            raise ConfigurationError(f"{block.told}.{one_line(key)} uses ${{{variable}}}, which is not set")
    if block.name in _BUILT_IN:
        return _BUILT_IN[block.name](config, block)
    return _made(block, _load(block.name))


def _basic(config: Config, block: GeneratorBlock) -> CodeGenerator:
    return BasicLLMCodeGenerator(model_for(config, block))


def _claude_code(config: Config, block: GeneratorBlock) -> CodeGenerator:
    return ClaudeCodeGenerator(block.settings, folder=config.source.parent if config.source else None)


def _hybrid(config: Config, block: GeneratorBlock) -> CodeGenerator:
    first, then = (_create(config, part) for part in _parts(config, block))
    return HybridCodeGenerator(first, then, block.settings.get("failures", 1))


def _parts(config: Config, block: GeneratorBlock) -> tuple[GeneratorBlock, GeneratorBlock]:
    for key in block.settings:
        if key not in ("first", "then", "failures"):
            raise ConfigurationError(f"{block.told}.{one_line(key)} is unknown; known are first, then and failures")
    check_failures(block.settings.get("failures", 1))
    return hybrid_parts(config, block)


def _mock(config: Config, block: GeneratorBlock) -> CodeGenerator:
    return MockCodeGenerator(_anchored(unsealed(block.settings), config.source))


_BUILT_IN: Mapping[str, Callable[[Config, GeneratorBlock], CodeGenerator]] = {
    "basic": _basic,
    "claude_code": _claude_code,
    "hybrid": _hybrid,
    "mock": _mock,
}
_LATER = ("basic", "hybrid")
"""Those that tell a missing variable themselves: when a model is asked, or of the part that lacks it."""


def available_generators() -> tuple[str, ...]:
    """Return the names that can be configured, without loading any plug-in."""
    return tuple(sorted({*_BUILT_IN, *(found.name for found in _plug_ins())}))


def generator_label(config: Config | str | None, generator: CodeGenerator | None) -> str:
    """Return who writes the code, for headline and record: `mock (scripted)`, `basic (anthropic/claude-...)`."""
    name = config.execution.code_generator if isinstance(config, Config) else config
    if isinstance(generator, MockCodeGenerator) or (generator is None and name == "mock"):
        return "mock (scripted)"
    if isinstance(generator, BasicLLMCodeGenerator):
        return one_line(f"basic ({generator.model_label})")
    if isinstance(generator, ClaudeCodeGenerator):
        return one_line(f"claude_code ({generator.model_label})")
    if isinstance(generator, HybridCodeGenerator):
        first, then = (generator_label(None, part) for part in generator.parts)
        return one_line(f"hybrid ({first}, then {then})")
    if generator is None and name == "basic" and isinstance(config, Config):
        try:
            model = model_for(config)
        except ConfigurationError:
            return "basic"
        return one_line(f"basic ({model.provider}/{model.model_id})")
    return one_line(name or type(generator).__name__)


def _anchored(block: Mapping[str, Any], source: Path | None) -> dict[str, Any]:
    """Return the block of `mock` with its script found beside the configuration file."""
    script = block.get("script")
    if not isinstance(script, str) or source is None:
        return dict(block)
    return {**block, "script": str(source.parent / Path(script).expanduser())}


def _load(name: str) -> Callable[..., Any]:
    for found in _plug_ins():
        if found.name == name:
            return _imported(name, found.load)
    if _BY_PATH.fullmatch(name):
        module, _, attribute = name.partition(":")
        return _imported(name, lambda: getattr(importlib.import_module(module), attribute))
    raise _unknown(name)


def _check_name(name: str) -> None:
    if not _BY_PATH.fullmatch(name) and name not in available_generators():
        raise _unknown(name)


def _unknown(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"there is no generator {one_line(name)}; available are {_listed()}, or a class of your own as module:Class"
    )


def _imported(name: str, load: Callable[[], Any]) -> Callable[..., Any]:
    try:
        found = load()
    except Exception as error:
        # Importing runs a stranger's module; whatever it raises is one sentence for the person who named it.
        missing = isinstance(error, ModuleNotFoundError) and error.name == name.partition(":")[0].partition(".")[0]
        hint = "; install it, or name the folder that it is in with PYTHONPATH" if missing else ""
        raise ConfigurationError(f"the generator {one_line(name)} cannot be loaded: {_why(error)}{hint}") from error
    method = getattr(found, "generate_code", None)
    if not inspect.isclass(found) or not callable(method):
        raise ConfigurationError(
            f"the generator {one_line(name)} is not a class with the method "
            "`async def generate_code(self, request, error_chain) -> str`"
        )
    if inspect.isfunction(method) and not inspect.iscoroutinefunction(method) and not hasattr(method, "__wrapped__"):
        raise ConfigurationError(f"generate_code of the generator {one_line(name)} must be `async def`")
    return found


def _made(block: GeneratorBlock, kind: Callable[..., Any]) -> CodeGenerator:
    try:
        made = kind(model_config=unsealed(block.settings))
    except PythonExecutorException:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"the generator {one_line(block.name)} cannot be made with its block {block.told}: {_why(error)}"
        ) from error
    if not isinstance(made, CodeGenerator):
        raise ConfigurationError(f"the generator {one_line(block.name)} has no method generate_code")
    return made


def _plug_ins() -> tuple[EntryPoint, ...]:
    """Return the generators that installed packages register; none may take the name of a built-in one."""
    return tuple(found for found in entry_points(group=GROUP) if found.name not in _BUILT_IN)


def _listed() -> str:
    return ", ".join(one_line(name, 60) for name in available_generators())


def _why(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}")
