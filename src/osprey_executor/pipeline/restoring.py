"""A run is taken back by a run of its own: a program that writes the former values, approved like any other."""

from __future__ import annotations

import math

from osprey_executor.models import (
    MachineEffects,
    PythonExecutionRequest,
    RestoredChannel,
    Restoring,
    RunResult,
    RunStatus,
)

_TASK = "Restore run "
_ROUNDING = 1e-9
"""Of a step: what binary fractions add to a change of whole steps."""

_HEAD = '''"""Bring back what run {run_id} has changed, the last change first."""

from osprey_executor.runtime import read_channels, write_channel

'''


def restore_program(restoring: Restoring) -> str:
    """Return the program that brings the channels back, one plain write a line."""
    names = [one.channel for one in restoring.channels]
    lines = [f"write_channel({one.channel!r}, {value})" for one in restoring.channels for value in _values(one)]
    told = f"results = {{'restored': read_channels({names!r})}}"
    return _HEAD.format(run_id=restoring.run_id) + "\n".join([*lines, told]) + "\n"


def restore_request(restoring: Restoring, requester: str) -> PythonExecutionRequest:
    """Return the request of the run that brings the channels back."""
    left = f" {len(restoring.left)} channels are left as they are." if restoring.left else ""
    return PythonExecutionRequest(
        user_query=f"{_TASK}{restoring.run_id}: {len(restoring.channels)} channels get back what they held.{left}",
        code=restore_program(restoring),
        requester=requester,
        expected_results={"restored": "dict"},
    )


def is_restore(request: PythonExecutionRequest) -> bool:
    """Return whether a run is such a one: its own failure is followed by nothing."""
    run_id = request.user_query.removeprefix(_TASK).partition(":")[0]
    return (request.code or "").startswith(_HEAD.format(run_id=run_id))


def failed_after_writing(result: RunResult) -> bool:
    """Return whether a run was approved, has written for certain, and did not come to its end."""
    failed = result.status in (RunStatus.FAILED, RunStatus.REFUSED, RunStatus.TIMED_OUT, RunStatus.CANCELLED)
    return failed and result.effects is MachineEffects.WRITTEN and result.approver is not None


def followed_by(follower: RunResult, restoring: Restoring) -> str:
    """Return in words what became of the run that brings a failed one back."""
    left = f"; {len(restoring.left)} channels are left as they are" if restoring.left else ""
    match follower.status:
        case RunStatus.SUCCEEDED:
            return f"on_failure: run {follower.run_id} has brought back {len(restoring.channels)} channels{left}"
        case RunStatus.AWAITING_APPROVAL:
            return (
                f"on_failure: run {follower.run_id} waits for approval: it would bring {len(restoring.channels)} back"
            )
        case status:
            return f"on_failure: run {follower.run_id}, which was to bring it back, {status.replace('_', ' ')}"


def with_note(result: RunResult, note: str) -> RunResult:
    """Return the result with one more note."""
    return result.model_copy(update={"notes": (*result.notes, note)})


def _values(one: RestoredChannel) -> list[str]:
    """Return what is written to the channel, as Python has it; a number goes back in steps that its limits allow."""
    before, present = one.before, one.present
    if isinstance(before, tuple):
        return [repr(list(before))]
    if one.max_step is None or not isinstance(before, int | float) or not isinstance(present, int | float):
        return [repr(before)]
    steps = max(math.ceil(abs(before - present) / one.max_step - _ROUNDING), 1)
    between = [repr(present + (before - present) * step / steps) for step in range(1, steps)]
    return [*between, repr(before)]
