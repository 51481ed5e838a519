"""Commands of channels (RPC). Each counts as a write, unless the limits database lists its channel as a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osprey_executor.control.broker._check import Attempt, checked_name
from osprey_executor.control.broker._command import Command
from osprey_executor.control.broker._metered import Metered
from osprey_executor.control.broker._names import channel_name
from osprey_executor.control.broker._permit import WritePermit
from osprey_executor.control.broker._values import shown
from osprey_executor.control.connectors._protocol import LostAnswer
from osprey_executor.control.limits._run import RunLimits
from osprey_executor.errors import ControlSystemError, OutcomeUnknownError
from osprey_executor.text import one_line

_WRITES = "a command counts as a write, as the limits database does not list the channel with call: query"
_BOUNDED = "its limits bound values, and nobody can say to which value a command leads: list it without such limits"
UNCHECKED = "this counts as a write, and as one that cannot be checked, so it is never done: write a value"


def query_of(channel: object, limits: RunLimits | None) -> str | None:
    """Return the channel's canonical name if a command to it is a query, which changes nothing; else None."""
    try:
        name = channel_name(channel).canonical
    except ValueError:
        return None
    found = limits.of(name) if limits is not None else None
    return name if found is not None and found.call == "query" else None


async def answer_of(machine: Metered, name: str, arguments: object) -> Any:
    """Return the answer to a query.

    Raises:
        ControlSystemError: the arguments cannot be sent, nobody answers, or the control system says that it failed.
    """
    try:
        command = Command.of(arguments)
    except ValueError as error:
        raise ControlSystemError(f"{one_line(name)}: not sent: {error}") from None
    try:
        answer = await machine.call(name, command.arguments)
    except OutcomeUnknownError as error:  # it changes nothing, so that nobody knows is no harm
        raise ControlSystemError(str(error)) from None
    return passed_on(name, answer)


def passed_on(name: object, answer: Any) -> Any:
    """Return the answer of a command that was done.

    Raises:
        ControlSystemError: it could not be taken; nobody may run the command again for that.
    """
    if isinstance(answer, LostAnswer):
        done = "the command was done and confirmed, only its answer is lost"
        raise ControlSystemError(f"{one_line(str(name))}: {done}: {answer.reason}")
    return answer


def call_attempt(
    channel: object,
    arguments: object,
    line: int | None,
    number: int,
    permit: WritePermit | None,
    shut: str | None,
    limits: RunLimits | None,
) -> Attempt:
    """Return the attempt to run a command, checked as far as that needs no permit for exactly this command."""
    name, problem = checked_name(channel, permit, shut, set())
    try:
        value: Any = Command.of(arguments)
    except ValueError as error:
        value, problem = f"call {shown(arguments)}", problem or str(error)
    rule = ""
    if limits is not None and not problem:
        if closed := limits.unlooked(name):
            problem, rule = closed.reason, closed.rule
        elif limits.bounds_value(name):
            problem, rule = _BOUNDED, "call"
    return Attempt(number, name, value, line, f"{_WRITES}: {problem}" if problem else None, rule)


def unchecked_attempt(channel: object, told: Mapping[str, Any], number: int) -> Attempt:
    """Return an attempt of which is known that it would change something, and no more."""
    try:
        name = channel_name(channel).canonical
    except ValueError:
        name = shown(channel) if channel else "(no channel)"
    return Attempt(number, name, shown(dict(told)), None, UNCHECKED)
