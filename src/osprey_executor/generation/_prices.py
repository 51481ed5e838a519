"""What a request to a model used and costs: the provider's count, and the list price from the extra `prices`."""

from __future__ import annotations

import importlib
from typing import Any

_MOST_TOKENS = 10**12


def tokens_in(told: object) -> int | None:
    """Return a number of tokens as a provider tells it; None where it tells none, or what cannot be one."""
    if not isinstance(told, int) or isinstance(told, bool):
        return None
    return told if 0 <= told <= _MOST_TOKENS else None


def cost_of(provider: str, model_id: str, input_tokens: int, cached_tokens: int, output_tokens: int) -> float | None:
    """Return US dollars; None where the price list is not installed or does not know the model. Asks nobody."""
    try:
        # Not at the top: the service starts without it, and it takes its time.
        prices: Any = importlib.import_module("genai_prices")
    except ImportError:
        return None
    try:
        usage = prices.Usage(
            input_tokens=input_tokens, cache_read_tokens=min(cached_tokens, input_tokens), output_tokens=output_tokens
        )
        return float(prices.calc_price(usage, model_ref=model_id, provider_id=provider).total_price)
    except (LookupError, ValueError):
        return None


def knows_price(provider: str, model_id: str) -> bool:
    """Tell whether the cost of a request would be known."""
    return cost_of(provider, model_id, 1, 0, 1) is not None
