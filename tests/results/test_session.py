"""The control session of a replay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from osprey_executor.errors import ControlSystemError, OutcomeUnknownError, WriteRefused
from osprey_executor.models import ControlSession, MachineEffects, Reading, Refusal, Write
from osprey_executor.results import ReplaySession, RunFolder
from osprey_executor.results.osprey_replay.recording import same_value

MakeRun = Callable[..., RunFolder]


def sent(channel: str, value: str, **more: Any) -> Write:
    return Write(channel=channel, value=value, **{"confirmed": True, **more})


async def test_reads_answer_in_order_per_channel_with_all_that_was_read(make_run: MakeRun) -> None:
    reads = [
        Reading(channel="a", value=1.0, units="mm"),
        Reading(channel="b", value=np.arange(3)),
        Reading(channel="a", value=2.0),
    ]
    session: ControlSession = ReplaySession.of(make_run(reads=reads))
    both = await session.read(["b", "a"])
    assert both["a"] == reads[0]
    assert both["b"].value.tolist() == [0, 1, 2]
    assert (await session.read(["a"]))["a"].value == 2.0
    with pytest.raises(ControlSystemError, match="the run read a only 2 times"):
        await session.read(["a"])
    with pytest.raises(ControlSystemError, match="no reading of c"):
        await session.read(["c"])
    assert [reading.channel for reading in session.reads] == ["b", "a", "a"]


async def test_writes_change_nothing_and_deviations_are_told(make_run: MakeRun) -> None:
    session = ReplaySession.of(make_run(writes=[sent("a", "1.5"), sent("b", "2"), sent("c", "3")]))
    await session.declare_writes({"a": (0, 1)})
    await session.write({"a": 1.5})
    assert session.deviations == ("the run set b to 2; this replay did not", "the run set c to 3; this replay did not")
    await session.write({"b": 2.5, "x": 1})
    assert session.deviations == (
        "b would be set to 2.5; the run set it to 2",
        "x would be set to 1; the run set c next",
        "the run set c to 3; this replay did not",
    )
    assert session.effects is MachineEffects.NONE
    assert session.writes == ()


async def test_what_was_refused_is_refused_again(make_run: MakeRun) -> None:
    session = ReplaySession.of(
        make_run(
            writes=[sent("a", "1"), sent("a", "1")],
            refusals=[
                Refusal(channel="b", value="2", reason="not approved", line=4),
                Refusal(channel="c", value="3", reason="not approved", line=4),
                Refusal(channel="a", value="1", reason="expired", line=9),
            ],
        )
    )
    await session.write({"a": 1}, line=1)
    with pytest.raises(WriteRefused, match=r"b = 2: refused: not approved \(and 1 more refused\); nothing of"):
        await session.write({"a": 1, "b": 2, "c": 3}, line=4)
    await session.write({"a": 1}, line=6)
    with pytest.raises(WriteRefused, match="a = 1: refused: expired"):
        await session.write({"a": 1}, line=9)
    assert session.deviations == ()
    assert [refusal.channel for refusal in session.refusals] == ["b", "c", "a"]


async def test_what_was_left_out_is_left_out_again(make_run: MakeRun) -> None:
    left = Refusal(channel="a", value="9", reason="above max_value 8", line=1, skipped=True)
    session = ReplaySession.of(make_run(writes=[sent("b", "2")], refusals=[left, left]))
    assert await session.write({"a": 9, "b": 2}, line=1) == [left]
    assert await session.write({"a": 9}, line=1) == [left]
    assert session.refusals == (left, left)
    assert session.deviations == ()
    assert await session.write({"a": 9}, line=1) == []
    assert session.deviations == ("a would be set to 9; the run wrote nothing more",)


async def test_a_write_without_confirmation_has_none_again(make_run: MakeRun) -> None:
    session = ReplaySession.of(make_run(writes=[sent("a", "1", confirmed=False)]))
    with pytest.raises(OutcomeUnknownError):
        await session.write({"a": 1})
    assert session.effects is MachineEffects.NONE


async def test_a_run_that_executed_nothing_has_nothing_to_answer(tmp_path: Any, run_result: Any) -> None:
    folder = RunFolder.create(tmp_path, "r")
    folder.attempt(1).save_code("x")
    folder.finish(run_result(folder))
    with pytest.raises(ControlSystemError):
        await ReplaySession.of(folder).read(["a"])


@pytest.mark.parametrize(
    ("recorded", "value"),
    [
        ("1.5", 1.5),
        ("1.5", np.float32(1.5)),
        ("1.5", np.array(1.5)),
        ("2", 2.0),
        ("'On'", "On"),
        ("On", "On"),
        ("array(3,) [1.0, 2.0, 3.0]", np.array([1.0, 2.0, 3.0])),
        ("[1, 2]", [1, 2]),
        ("1e-07", 0.0000001),
    ],
)
def test_the_same_value_in_other_words(recorded: str, value: Any) -> None:
    assert same_value(recorded, value)


@pytest.mark.parametrize(("recorded", "value"), [("1.5", 1.6), ("On", "Off"), ("1", None), ("1", [1]), ("[1]", "x")])
def test_another_value(recorded: str, value: Any) -> None:
    assert not same_value(recorded, value)


async def test_the_brokers_own_words_for_values_are_understood(make_run: MakeRun) -> None:
    """What the broker journals as the text of a value is recognised, whatever the value."""
    from osprey_executor.control.broker._values import shown

    values: list[Any] = [
        1,
        1.25,
        -0.0,
        1e300,
        "On",
        "x" * 500,
        [1, 2, 3] * 9,
        np.arange(3),
        np.zeros(5000),
        np.float64(3),
    ]
    session = ReplaySession.of(make_run(writes=[sent(f"c{n}", shown(value)) for n, value in enumerate(values)]))
    for number, value in enumerate(values):
        await session.write({f"c{number}": value})
    assert session.deviations == ()
