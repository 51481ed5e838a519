"""Past values: the EPICS Archiver Appliance over HTTP, and made-up ones; capped, and errors by name."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.control.appliance import Appliance, serve

from osprey_executor.config import config_from
from osprey_executor.control import EpicsArchiver, MockArchiver, MockConnector, open_control
from osprey_executor.control.broker import _archive
from osprey_executor.control.connectors import epics_archiver
from osprey_executor.errors import ConfigurationError, ControlSystemError, NotSupportedError

START = datetime(2026, 1, 31, 8, tzinfo=UTC)
END = START + timedelta(hours=1)
T0 = START.timestamp()


@pytest.fixture
def appliance() -> Iterator[Appliance]:
    with serve() as served:
        served.samples["SR:DCCT"] = [(T0 - 60, 499.0, 0), (T0 + 0.25, 500.0, 0), (T0 + 1800, 501.0, 1)]
        yield served


async def test_what_the_appliance_has(appliance: Appliance) -> None:
    found = (await EpicsArchiver(appliance.url).history(["SR:DCCT"], START, END))["SR:DCCT"]
    assert found.values.tolist() == [499.0, 500.0, 501.0]
    assert found.times[1] == np.datetime64("2026-01-31T08:00:00.250000000")
    assert (found.times.dtype, found.severities.tolist(), found.units) == (np.dtype("M8[ns]"), [0, 0, 1], "mA")
    (asked,) = appliance.asked
    assert (asked["from"], asked["to"]) == ("2026-01-31T08:00:00.000Z", "2026-01-31T09:00:00.000Z")
    assert asked["redirect"] == "false"


async def test_the_appliance_takes_the_mean_over_bins(appliance: Appliance) -> None:
    found = await EpicsArchiver(appliance.url).history(["SR:DCCT"], START, END, 600.0)
    assert appliance.asked[0]["pv"] == "mean_600(SR:DCCT)"
    assert found["SR:DCCT"].values.tolist() == [499.0, 500.0, 501.0]
    assert found["SR:DCCT"].times[1] == np.datetime64("2026-01-31T08:05:00")


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["On", "Off"], ["On", "Off"]),
        ([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]]),
        ([[1.0], [3.0, 4.0]], [[1.0], [3.0, 4.0]]),
        ([1, float("nan")], [1.0, None]),
    ],
)
async def test_values_of_every_kind(appliance: Appliance, values: list[Any], found: list[Any]) -> None:
    appliance.samples["A"] = [(T0 + at, value, 0) for at, value in enumerate(values)]
    seen = (await EpicsArchiver(appliance.url).history(["A"], START, END))["A"].values
    plain = [value.tolist() if hasattr(value, "tolist") else value for value in seen]
    assert [None if value != value else value for value in plain] == found


async def test_a_channel_without_values_is_empty(appliance: Appliance) -> None:
    appliance.answer = b"[]"
    found = await EpicsArchiver(appliance.url).history(["A"], START, END)
    assert (len(found["A"].times), found["A"].values.dtype) == (0, np.dtype("f8"))


async def test_an_unknown_channel_is_named(appliance: Appliance) -> None:
    with pytest.raises(ControlSystemError, match="SR:NOBODY: the archiver has no such channel"):
        await EpicsArchiver(appliance.url).history(["SR:DCCT", "SR:NOBODY"], START, END)


async def test_a_redirect_is_refused(appliance: Appliance) -> None:
    with serve() as other:
        appliance.status, appliance.headers = 302, {"Location": f"{other.url}/retrieval/data/getData.json"}
        with pytest.raises(ControlSystemError, match="points elsewhere"):
            await EpicsArchiver(appliance.url).history(["SR:DCCT"], START, END)
        assert (len(appliance.asked), other.asked) == (1, [])


async def test_an_endless_answer_is_cut_off(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epics_archiver, "_MOST_BYTES", 3 * 2**20)
    appliance.endless = True
    with pytest.raises(ControlSystemError, match="SR:DCCT: more than 3 MiB of history: ask for less"):
        await EpicsArchiver(appliance.url).history(["SR:DCCT"], START, END)


async def test_silence_ends(appliance: Appliance) -> None:
    appliance.silent = threading.Event()
    with pytest.raises(ControlSystemError, match=r"did not answer within 0\.3 s"):
        await EpicsArchiver(appliance.url, timeout=0.3).history(["SR:DCCT"], START, END)


@pytest.mark.parametrize(
    "body",
    [
        *(b"<html>", b"{}", b"[1]", b'[{"meta": {}}]', b'[{"meta": {}, "data": [{"secs": "x", "val": 1}]}]'),
        *(b'[{"meta": {}, "data": [{"secs": 1e300, "val": 1}]}]', b"[" * 100_000),
        b'[{"meta": {}, "data": [{"secs": 1, "val": ["x"]}]}]',
    ],
)
async def test_nonsense_is_told_as_such(appliance: Appliance, body: bytes) -> None:
    appliance.answer = body
    with pytest.raises(ControlSystemError, match=r"A: the archiver .* answered what is no history"):
        await EpicsArchiver(appliance.url).history(["A"], START, END)


async def test_errors_of_the_appliance(appliance: Appliance) -> None:
    appliance.status = 503
    with pytest.raises(ControlSystemError, match="answered with HTTP 503"):
        await EpicsArchiver(appliance.url).history(["SR:DCCT"], START, END)
    with pytest.raises(ControlSystemError, match="cannot be asked"):
        await EpicsArchiver("http://127.0.0.1:9").history(["SR:DCCT"], START, END)
    with pytest.raises(ConfigurationError, match=r"archiver\.epics_archiver\.url is not set"):
        await EpicsArchiver(None).history(["SR:DCCT"], START, END)


async def test_an_archiver_has_the_past_alone(appliance: Appliance) -> None:
    for archiver in (EpicsArchiver(appliance.url), MockArchiver()):
        live = (archiver.read(["A"]), archiver.write("A", 1), archiver.call("A", {}), anext(archiver.monitor(["A"])))
        for attempt in live:
            with pytest.raises(NotSupportedError, match="archiver"):
                await attempt


async def test_made_up_history_is_the_same_everywhere() -> None:
    one, other = [(await machine.history(["A"], START, END))["A"] for machine in (MockConnector(), MockArchiver())]
    assert one.values.tolist() == other.values.tolist()
    assert one.times.tolist() == other.times.tolist()
    assert (len(one.times), one.times[0]) == (3601, np.datetime64("2026-01-31T08:00:00"))
    # The first three values of one channel, so that no version changes them unnoticed.
    assert [round(value, 6) for value in one.values[:3].tolist()] == [33.083846, 33.091157, 33.098455]


async def test_made_up_history_ends_in_what_was_written() -> None:
    machine, before = MockConnector(), datetime.now(UTC) - timedelta(minutes=5)
    await machine.write("A:SP", 77.0)
    now = datetime.now(UTC)
    for channel in ("A:SP", "A:RB"):
        past = (await machine.history([channel], before, now - timedelta(minutes=1)))[channel]
        assert 77.0 not in past.values
        machine._written[channel].appendleft((now.timestamp() - 60, 76.0))
        found = (await machine.history([channel], before, now + timedelta(hours=1)))[channel]
        assert found.values[-2] == 76.0
        assert found.times[-1] <= np.datetime64(datetime.now(UTC).replace(tzinfo=None))


async def history(config: dict[str, Any], tmp_path: Path, *names: str, **asked: Any) -> Any:
    async with open_control(config_from(config)) as broker:
        session = broker.session(run_id="r", permit=None, journal=tmp_path / "j")
        return await session.history(names, **{"start": START, "end": END, **asked})


async def test_the_broker_asks_what_the_configuration_names(appliance: Appliance, tmp_path: Path) -> None:
    archiver = {"type": "epics_archiver", "epics_archiver": {"url": appliance.url}}
    found = await history({"archiver": archiver}, tmp_path, "SR:DCCT.VAL")
    assert found["SR:DCCT.VAL"].values.tolist() == [499.0, 500.0, 501.0]
    assert (await history({}, tmp_path, "SR:DCCT"))["SR:DCCT"].units == "mA"
    assert (await history({"archiver": {"type": "mock_archiver"}}, tmp_path, "SR:DCCT"))["SR:DCCT"].units == "mA"
    epics = {"type": "epics", "epics": {"address_list": ["127.0.0.1:9"]}}
    with pytest.raises(NotSupportedError, match=r"set archiver\.type to epics_archiver"):
        await history({"control_system": epics}, tmp_path, "SR:DCCT")
    made_up = await history({"control_system": epics, "archiver": {"type": "mock_archiver"}}, tmp_path, "SR:DCCT")
    assert len(made_up["SR:DCCT"].times) == 3601


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"start": START.replace(tzinfo=None)}, "need a time zone"),
        ({"end": START}, "the start comes first"),
        ({"start": datetime(1990, 1, 1, tzinfo=UTC)}, "at most 3660"),
        ({"bin": 0.5}, "whole seconds"),
        ({"bin": float("nan")}, "whole seconds"),
        ({"start": START - timedelta(days=3600), "bin": 1.0}, "longer bin"),
    ],
)
async def test_what_is_no_usable_question(asked: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ControlSystemError, match=message):
        await history({}, tmp_path, "A", **asked)


async def test_channels_and_values_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ControlSystemError, match="101 channels in one call: at most 100"):
        await history({}, tmp_path, *map(str, range(101)))
    with pytest.raises(ControlSystemError, match="not a channel name"):
        await history({}, tmp_path, "mean_60(A) B")
    monkeypatch.setattr(_archive, "MOST_VALUES", 7000)
    with pytest.raises(ControlSystemError, match="B: more than 7000 values in one call"):
        await history({}, tmp_path, "A", "B")


async def test_what_may_not_be_read_has_no_past_either(tmp_path: Path) -> None:
    database = tmp_path / "limits.yml"
    database.write_text("defaults: {}\nSECRET: {readable: false}\nOPEN: {min_value: 0, max_value: 1}\n")
    config = {"control_system": {"limits_database": str(database)}}
    assert len((await history(config, tmp_path, "OPEN"))["OPEN"].times) == 3601
    with pytest.raises(ControlSystemError, match="SECRET: cannot be read"):
        await history(config, tmp_path, "OPEN", "SECRET")
