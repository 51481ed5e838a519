"""Which model a generator asks: the one it names in `models`, or the one its own block describes."""

from __future__ import annotations

from osprey_executor.config._build import model_of
from osprey_executor.config._config import Config
from osprey_executor.config.schema import ModelConfig
from osprey_executor.errors import ConfigurationError
from osprey_executor.text import one_line

DEFAULT_MODEL = "python_code_generator"


def model_for(config: Config, generator: str = "basic") -> ModelConfig:
    """Return the model of a generator. Settings in its own block go before those of the model that it names.

    Raises:
        ConfigurationError: there is no such model, or the block holds what is no setting of a model.
    """
    block = dict(config.execution.generators.get(generator, {}))
    name = str(block.pop("model_config_name", DEFAULT_MODEL))
    if "provider" in block:
        made = model_of(block, f"execution.generators.{one_line(generator)}")
        return made.with_unset(config.unset("execution", "generators", generator))
    model = config.models.get(name)
    if model is None:
        known = ", ".join(sorted(config.models)) or "none"
        raise ConfigurationError(
            f"the generator {one_line(generator)} uses the model {one_line(name)}, which is not in models "
            f"(there: {known}); add models.{one_line(name)} with provider, model_id and api_key, or run "
            "`osprey-executor config init`"
        )
    if not block:
        return model
    fields = {key: getattr(model, key) for key in model.model_fields_set}
    return model_of({**fields, **block}, f"execution.generators.{one_line(generator)}").with_unset(model.unset)
