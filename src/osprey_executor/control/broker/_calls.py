"""Commands of channels: every one counts as a write, and as no database lists one as a query, each is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osprey_executor.control.broker._check import Attempt
from osprey_executor.control.broker._names import channel_name
from osprey_executor.control.broker._values import shown

WHY = (
    "a command counts as a write, whatever it is called, and commands cannot be approved yet: write channels, whose "
    "values a person can see on the card"
)


def refused_call(channel: Any, arguments: Mapping[str, Any], line: int | None, number: int) -> Attempt:
    """Return the attempt to run a command, with the reason why it is refused."""
    value = f"call {shown(dict(arguments))}"
    try:
        return Attempt(number, channel_name(channel).canonical, value, line, WHY)
    except ValueError as error:
        return Attempt(number, shown(channel), value, line, str(error))
