"""What each call sends and how its answer is read; neither knows how it gets there."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter

from osprey_executor.errors import InvalidRequestError
from osprey_executor.models import (
    CardNow,
    Decision,
    FileEntry,
    Health,
    PythonExecutionRequest,
    Rehearsal,
    Restoring,
    RunFilter,
    RunPage,
    RunResult,
    RunSummary,
    Settlement,
    WaitingPage,
    WriteSwitch,
    decision_to_wire,
)

T = TypeVar("T")
_FILES = TypeAdapter(list[FileEntry])
_OF_REHEARSALS = ("code", "capability_context_data", "inputs")


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[Any], T]
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    body: Any = None
    key: str | None = None
    patient: bool = False
    """Whether its answer may take as long as a program does."""


def health() -> Call[Health]:
    """How the service is."""
    return Call("GET", "/health", Health.model_validate)


def submit(request: PythonExecutionRequest, key: str) -> Call[RunSummary]:
    """Begin a run."""
    return Call("POST", "/runs", RunSummary.model_validate, body=_wire(request), key=key)


def rehearse(request: PythonExecutionRequest) -> Call[Rehearsal]:
    """Rehearse a program."""
    body = {name: value for name, value in _wire(request).items() if name in _OF_REHEARSALS}
    return Call("POST", "/rehearsals", Rehearsal.model_validate, body=body, patient=True)


def runs(wanted: RunFilter | None, limit: int, after: str) -> Call[RunPage]:
    """A page of runs."""
    told = (wanted or RunFilter()).model_dump(mode="json", exclude_none=True)
    return Call("GET", "/runs", RunPage.model_validate, params={**told, "limit": limit, "after": after})


def summary(run_id: str) -> Call[RunSummary]:
    """Where a run is."""
    return Call("GET", _run(run_id), RunSummary.model_validate)


def result(run_id: str) -> Call[RunResult]:
    """How a run ended."""
    return Call("GET", f"{_run(run_id)}/result", RunResult.model_validate)


def cancel(run_id: str) -> Call[RunResult]:
    """End a run."""
    return Call("POST", f"{_run(run_id)}/cancel", RunResult.model_validate, patient=True)


def events_path(run_id: str) -> str:
    """Where the events of a run are."""
    return f"{_run(run_id)}/events"


def files(run_id: str) -> Call[list[FileEntry]]:
    """What a run left."""
    return Call("GET", f"{_run(run_id)}/artifacts", _FILES.validate_python)


def file_path(run_id: str, name: str) -> str:
    """Where a file of a run is."""
    return f"{_run(run_id)}/artifacts/{quote(name, safe='/')}"


def pending(limit: int, after: str) -> Call[WaitingPage]:
    """A page of cards that wait."""
    return Call("GET", "/approvals", WaitingPage.model_validate, params={"limit": limit, "after": after})


def card(run_id: str) -> Call[CardNow]:
    """The card of a run."""
    return Call("GET", _approval(run_id), CardNow.model_validate)


def decide(run_id: str, decision: Decision, key: str) -> Call[RunSummary]:
    """Decide a run."""
    body = decision_to_wire(decision)
    return Call("POST", f"{_approval(run_id)}/decision", RunSummary.model_validate, body=body, key=key)


def restoring(run_id: str) -> Call[Restoring]:
    """What a restore would bring back."""
    return Call("GET", f"{_run(run_id)}/restore", Restoring.model_validate)


def restore(seen: Restoring, key: str) -> Call[RunSummary]:
    """Bring back what was seen."""
    body = seen.model_dump(mode="json")
    return Call("POST", f"{_run(seen.run_id)}/restore", RunSummary.model_validate, body=body, key=key)


def unsettled(run_id: str) -> Call[Settlement]:
    """What is to be settled."""
    return Call("GET", f"{_run(run_id)}/settlement", Settlement.model_validate)


def settle(seen: Settlement) -> Call[Settlement]:
    """Settle what was seen."""
    body = seen.model_dump(mode="json")
    return Call("POST", f"{_run(seen.run_id)}/settlement", Settlement.model_validate, body=body)


def writes() -> Call[WriteSwitch]:
    """Whether writes are stopped."""
    return Call("GET", "/writes", WriteSwitch.model_validate)


def stop_writes(reason: str) -> Call[WriteSwitch]:
    """Stop all writes."""
    return Call("POST", "/writes/stop", WriteSwitch.model_validate, body={"reason": reason})


def allow_writes() -> Call[WriteSwitch]:
    """Allow writes again."""
    return Call("POST", "/writes/allow", WriteSwitch.model_validate)


def _run(run_id: str) -> str:
    return f"/runs/{_segment(run_id)}"


def _approval(run_id: str) -> str:
    return f"/approvals/{_segment(run_id)}"


def _segment(run_id: str) -> str:
    if run_id in ("", ".", ".."):
        raise InvalidRequestError(f"{run_id!r} is no run id")
    return quote(run_id, safe="")


def _wire(request: PythonExecutionRequest) -> dict[str, Any]:
    # Who asks is whoever's token it is.
    told = request.model_dump(exclude={"requester", "inputs"}, exclude_none=True)
    told["inputs"] = {name: base64.b64encode(_content(name, given)).decode() for name, given in request.inputs.items()}
    return told


def _content(name: str, given: Path | bytes) -> bytes:
    try:
        return given if isinstance(given, bytes) else given.read_bytes()
    except OSError as error:
        raise InvalidRequestError(f"the input {name!r:.200} cannot be read: {error.strerror} ({given})") from None
