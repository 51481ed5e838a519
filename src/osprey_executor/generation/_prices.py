"""What a request to a model costs, by list price: from the extra `prices`, imported at its first use."""

from __future__ import annotations

import importlib
from typing import Any


def cost_of(provider: str, model_id: str, input_tokens: int, cached_tokens: int, output_tokens: int) -> float | None:
    """Return US dollars; None where the price list is not installed or does not know the model. Asks nobody."""
    try:
        # Not at the top: the service starts without it.
        prices: Any = importlib.import_module("genai_prices")
    except ImportError:
        return None
    usage = prices.Usage(
        input_tokens=input_tokens, cache_read_tokens=min(cached_tokens, input_tokens), output_tokens=output_tokens
    )
    try:
        return float(prices.calc_price(usage, model_ref=model_id, provider_id=provider).total_price)
    except (LookupError, ValueError):
        return None


def knows_price(provider: str, model_id: str) -> bool:
    """Tell whether the cost of a request would be known."""
    return cost_of(provider, model_id, 1, 0, 1) is not None
