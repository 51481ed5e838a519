"""Which generators a configuration means, and which model one of them asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from osprey_executor.config._build import model_of
from osprey_executor.config._config import Config
from osprey_executor.config.schema import ModelConfig
from osprey_executor.errors import ConfigurationError
from osprey_executor.text import one_line

DEFAULT_MODEL = "python_code_generator"
_HYBRID = "hybrid"


@dataclass(frozen=True)
class GeneratorBlock:
    """One generator: its name, and where in `execution.generators` its settings are."""

    name: str
    path: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def told(self) -> str:
        """The key of its settings, as messages show it."""
        return one_line(".".join(("execution", "generators", *self.path)))


def generator_block(config: Config, name: str) -> GeneratorBlock:
    """Return the generator of this name with its own block."""
    return GeneratorBlock(name, (name,), config.execution.generators.get(name, {}))


def hybrid_parts(config: Config, hybrid: GeneratorBlock) -> tuple[GeneratorBlock, GeneratorBlock]:
    """Return the two generators that a hybrid is made of: each a name, or a block with its `generator` in it.

    Raises:
        ConfigurationError: one of them is missing or neither of both.
    """
    first, then = (_part(config, hybrid, key) for key in ("first", "then"))
    return first, then


def _part(config: Config, hybrid: GeneratorBlock, key: str) -> GeneratorBlock:
    given = hybrid.settings.get(key)
    if isinstance(given, str) and given != _HYBRID:
        return generator_block(config, given)
    settings = dict(cast("Mapping[str, Any]", given)) if isinstance(given, Mapping) else {}
    name = settings.pop("generator", None)
    if not isinstance(name, str):
        raise ConfigurationError(
            f"{hybrid.told}.{key} must be the name of a generator, or a block with its settings and `generator: NAME`"
        )
    return GeneratorBlock(name, (*hybrid.path, key), settings)


def asks_models(config: Config) -> list[GeneratorBlock]:
    """Return every `basic` that the configured generator consists of.

    Raises:
        ConfigurationError: a hybrid is not described as it must be.
    """
    name = config.execution.code_generator
    waiting = [generator_block(config, name)] if name else []
    found: list[GeneratorBlock] = []
    while waiting:
        block = waiting.pop(0)
        if block.name == _HYBRID:
            waiting += hybrid_parts(config, block)
        elif block.name == "basic":
            found.append(block)
    return found


def model_for(config: Config, block: GeneratorBlock | None = None) -> ModelConfig:
    """Return the model of a generator. Settings in its own block go before those of the model that it names.

    Args:
        config: the configuration.
        block: the generator; None: `basic`.

    Raises:
        ConfigurationError: there is no such model, or the block holds what is no setting of a model.
    """
    block = block or generator_block(config, "basic")
    settings = dict(block.settings)
    name = str(settings.pop("model_config_name", DEFAULT_MODEL))
    if "provider" in settings:
        return model_of(settings, block.told).with_unset(config.unset("execution", "generators", *block.path))
    model = config.models.get(name)
    if model is None:
        known = ", ".join(sorted(config.models)) or "none"
        raise ConfigurationError(
            f"the generator {one_line(block.name)} uses the model {one_line(name)}, which is not in models "
            f"(there: {known}); add models.{one_line(name)} with provider, model_id and api_key, or run "
            "`osprey-executor config init`"
        )
    if not settings:
        return model
    fields = {key: getattr(model, key) for key in model.model_fields_set}
    return model_of({**fields, **settings}, block.told).with_unset(model.unset)
