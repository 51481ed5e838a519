"""The shipped example programs do what they say, on the virtual accelerator, through the broker."""

from __future__ import annotations

import ast
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.analysis import analyze
from osprey_executor.control import Broker, UnattendedPermit, effects_of
from osprey_executor.errors import WriteRefused
from osprey_executor.models import Effect, MachineEffects

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXAMPLES = resources.files("osprey_executor.examples")
NAMES = ["orbit_correction.py", "read_channels.py", "write_one_channel.py"]
SETPOINTS = [f"VA:{plane}CM:{i:02d}:SP" for plane in "HV" for i in range(1, 17)]


def source(name: str) -> str:
    return EXAMPLES.joinpath(name).read_text(encoding="utf-8")


async def put_back(simulator: Broker) -> None:
    for name in SETPOINTS:
        await simulator.connector.write(name, 0.0)


async def test_the_demo_corrects_the_orbit(simulator: Broker, journal: Path, guest: Any) -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    session = simulator.session(run_id="r1", permit=UnattendedPermit(), journal=journal)
    program = guest(session)
    try:
        world = await program.run(source("orbit_correction.py"))
        results = world["results"]
        assert results["rms_x_after_um"] < results["rms_x_before_um"] / 20
        assert results["rms_y_after_um"] < results["rms_y_before_um"] / 3
        assert results["response_x_mm_per_a"].shape == (36, 16)
        assert {write.channel for write in session.writes} == set(SETPOINTS)
        assert session.effects is effects_of(journal) is MachineEffects.WRITTEN
        assert len(plt.get_fignums()) == 1
        fractions = [fraction for fraction, _ in program.progress]
        assert fractions == sorted(fractions)
        assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    finally:
        plt.close("all")
        plt.rcdefaults()
        await put_back(simulator)


async def test_an_interrupted_measurement_puts_its_corrector_back(
    simulator: Broker, journal: Path, guest: Any, permit: Any
) -> None:
    """The approval has the horizontal correctors only: the first vertical one ends the program."""
    horizontal = permit(frozenset(name for name in SETPOINTS if ":HCM:" in name))
    session = simulator.session(run_id="r1", permit=horizontal, journal=journal)
    try:
        with pytest.raises(WriteRefused, match="VA:VCM:01:SP"):
            await guest(session).run(source("orbit_correction.py"))
        assert [write.value for write in session.writes] == ["0.2", "-0.2", "0.0"]
        assert (await simulator.connector.read(["VA:HCM:01:SP"]))["VA:HCM:01:SP"].value == 0.0
    finally:
        await put_back(simulator)


async def test_reading_writes_nothing(simulator: Broker, journal: Path, guest: Any) -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    session = simulator.session(run_id="r1", permit=None, journal=journal)
    world = await guest(session).run(source("read_channels.py"))
    plt.close("all")
    assert world["results"]["rms_x_um"] > 100
    assert (session.writes, session.refusals, session.effects) == ((), (), MachineEffects.NONE)
    assert not journal.exists()


async def test_writing_one_channel(simulator: Broker, journal: Path, guest: Any) -> None:
    session = simulator.session(run_id="r1", permit=UnattendedPermit(), journal=journal)
    try:
        world = await guest(session).run(source("write_one_channel.py"))
        assert world["results"]["read_back_a"] == world["results"]["setpoint_a"] == 0.1
        assert world["results"]["x_before_mm"] != world["results"]["x_after_mm"]
    finally:
        await put_back(simulator)


async def test_the_analysis_sees_which_channels_the_demo_writes() -> None:
    report = analyze(source("orbit_correction.py"))
    assert {target.channel for target in report.writes} == set(SETPOINTS)
    assert report.effects == {Effect.CONTROL_READ, Effect.CONTROL_WRITE}


@pytest.mark.parametrize("name", NAMES)
async def test_they_use_only_what_every_sandbox_has(name: str) -> None:
    tree = ast.parse(source(name), feature_version=(3, 9))
    imports = {
        (node.module or "").split(".")[0] if isinstance(node, ast.ImportFrom) else node.names[0].name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imports <= {"osprey_executor", "numpy", "matplotlib", "time"}


async def test_the_demo_says_that_it_is_scripted() -> None:
    assert "scripted example" in (ast.get_docstring(ast.parse(source("orbit_correction.py"))) or "")


async def test_all_are_known_here() -> None:
    shipped = {entry.name for entry in EXAMPLES.iterdir() if entry.name.endswith(".py")}
    assert shipped == {*NAMES, "__init__.py"}
