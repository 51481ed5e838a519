"""A run is taken back by a run of its own: a program that writes the former values, approved like any other."""

from __future__ import annotations

import math

from osprey_executor.models import PythonExecutionRequest, RestoredChannel, Restoring

_ROUNDING = 1e-9
"""Of a step: what binary fractions add to a change of whole steps."""

_HEAD = '''"""Bring back what run {run_id} has changed, the last change first."""

from osprey_executor.runtime import read_channel, write_channel

'''


def restore_program(restoring: Restoring) -> str:
    """Return the program that brings the channels back, one plain write a line."""
    names = [one.channel for one in restoring.channels]
    lines = [f"write_channel({one.channel!r}, {value})" for one in restoring.channels for value in _values(one)]
    told = f"results = {{'restored': {{name: read_channel(name) for name in {names!r}}}}}"
    return _HEAD.format(run_id=restoring.run_id) + "\n".join([*lines, told]) + "\n"


def restore_request(restoring: Restoring, requester: str) -> PythonExecutionRequest:
    """Return the request of the run that brings the channels back."""
    left = f" {len(restoring.left)} channels are left as they are." if restoring.left else ""
    return PythonExecutionRequest(
        user_query=f"Restore run {restoring.run_id}: {len(restoring.channels)} channels get back what they held.{left}",
        code=restore_program(restoring),
        requester=requester,
        expected_results={"restored": "dict"},
    )


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
