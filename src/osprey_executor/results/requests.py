"""The request of a run on disk: `request.json`, its context, and copies of its inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from osprey_executor.errors import InvalidRequestError, ResultsError
from osprey_executor.models import PythonExecutionRequest
from osprey_executor.results import _files, _json_files
from osprey_executor.results._values import load_values, save_values
from osprey_executor.results.inputs import keep_inputs

_MOST_BYTES = 64 * 2**20


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Annotated[int, Field(ge=0)]
    sha256: str


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    request: dict[str, Any]
    inputs: dict[str, _Input] = Field(default_factory=dict[str, _Input])


def save_request(folder: Path, request: PythonExecutionRequest) -> dict[str, str]:
    """Keep the request, its context and copies of its inputs; return the SHA-256 of each input.

    Raises:
        InvalidRequestError: an input or the context cannot be kept.
        StorageError: something cannot be written.
    """
    kept = keep_inputs(folder / "inputs", request.inputs)
    try:
        save_values(folder / "context.json", request.capability_context_data)
    except (ResultsError, ValueError, TypeError) as error:
        raise InvalidRequestError(f"capability_context_data cannot be handed to the program: {error}") from error
    fields = request.model_dump(exclude={"inputs", "capability_context_data", "expected_results"})
    try:
        save_values(folder / "expected.json", request.expected_results)
        _json_files.write(
            folder / "request.json",
            {
                "version": 1,
                "request": fields,
                "inputs": {name: {"size": each.size, "sha256": each.sha256} for name, each in kept.items()},
            },
        )
    except (ResultsError, ValueError, TypeError) as error:
        raise InvalidRequestError(f"the request cannot be kept as JSON: {error}") from error
    return {name: each.sha256 for name, each in kept.items()}


def load_request(folder: Path) -> PythonExecutionRequest:
    """Return the request as it was saved; its inputs are the copies.

    Raises:
        StorageError: it cannot be read or is damaged.
    """
    stored = _stored(folder)
    try:
        return PythonExecutionRequest(
            **stored.request,
            inputs={name: folder / "inputs" / name for name in stored.inputs},
            capability_context_data=load_values(folder / "context.json"),
            expected_results=load_values(folder / "expected.json"),
        )
    except InvalidRequestError as error:
        raise _files.damaged(folder / "request.json", str(error)) from error


def input_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 that each input had when it was copied.

    Raises:
        StorageError: the request cannot be read or is damaged.
    """
    return {name: each.sha256 for name, each in _stored(folder).inputs.items()}


def _stored(folder: Path) -> _Stored:
    path = folder / "request.json"
    try:
        return _Stored.model_validate(_json_files.read(path, most_bytes=_MOST_BYTES))
    except ValidationError as error:
        raise _files.damaged(path, "it is not the record of a request") from error
