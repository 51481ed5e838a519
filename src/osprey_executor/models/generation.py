"""What a generator is told beside the request, and what generating a program took."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from osprey_executor.models.request import PythonExecutionRequest


class Example(BaseModel):
    """A program that did its work in an earlier run: an example to learn from, never a grant."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    task: str
    code: str


class Recalled(BaseModel):
    """What memory has for one request. All of it is data: it allows nothing and orders nothing."""

    model_config = ConfigDict(frozen=True)

    notes: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()


class Assignment(PythonExecutionRequest):
    """The request as the service hands it to a generator: a `PythonExecutionRequest` that knows where it will run."""

    environment: str = ""
    """Python and the exact versions of its packages; empty: the engine cannot tell."""
    recalled: Recalled = Recalled()
    failures: int = 0
    """Programs of this request that failed before, also those that the error chain does not tell any more."""

    @classmethod
    def of(cls, request: PythonExecutionRequest, *, environment: str, recalled: Recalled, failures: int) -> Assignment:
        """Return the assignment of a request; its data is shared, not copied."""
        fields = {name: getattr(request, name) for name in PythonExecutionRequest.model_fields}
        return cls.model_construct(**fields, environment=environment, recalled=recalled, failures=failures)


class ModelCall(BaseModel):
    """One request to a model, answered or not."""

    model_config = ConfigDict(frozen=True)

    model: str
    """Provider and model: `anthropic/claude-sonnet-5`."""
    seconds: float = 0.0
    input_tokens: int | None = Field(default=None, ge=0)
    """All that were sent, the cached ones too; None: unknown."""
    cached_tokens: int = Field(default=0, ge=0)
    output_tokens: int | None = Field(default=None, ge=0)
    cost: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """In US dollars, by list price; None: unknown."""
    error: str = ""
    """What kind of failure it was; empty: it was answered."""

    @property
    def tokens(self) -> int | None:
        """Tokens of question and answer; None: unknown."""
        return (
            None if self.input_tokens is None or self.output_tokens is None else self.input_tokens + self.output_tokens
        )


class Generation(BaseModel):
    """What it took to generate one program, or all programs of a run."""

    model_config = ConfigDict(frozen=True)

    seconds: float = 0.0
    calls: tuple[ModelCall, ...] = ()

    @classmethod
    def total(cls, parts: Iterable[Generation]) -> Generation:
        """Return several as one."""
        listed = list(parts)
        return cls(
            seconds=sum(part.seconds for part in listed), calls=tuple(call for part in listed for call in part.calls)
        )

    @property
    def models(self) -> tuple[str, ...]:
        """The models that were asked, each once."""
        return tuple(dict.fromkeys(call.model for call in self.calls))

    @property
    def tokens(self) -> int | None:
        """Tokens of all calls; None: unknown for one of them."""
        known = [call.tokens for call in self.calls if call.tokens is not None]
        return sum(known) if len(known) == len(self.calls) else None

    @property
    def cost(self) -> float | None:
        """Cost of all calls in US dollars; None: unknown for one of them."""
        known = [call.cost for call in self.calls if call.cost is not None]
        return sum(known) if len(known) == len(self.calls) else None

    def __str__(self) -> str:
        count = len(self.calls)
        tokens = "unknown tokens" if self.tokens is None else f"{self.tokens:,} tokens"
        cost = "cost unknown" if self.cost is None else f"{self.cost:.2g} USD" if self.cost else "no cost"
        return f"{count} request{'' if count == 1 else 's'} to {', '.join(self.models)}; {tokens}; {cost}"
