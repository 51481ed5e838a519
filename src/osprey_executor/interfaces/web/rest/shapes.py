"""What goes in and out of the API where it is not one of the models that Python users know."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from fastapi import Header, Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, WithJsonSchema, model_validator

from osprey_executor.models import (
    MOST_ON_A_PAGE,
    Approve,
    Decision,
    Edit,
    MachineEffects,
    PythonExecutionRequest,
    Reject,
    RunFilter,
)

_LONGEST_TEXT = 4 << 20


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise ValueError("the content of a file is base64") from None


Text = Annotated[str, Field(max_length=_LONGEST_TEXT)]
File = Annotated[
    bytes, BeforeValidator(_bytes), WithJsonSchema({"type": "string", "format": "byte", "contentEncoding": "base64"})
]
RunId = Annotated[str, Path(max_length=100, description="The id of a run, or the beginning of it.")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Your name for this request. Sent again with it within a week, it is not done again.",
    ),
]
Limit = Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE)]
Cursor = Annotated[str, Query(max_length=500, description="The `next` of the page before.")]


class Input(BaseModel):
    """What comes in: no unknown keys, and text that every other system can hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _no_lone_surrogates(cls, data: Any) -> Any:
        left: list[Any] = [data]
        while left:
            value = left.pop()
            if isinstance(value, str):
                try:
                    value.encode()
                except UnicodeEncodeError:
                    raise ValueError("text with a lone surrogate, which no file can hold") from None
            elif isinstance(value, dict):
                left += cast("dict[str, Any]", value)
                left += cast("dict[str, Any]", value).values()
            elif isinstance(value, list):
                left += cast("list[Any]", value)
        return data


class Problem(BaseModel):
    """Why something was not done."""

    error: str
    """The class of the error, as in Python."""
    message: str


class NewProgram(Input):
    """A program, with all that it needs."""

    code: Annotated[Text, Field(min_length=1)]
    capability_context_data: dict[str, Any] = Field(default_factory=dict[str, Any])
    inputs: Annotated[dict[str, File], Field(max_length=1000)] = Field(default_factory=dict[str, bytes])
    """Files by their names, as base64; the program finds them at `inputs/NAME`."""

    def request(self) -> PythonExecutionRequest:
        """Return it as Python says it."""
        return PythonExecutionRequest(user_query="rehearsal", **dict(self))


class NewRun(Input):
    """A task in words, or a program, with all that it needs."""

    user_query: Annotated[Text, Field(min_length=1)]
    task_objective: Text = ""
    execution_folder_name: Annotated[str, Field(max_length=200)] = ""
    expected_results: dict[str, Any] = Field(default_factory=dict[str, Any])
    capability_prompts: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    capability_context_data: dict[str, Any] = Field(default_factory=dict[str, Any])
    retries: Annotated[int, Field(ge=0, le=20)] | None = None
    code: Annotated[Text, Field(min_length=1)] | None = None
    """Runs this program instead of asking a generator."""
    inputs: Annotated[dict[str, File], Field(max_length=1000)] = Field(default_factory=dict[str, bytes])
    """Files by their names, as base64; the program finds them at `inputs/NAME`."""

    def request(self) -> PythonExecutionRequest:
        """Return it as Python says it."""
        return PythonExecutionRequest(**dict(self))


class Wanted(Input):
    """Which runs, and which page of them."""

    text: Annotated[str, Field(max_length=200)] = ""
    state: Annotated[str, Field(max_length=40)] | None = None
    effects: MachineEffects | None = None
    requester: Annotated[str, Field(max_length=200)] | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_ON_A_PAGE)] = 50
    after: Annotated[str, Field(max_length=500)] = ""
    """The `next` of the page before."""

    def filter(self) -> RunFilter:
        """Return which runs."""
        return RunFilter(**{name: value for name, value in self if name not in ("limit", "after")})


class ApproveBody(Input):
    """Run exactly what the card of this digest shows; with the digest of its envelope, within that envelope."""

    decision: Literal["approve"]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    def parsed(self) -> Decision:
        """Return it as Python says it."""
        return Approve(self.digest)


class RejectBody(Input):
    """Do not run it; with `regenerate`, tell the generator why and let it try again."""

    decision: Literal["reject"]
    reason: Annotated[str, Field(max_length=10_000)] = ""
    regenerate: StrictBool = False

    def parsed(self) -> Decision:
        """Return it as Python says it."""
        return Reject(self.reason, self.regenerate)


class EditBody(Input):
    """Replace the code. It is analysed again and asked again under a new digest."""

    decision: Literal["edit"]
    code: Annotated[Text, Field(min_length=1)]

    def parsed(self) -> Decision:
        """Return it as Python says it."""
        return Edit(self.code)


DecisionBody = Annotated[ApproveBody | RejectBody | EditBody, Field(discriminator="decision")]


class Reason(Input):
    """Why writes are stopped, for whoever finds one refused."""

    reason: Annotated[str, Field(max_length=1000)] = ""
