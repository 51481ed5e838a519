"""A suite: tasks in words, each with what it needs, what it must give, and how to tell; a file of YAML."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from osprey_executor.config import parse_document
from osprey_executor.errors import ConfigurationError
from osprey_executor.evaluation._check import Check
from osprey_executor.models import PythonExecutionRequest
from osprey_executor.text import one_line

SHIPPED = "control-room"
_MOST_BYTES = 4 * 2**20
_MOST_VALUES = 100_000


class Task(BaseModel):
    """One task, and how to tell whether it was done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]
    task: Annotated[str, Field(min_length=1)]
    expected_results: dict[str, Any] = Field(default_factory=dict[str, Any])
    inputs: dict[str, str] = Field(default_factory=dict[str, str])
    """Text of files that the program finds at inputs/NAME."""
    context: dict[str, Any] = Field(default_factory=dict[str, Any])
    checks: tuple[Check, ...]
    solution: str | None = None
    """A program that does it, for a test of the suite itself."""
    mistake: str | None = None
    """A program that seems to do it, and that the checks must not let pass."""

    @model_validator(mode="after")
    def _usable(self) -> Task:
        if not self.checks:
            raise ValueError("has no checks, so nobody could tell whether it was done")
        self.request()
        return self

    def request(self, retries: int | None = None) -> PythonExecutionRequest:
        """Return what the service is asked.

        Raises:
            InvalidRequestError: it cannot be asked that.
        """
        return PythonExecutionRequest(
            user_query=self.task,
            expected_results=self.expected_results,
            inputs={name: text.encode() for name, text in self.inputs.items()},
            capability_context_data=self.context,
            retries=retries,
        )

    @property
    def writes(self) -> bool:
        """Whether it is a plan of writes that is looked at, and not a result."""
        return any(check.writes for check in self.checks)


class Suite(BaseModel):
    """Tasks for one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    machine: Literal["simulator", "mock", "configured"] = "simulator"
    """What programs read: a virtual accelerator of its own, invented readings, or the site's own configuration."""
    tasks: tuple[Task, ...]

    @model_validator(mode="after")
    def _each_once(self) -> Suite:
        if not self.tasks:
            raise ValueError("has no tasks")
        ids, words = [task.id for task in self.tasks], [task.task.strip() for task in self.tasks]
        for number, task in enumerate(self.tasks):
            if task.id in ids[:number] or task.task.strip() in words[:number]:
                raise ValueError(f"has two tasks of the id {task.id}, or of the same words")
        return self


def load_suite(path: Path) -> Suite:
    """Read a suite.

    Raises:
        ConfigurationError: it cannot be read, or something in it is not as it must be; the message has line and key.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"the suite {path} is not text in UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"the suite {path} cannot be read: {error.strerror or error}") from None
    if len(raw) > _MOST_BYTES:
        raise ConfigurationError(f"the suite {path} is larger than 4 MiB")
    return _suite(text, str(path))


def shipped_suite() -> Suite:
    """Return the suite that comes with this package: 20 tasks of control room and data analysis."""
    return _suite(
        (files("osprey_executor.evaluation") / "suites" / f"{SHIPPED}.yml").read_text(encoding="utf-8"),
        f"{SHIPPED}.yml",
    )


def _suite(text: str, label: str) -> Suite:
    document = parse_document(text, label, most_values=_MOST_VALUES)
    try:
        return Suite.model_validate(document.data)
    except ValidationError as error:
        found = [_told(item, label, document.lines) for item in error.errors(include_url=False, include_input=False)]
        raise ConfigurationError("\n".join(dict.fromkeys(found))) from None


def _told(item: ErrorDetails, label: str, lines: Mapping[tuple[str, ...], int]) -> str:
    path = tuple(str(part) for part in item["loc"])
    # A key that is missing has no line, and an element of a list that of its first key: where one looks for it.
    at = path[:-1] if item["type"] == "missing" else path
    inner = [line for keys, line in lines.items() if at and keys[: len(at)] == at]
    line = (
        min(inner) if inner else next((lines[at[:size]] for size in range(len(at), 0, -1) if at[:size] in lines), None)
    )
    where = f"{label} line {line}" if line else label
    key = f" {one_line('.'.join(path), 120)}:" if path else ""
    return f"{where}:{key} {_sentence(item, path)}"


def _sentence(item: ErrorDetails, path: tuple[str, ...]) -> str:
    if item["type"] == "extra_forbidden":
        model: type[BaseModel] = Check if "checks" in path else Task if path[0] == "tasks" else Suite
        near = get_close_matches(path[-1], model.model_fields, n=1, cutoff=0.6)
        known = ", ".join(model.model_fields)
        return f"is not a key; did you mean {near[0]}?" if near else f"is not a key; known are {known}"
    if item["type"] == "missing":
        return "is missing"
    if item["type"] in ("model_type", "dict_type", "model_attributes_type"):
        return "must be a mapping of keys, `name: ...`"
    if item["type"] == "tuple_type":
        return "must be a list"
    return item["msg"].removeprefix("Value error, ").removeprefix("Input ")
