"""What `config init` needs: which providers have a key here, and a commented file for the one that is chosen."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from osprey_executor.config.providers import PROVIDERS, provider
from osprey_executor.errors import ConfigurationError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Choice:
    """A provider to offer, with what to begin from."""

    provider: str
    model_id: str
    key_variable: str | None
    base_url: str | None
    key_is_set: bool


def detect(environ: Mapping[str, str]) -> tuple[Choice, ...]:
    """Return the providers to offer, those whose key is set in `environ` first."""
    choices = [
        Choice(
            provider=known.name,
            model_id=known.model_id or "",
            key_variable=known.key_variable,
            base_url=None if known.needs_key else known.base_url,
            key_is_set=bool(known.key_variable and environ.get(known.key_variable)),
        )
        for known in PROVIDERS
    ]
    return tuple(sorted(choices, key=lambda choice: not choice.key_is_set))


def render(provider_name: str, model_id: str, *, key_variable: str | None = None, base_url: str | None = None) -> str:
    """Return a commented configuration file. It holds the name of the key's variable, never a key.

    Raises:
        ConfigurationError: a part is missing or cannot be meant, such as a key in place of its variable's name.
    """
    known = provider(provider_name)
    if not provider_name.strip() or not model_id.strip():
        raise ConfigurationError("a provider and a model are needed")
    if key_variable is not None and not _VARIABLE.fullmatch(key_variable):
        raise ConfigurationError("the key's variable must be a name such as ANTHROPIC_API_KEY, not the key itself")
    if base_url is None and known.base_url is None:
        raise ConfigurationError(f"{provider_name} needs a base URL, such as http://localhost:8000/v1")
    if base_url is not None and urlsplit(base_url).scheme not in ("http", "https"):
        raise ConfigurationError("the base URL must start with http:// or https://")
    variable = key_variable or (known.key_variable if known.needs_key else None)
    model = [f"    provider: {_text(provider_name)}", f"    model_id: {_text(model_id)}"]
    if base_url is not None:
        model.append(f"    base_url: {_text(base_url)}")
    if variable is not None:
        model.append(f"    api_key: ${{{variable}}}  # read from the environment, or from .env beside this file")
    return _TEMPLATE.replace("@MODEL@", "\n".join(model))


def _text(value: str) -> str:
    """Return text as YAML that means exactly it; JSON strings are YAML strings."""
    return json.dumps(value.replace("${", "$${"), ensure_ascii=True)


_TEMPLATE = """\
# Configuration of osprey-executor. `osprey-executor config check` tells what it comes to.

execution:
  code_generator: basic        # who writes the code; mock is a scripted stand-in
  execution_method: local      # a sandbox on this machine
  timeout: 600                 # seconds for one run
  generators:
    basic:
      model_config_name: python_code_generator

models:
  python_code_generator:
@MODEL@
    # temperature: 0.0
    # max_tokens: 8192
    # timeout: 180             # seconds for one request, all tries together

approval:
  mode: control_writes         # who is asked: disabled, control_writes (writes to the machine), all_code

control_system:
  type: mock                   # mock, simulator, or epics
  writes_enabled: false        # true lets approved writes reach the machine
  # limits_database: limits.yml  # what may be written to which channel, whoever approves it
  # epics:
  #   address_list: [localhost]
"""
