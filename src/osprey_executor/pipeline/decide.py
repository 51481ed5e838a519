"""Who decides, as the pipeline sees them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from osprey_executor.models import ApprovalCard, Decision

Decide = Callable[[ApprovalCard], Awaitable[Decision | None] | Decision | None]
"""Is shown a card; returns a decision, or None to leave it pending. May be a coroutine function."""
