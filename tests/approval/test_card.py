"""The card says what would happen, and its digest binds all that it says."""

from typing import Any

import pytest

from osprey_executor.analysis import analyze
from osprey_executor.approval import kinds_of, named_channels
from osprey_executor.interfaces.cli.card import card_text
from osprey_executor.models import (
    AnalysisReport,
    ChannelStart,
    ControlSystemReport,
    IsolationReport,
    Limits,
    LimitsReport,
    Plan,
    PythonExecutionRequest,
    RunStatus,
    WriteTarget,
)

from .conftest import PLAN, planned

REAL = ControlSystemReport(type="epics", real=True, writes_enabled=True)


def limited(**changes: Any) -> ControlSystemReport:
    """The control system of the cards here, with a limits database."""
    report = LimitsReport(**{"path": "/etc/limits.yml", "digest": "ab" * 32, "channels": 3} | changes)
    return ControlSystemReport(type="simulator", addresses=("127.0.0.1:5064",), writes_enabled=True, limits=report)


def targets(*channels: str | None) -> AnalysisReport:
    return AnalysisReport(writes=tuple(WriteTarget(channel=channel, line=1) for channel in channels))


@pytest.mark.parametrize(
    ("channels", "granted"),
    [
        ((), ()),
        (("A", "B", "A"), ("A", "B")),
        (("VA:*:SP",), ("VA:*:SP",)),
        (("A", None), ("*",)),
        (("A", "*"), ("*",)),
        (("A", "**.*"), ("*",)),
        (("",), ("*",)),
    ],
)
def test_what_an_approval_would_allow(channels: tuple[str | None, ...], granted: tuple[str, ...]):
    assert named_channels(targets(*channels)) == granted


def test_kinds_of_channels():
    assert kinds_of(["A:1:SP", "A:2:SP", "B:7:SP"]) == ("A:*:SP", "B:7:SP")


@pytest.mark.parametrize(
    ("code", "control", "words"),
    [
        ("x = 1", None, "Writes no channel of the simulator"),
        ("import epics\nepics.caget('A')", None, "Reads only, from the simulator"),
        ("import epics\nepics.caput('A', 1)", None, "Writes to A on the simulator"),
        ("import epics\nepics.caput('A', 1)", REAL, "Writes to A on a REAL machine (epics)"),
        (
            "import epics\nfor i in range(4): epics.caput(f'H:{i}', 1)",
            None,
            "Writes to 4 channels (H:*) on the simulator",
        ),
        (
            "import epics\nfor i in range(400): epics.caput(f'H:{i}', 1)",
            REAL,
            "Writes to 1 kind of channels (H:*) on a REAL machine (epics)",
        ),
        (
            "import epics\nepics.caput(input(), 1)",
            REAL,
            "May write to channels that nobody can name before the run, on a REAL machine (epics)",
        ),
        (
            "import epics\nepics.caput('A', 1)",
            ControlSystemReport(type="mock"),
            "Writes to A on the mock control system: writes are switched off, each would be refused",
        ),
    ],
)
def test_the_headline(make_card: Any, code: str, control: ControlSystemReport | None, words: str):
    card = make_card(code, **({"control": control} if control else {}))
    assert card.headline == words


def test_unknown_channels_stand_first_among_the_unknowns(make_card: Any):
    card = make_card("import epics\nepics.caput(input(), 1)\n")
    assert card.unknowns[0] == "Which channels are written (line 2) is only known when the program runs."
    assert named_channels(card) == ("*",)


def test_missing_proof_is_among_the_unknowns(make_card: Any):
    card = make_card(isolation=IsolationReport(level="none"))
    assert any("not proven" in told for told in card.unknowns)
    assert not any("not proven" in told for told in make_card().unknowns)


def test_an_opened_network_is_among_the_unknowns(make_card: Any):
    network = tuple(f"host{number}.lab.gov:80" for number in range(32))
    card = make_card(isolation=IsolationReport(level="full", network=network))
    [told] = [told for told in card.unknowns if "not proven" in told]
    assert ", ".join(network) in told
    text = card_text(card)
    assert all(f"open to {endpoint}" in text for endpoint in network)


@pytest.mark.parametrize(
    ("before", "unseen"),
    [
        ("runtime.encode = lambda value: 99.0", True),
        ("exec(input())", True),
        ("exec('x = 1')", False),
        ("x = 1", False),
    ],
)
def test_values_are_no_promise_where_code_is_unseen(make_card: Any, before: str, unseen: bool):
    card = make_card(f"from osprey_executor import runtime\n{before}\nruntime.write_channel('A', 1.25)\n")
    assert (
        "The values shown may be others, as parts of the program cannot be seen through." in card.unknowns
    ) is unseen
    assert ("Value as written" in card_text(card)) is unseen


def test_where_no_value_is_shown_there_is_none_to_doubt(make_card: Any):
    assert not any("values shown" in told for told in make_card("exec(input())\n").unknowns)


@pytest.mark.parametrize(
    "change",
    [
        {"code": "import epics\nepics.caput('VA:HCM:01:SP', 0.3)\n"},
        {"inputs": {"orbit.csv": "cd" * 32}},
        {"inputs": {}},
        {"isolation": IsolationReport(level="restricted", proven=True)},
        {"isolation": IsolationReport(level="full", proven=False)},
        {"isolation": IsolationReport(level="full", proven=True, network=("archiver.lab.gov:80",))},
        {"isolation": IsolationReport(level="full", proven=True, engine="container")},
        {"control": ControlSystemReport(type="epics", real=True, addresses=("127.0.0.1:5064",), writes_enabled=True)},
        {"control": ControlSystemReport(type="simulator", addresses=("127.0.0.1:5065",), writes_enabled=True)},
        {"control": ControlSystemReport(type="simulator", addresses=("127.0.0.1:5064",))},
        {"control": limited()},
        {"engine_identity": {"python": "3.12", "packages": {"numpy": "2.4.6"}}},
        {"limits": Limits(timeout=601)},
        {"request": PythonExecutionRequest(user_query="correct the orbit", requester="bob")},
        {"report": analyze("import epics\nepics.caput('B', 1)")},
        {"bound": {"context": "ef" * 32}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_is_bound_changes_the_digest(make_card: Any, change: dict[str, Any]):
    assert make_card(**change).digest != make_card().digest


@pytest.mark.parametrize(
    "change",
    [
        {"attempt": 3},
        {"reason": "another"},
        {"expiry": 60.0},
        {"request": PythonExecutionRequest(user_query="correct the orbit", requester="ada", retries=7)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_does_not_change_the_run_does_not(make_card: Any, change: dict[str, Any]):
    assert make_card(**change).digest == make_card().digest


@pytest.mark.parametrize("change", [{"digest": "cd" * 32}, {"digest": None}, {"allow_unlisted": True}, {"skip": True}])
def test_what_the_limits_database_says_is_bound_and_where_it_lies_is_not(make_card: Any, change: dict[str, Any]):
    digest = make_card(control=limited()).digest
    assert make_card(control=limited(**change)).digest != digest
    assert make_card(control=limited(path="/srv/limits.yml")).digest == digest


def test_the_limits_of_each_channel_are_shown_and_channels_of_other_limits_apart(make_card: Any):
    code = "import epics\nfor i in range(1, 5): epics.caput(f'H:{i}', 1)"
    words = {f"H:{number}": "-5 to 5, step 1" for number in range(1, 4)}
    card = make_card(code, control=limited(), channel_limits={**words, "H:4": "refused: not in the limits database"})
    lines = [line.rstrip() for line in card_text(card).splitlines()]
    first, last = (next(at for at, line in enumerate(lines) if name in line) for name in ("H:1 … H:3", "H:4 "))
    assert lines[first + 1].strip() == "-5 to 5, step 1"
    assert lines[last + 1].strip() == "refused: not in the limits database"
    assert "3 channels in /etc/limits.yml  sha256 abababababababab…" in card_text(card)
    assert "cannot be used, so every write is refused: broken" in card_text(
        make_card(control=limited(problem="broken"))
    )


def test_on_a_real_machine_missing_limits_are_among_the_unknowns(make_card: Any):
    told = "Values are bounded by the control system's own limits alone: control_system.limits_database is not set."
    assert told in make_card(control=REAL, plan=PLAN).unknowns
    assert told not in make_card(control=REAL.model_copy(update={"limits": limited().limits}), plan=PLAN).unknowns
    assert told not in make_card(plan=PLAN).unknowns


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"feedback_dependent": True, "feedback_dependent_from": 7}, "From line 7 on the program reads what"),
        ({"feedback_dependent": True}, "At some time after its first write the program reads what"),
        ({"simulated": True}, "A simulator answered in place of the machine"),
        ({"ended": RunStatus.TIMED_OUT, "error": "too long"}, "did not come to its end (timed out: too long)"),
        ({"too_many": True}, "The plan ends after 1 writes"),
        ({}, None),
    ],
)
def test_what_a_rehearsal_leaves_open(make_card: Any, changes: dict[str, Any], words: str | None):
    unknowns = make_card(plan=PLAN.model_copy(update=changes)).unknowns
    assert [words in told for told in unknowns] == [True] if words else unknowns == ()


@pytest.mark.parametrize(
    "plan",
    [
        planned(("VA:HCM:01:SP", 0.3)),
        planned(("VA:HCM:02:SP", 0.2)),
        planned(("VA:HCM:01:SP", 0.2), ("VA:HCM:01:SP", 0.2)),
        PLAN.model_copy(update={"start": {"VA:HCM:01:SP": ChannelStart(value=0.1)}}),
        PLAN.model_copy(update={"declared": {"VA:HCM:01:SP": (0.0, 1.0)}}),
        None,
    ],
)
def test_the_digest_binds_the_plan(make_card: Any, plan: Plan | None):
    assert make_card(plan=plan).digest != make_card(plan=PLAN).digest


def test_how_long_a_rehearsal_took_is_not_bound(make_card: Any):
    slower = PLAN.model_copy(update={"seconds": 9.0, "at": None})
    assert make_card(plan=slower, output="x").digest == make_card(plan=PLAN).digest


def test_the_headline_of_a_plan(make_card: Any):
    assert make_card(plan=PLAN).headline == "Writes to VA:HCM:01:SP on the simulator"
    twice = planned(*[(f"VA:HCM:{number:02d}:SP", 0.1) for number in (1, 2, 1, 2)])
    assert make_card(plan=twice, control=REAL).headline == (
        "Writes to 2 channels (VA:HCM:*:SP) in 4 writes on a REAL machine (epics)"
    )


def test_an_envelope_stands_beside_a_plan_that_depends_on_the_machine_alone(make_card: Any):
    assert make_card(plan=PLAN).envelope is None
    loop = PLAN.model_copy(update={"feedback_dependent": True})
    card = make_card(plan=loop)
    [channel] = card.envelope.channels
    assert (channel.channel, channel.low, channel.high, channel.writes) == ("VA:HCM:01:SP", -5.0, 5.0, 100)
    assert card.envelope.seconds == Limits().timeout
    assert card.envelope.digest not in (card.digest, make_card(plan=loop, limits=Limits(timeout=9)).envelope.digest)
    declared = make_card(plan=PLAN.model_copy(update={"declared": {"VA:HCM:01:SP": (0.0, 9.0)}}))
    assert (declared.envelope.channels[0].low, declared.envelope.channels[0].high) == (0.0, 5.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"start": {}, "feedback_dependent": True},
        {"declared": {"VA:HCM:01:SP": (6.0, 9.0)}},
        {"declared": {"OTHER": (0.0, 1.0)}, "start": {}},
    ],
)
def test_no_envelope_where_a_channel_has_no_range(make_card: Any, changes: dict[str, Any]):
    assert make_card(plan=PLAN.model_copy(update=changes)).envelope is None


def test_a_channel_that_could_not_be_read_is_in_no_envelope(make_card: Any):
    declared = {**PLAN.declared, "NOT:KNOWN": (0.0, 1.0), **{write.channel: (0.0, 5.0) for write in PLAN.writes}}
    envelope = make_card(plan=PLAN.model_copy(update={"declared": declared})).envelope
    assert {one.channel for one in envelope.channels} == {write.channel for write in PLAN.writes}
