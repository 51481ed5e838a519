"""A command on the card: all that it says, at any width."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from osprey_executor.interfaces.cli.card_plan import plan_section
from osprey_executor.models import ChannelStart, Plan, PlannedWrite

SAYS = 'call {"file": "' + "x" * 300 + '", "go": true}'


def planned(index: int, channel: str, value: Any, **more: Any) -> PlannedWrite:
    return PlannedWrite(index=index, channel=channel, value=value, shown=str(value), **more)


@pytest.mark.parametrize("writes", [1, 20])
@pytest.mark.parametrize("width", [60, 120])
def test_a_command_stands_there_in_full(width: int, writes: int) -> None:
    plan = Plan(
        writes=(
            planned(1, "RAMP:START", SAYS, command=True),
            *(planned(index, "MAG:SP", 1.5, now=1.0) for index in range(2, 2 + writes)),
        ),
        start={"MAG:SP": ChannelStart(value=1.0, shown="1.0", units="A")},
    )
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(plan_section(plan, width=width))
    said = console.export_text()
    assert "".join(SAYS.split()) in "".join(said.split())
    assert "a command" in said
    assert "no valid value" not in said
