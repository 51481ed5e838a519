"""What a user asks for."""

from __future__ import annotations

import getpass
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from osprey_executor.errors import InvalidRequestError

_LONGEST_TASK = 100_000
"""Characters: lists show tasks, and the index holds them."""
_INPUT_NAME = re.compile(r"[^/\x00-\x1f\x7f]{1,200}")
_FROM_OSPREY = {
    "capability_context": "capability_context_data",
    "context_data": "capability_context_data",
    "execution_folder_path": "execution_folder_name",
    "expected_output": "expected_results",
    "approval_mode": "approval.mode in the configuration",
}


def slug(text: str, most: int = 40) -> str:
    """Return a folder name made of the words of `text`; never empty."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:most].strip("-") or "run"


def system_user() -> str:
    """Return the name of the user of this process, or `unknown` where the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


class PythonExecutionRequest(BaseModel):
    """A task in words, or a program of one's own, with all that it needs.

    Only `user_query` is required, up to 100,000 characters. `code` skips generation; `inputs` are files (or bytes) that
    the program finds at `inputs/NAME`; `capability_context_data` is found at `context`.

    Raises:
        InvalidRequestError: a field is unknown, missing or of the wrong type; the message says what to use instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    user_query: str
    task_objective: str = ""
    execution_folder_name: str = ""
    expected_results: dict[str, Any] = Field(default_factory=dict[str, Any])
    capability_prompts: tuple[str, ...] = ()
    capability_context_data: dict[str, Any] = Field(default_factory=dict[str, Any])
    retries: Annotated[int, Field(ge=0, le=20)] | None = None
    """How often code may be generated again; None: as configured."""
    requester: str = Field(default_factory=system_user)
    code: str | None = None
    inputs: Mapping[str, Path | bytes] = Field(default_factory=dict[str, Path | bytes])

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise InvalidRequestError(_explain(error)) from None

    @field_validator("user_query")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the task is empty: say in words what the code should do")
        if len(value) > _LONGEST_TASK:
            raise ValueError(f"the task is longer than {_LONGEST_TASK} characters: give what is long as inputs or code")
        return value

    @field_validator("inputs")
    @classmethod
    def _plain_names(cls, value: Mapping[str, Path | bytes]) -> Mapping[str, Path | bytes]:
        for name in value:
            if not _INPUT_NAME.fullmatch(name) or name in (".", ".."):
                raise ValueError(f"{name!r} is not a file name: no slash, no control character, at most 200 long")
        return value

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        filled: dict[str, Any] = {**data}  # pyright: ignore[reportUnknownVariableType]
        query = filled.get("user_query")
        if isinstance(query, str):
            filled["task_objective"] = filled.get("task_objective") or query
            filled["execution_folder_name"] = slug(str(filled.get("execution_folder_name") or query))
        return filled


def _explain(error: ValidationError) -> str:
    told: list[str] = []
    for item in error.errors(include_url=False):
        name = ".".join(str(part) for part in item["loc"]) or "request"
        if item["type"] == "extra_forbidden":
            instead = _FROM_OSPREY.get(name)
            known = ", ".join(PythonExecutionRequest.model_fields)
            told.append(
                f"{name} is not a field: use {instead}" if instead else f"{name} is not a field: known are {known}"
            )
        elif item["type"] == "missing":
            told.append(f"{name} is required")
        else:
            told.append(f"{name}: {item['msg'].removeprefix('Value error, ')}")
    return "the request cannot be used: " + "; ".join(told)
