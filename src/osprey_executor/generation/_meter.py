"""What a request has spent on generating code, and the end of its budget."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from osprey_executor.config import BudgetConfig
from osprey_executor.errors import BudgetExceededError, CodeGenerationError
from osprey_executor.models import Generation, ModelCall
from osprey_executor.text import one_line

_KEY = "execution.generation_budget"
_UNLIMITED = BudgetConfig(seconds=None)


class Meter:
    """Counts what one attempt takes, on top of what earlier attempts of the same request have spent."""

    def __init__(
        self, budget: BudgetConfig = _UNLIMITED, spent: Generation | None = None, *, keep_prompts: bool = False
    ) -> None:
        self.exchanges: list[tuple[str, str]] = []
        """Prompts and answers, where they are kept."""
        self._budget, self._before, self._keep = budget, spent or Generation(), keep_prompts
        self._begun = time.monotonic()
        self._calls: list[ModelCall] = []

    @property
    def generation(self) -> Generation:
        """What this attempt has taken until now."""
        return Generation(seconds=time.monotonic() - self._begun, calls=tuple(self._calls))

    @property
    def seconds_left(self) -> float:
        """Seconds that are left to this request for generating code; `inf` without a limit."""
        limit = self._budget.seconds
        return math.inf if limit is None else limit - self._before.seconds - (time.monotonic() - self._begun)

    @property
    def cost_left(self) -> float:
        """US dollars that are left to this request; `inf` without a limit."""
        spent = Generation.total([self._before, self.generation])
        return math.inf if self._budget.cost is None else self._budget.cost - _paid(spent)

    def check(self, *underway: ModelCall) -> None:
        """Call this before a request to a model; `underway` is what is spent already and not yet added.

        Raises:
            BudgetExceededError: nothing is left to pay it with, or what was spent cannot be known.
        """
        spent, budget = Generation.total([self._before, self.generation, Generation(calls=underway)]), self._budget
        by = f", by {spent}" if spent.calls else ""
        if self.seconds_left <= 0:
            raise self.out_of_time()
        answered = [call for call in spent.calls if not call.error]
        if budget.tokens is not None:
            if unknown := [call.model for call in answered if call.tokens is None]:
                raise _unknowable(unknown[0], "how many tokens it used", "tokens", "seconds")
            used = sum(call.tokens or 0 for call in spent.calls)
            if used >= budget.tokens:
                raise _spent(f"{used:,} of {budget.tokens:,} tokens", "tokens", by)
        if budget.cost is not None:
            if unknown := [call.model for call in answered if call.cost is None]:
                raise _unknowable(unknown[0], "what it costs", "cost", "tokens or seconds")
            paid = _paid(spent)
            if paid >= budget.cost:
                raise _spent(f"{paid:.2g} of {budget.cost:g} US dollars", "cost", by)

    def check_price(self, model: str, *, known: bool) -> None:
        """Call this before a request to a model whose price may be unknown.

        Raises:
            BudgetExceededError: it is unknown, and the budget limits the cost.
        """
        if self._budget.cost is not None and not known:
            raise _unknowable(model, "what it costs", "cost", "tokens or seconds")

    def add(self, call: ModelCall, prompt: str = "", answer: str = "") -> None:
        """Call this after a request to a model, answered or not; prompt and answer are kept where the user wants it.

        Raises:
            CodeGenerationError: it is no `ModelCall`.
        """
        if not isinstance(call, ModelCall):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise CodeGenerationError(f"the generator counted {call!r:.100}; Meter.add takes a ModelCall")
        self._calls.append(call)
        if self._keep:
            self.exchanges.append((prompt, answer))

    def out_of_time(self) -> BudgetExceededError:
        """Return the error of a request whose time is over."""
        spent = Generation.total([self._before, self.generation])
        by = f", by {spent}" if spent.calls else ""
        return _spent(f"{spent.seconds:.0f} of {self._budget.seconds or 0:g} seconds", "seconds", by)


_CURRENT: ContextVar[Meter | None] = ContextVar("meter", default=None)


def meter() -> Meter:
    """Return the meter of the request that is being worked on; outside the service, one without limits."""
    return _CURRENT.get() or Meter()


@contextmanager
def metered(current: Meter) -> Generator[Meter]:
    """Make a meter the one that `meter` returns, in this task and those that it starts."""
    token = _CURRENT.set(current)
    try:
        yield current
    finally:
        _CURRENT.reset(token)


def _paid(spent: Generation) -> float:
    return sum(call.cost or 0.0 for call in spent.calls)


def _spent(what: str, key: str, by: str) -> BudgetExceededError:
    return BudgetExceededError(
        f"what this request may take for generating code is spent: {what}{by}; raise {_KEY}.{key}, or narrow the task"
    )


def _unknowable(model: str, what: str, key: str, other: str) -> BudgetExceededError:
    hint = "; prices come with pip install 'osprey-executor[prices]'" if key == "cost" else ""
    return BudgetExceededError(
        f"{one_line(model, 100)}: nobody knows {what}, so {_KEY}.{key} cannot be kept: limit {other} instead{hint}"
    )
