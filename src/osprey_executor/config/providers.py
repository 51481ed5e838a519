"""What is known of the providers of models: protocol, endpoint, and the variable that holds the key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Protocol = Literal["anthropic", "openai"]


@dataclass(frozen=True)
class Provider:
    """One provider. A name that is not listed speaks the OpenAI protocol at its `base_url`."""

    name: str
    protocol: Protocol = "openai"
    base_url: str | None = None
    key_variable: str | None = None
    needs_key: bool = True
    model_id: str | None = None
    """A model to begin with."""


PROVIDERS = (
    Provider("anthropic", "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", model_id="claude-sonnet-5"),
    Provider("openai", "openai", "https://api.openai.com/v1", "OPENAI_API_KEY", model_id="gpt-5"),
    Provider("cborg", "openai", "https://api.cborg.lbl.gov/v1", "CBORG_API_KEY", model_id="anthropic/claude-sonnet"),
    Provider("ollama", "openai", "http://localhost:11434/v1", None, needs_key=False, model_id="qwen2.5-coder"),
)
"""Those that need no `base_url`."""


def provider(name: str) -> Provider:
    """Return what is known of a provider; of an unknown one, the conventions."""
    for known in PROVIDERS:
        if known.name == name:
            return known
    word = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_") or "MODEL"
    variable = f"{word}_API_KEY" if not word[0].isdigit() else f"_{word}_API_KEY"
    return Provider(name, key_variable=variable, needs_key=False)
