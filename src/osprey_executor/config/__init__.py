"""The configuration: one typed, frozen object, from a file, from plain data, or from nothing at all."""

from osprey_executor.config._build import typed, typed_file
from osprey_executor.config._config import Config
from osprey_executor.config._environment import variables_for
from osprey_executor.config._generator_model import (
    DEFAULT_MODEL,
    GeneratorBlock,
    generator_block,
    hybrid_parts,
    model_for,
)
from osprey_executor.config._load import config_from, load_config, state_folder
from osprey_executor.config._rules import RuleConfig, TimeConfig
from osprey_executor.config._search import CONFIG_VARIABLE, HOME_VARIABLE, user_config_file
from osprey_executor.config._secrets import is_secret_name, unsealed
from osprey_executor.config._yaml import parse_document
from osprey_executor.config.check import Available, CheckReport, check
from osprey_executor.config.providers import PROVIDERS, Provider, provider
from osprey_executor.config.schema import (
    AccessConfig,
    AnalysisConfig,
    ApprovalConfig,
    ArchiverConfig,
    AuditConfig,
    BudgetConfig,
    ConditionConfig,
    ContainerConfig,
    ControlSystemConfig,
    EpicsConfig,
    ExecutionConfig,
    ForkServerConfig,
    Key,
    ModelConfig,
    NotifyConfig,
    PatternsConfig,
    ProxyConfig,
    Section,
    ServeConfig,
    Switch,
    Url,
    WebhookConfig,
)

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_MODEL",
    "HOME_VARIABLE",
    "PROVIDERS",
    "AccessConfig",
    "AnalysisConfig",
    "ApprovalConfig",
    "ArchiverConfig",
    "AuditConfig",
    "Available",
    "BudgetConfig",
    "CheckReport",
    "ConditionConfig",
    "Config",
    "ContainerConfig",
    "ControlSystemConfig",
    "EpicsConfig",
    "ExecutionConfig",
    "ForkServerConfig",
    "GeneratorBlock",
    "Key",
    "ModelConfig",
    "NotifyConfig",
    "PatternsConfig",
    "Provider",
    "ProxyConfig",
    "RuleConfig",
    "Section",
    "ServeConfig",
    "Switch",
    "TimeConfig",
    "Url",
    "WebhookConfig",
    "check",
    "config_from",
    "generator_block",
    "hybrid_parts",
    "is_secret_name",
    "load_config",
    "model_for",
    "parse_document",
    "provider",
    "state_folder",
    "typed",
    "typed_file",
    "unsealed",
    "user_config_file",
    "variables_for",
]
