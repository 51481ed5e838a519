"""The card on a real terminal's screen: readable, complete, and not repainted by what it shows."""

from typing import Any

import pyte
import pytest
from rich.console import Console

from osprey_executor.interfaces.cli.card import card_text, render_card
from osprey_executor.models import (
    ControlSystemReport,
    Finding,
    IsolationReport,
    PythonExecutionRequest,
    Refusal,
    Severity,
)

from .conftest import planned

REAL = ControlSystemReport(type="epics", real=True, writes_enabled=True)
NASTY = "\x1b[2J\x1b[1;1HAPPROVED\x1b]8;;http://evil\x07link\x1b]8;;\x07\r\b\x9b31m\u202e[bold red]boo[/bold red]\u200b"


def drawn(card: Any, width: int = 80, height: int = 3000) -> list[str]:
    console = Console(width=width, force_terminal=True, color_system="truecolor", legacy_windows=False)
    with console.capture() as captured:
        console.print(render_card(card, width=width))
    screen = pyte.Screen(width, height)
    pyte.Stream(screen).feed(captured.get().replace("\n", "\r\n"))
    return [line.rstrip() for line in screen.display]


def shown(card: Any, width: int = 80) -> str:
    return "\n".join(drawn(card, width)).rstrip()


@pytest.mark.parametrize("width", [80, 120])
def test_headline_machine_and_digest_can_be_read(make_card: Any, width: int):
    card = make_card()
    lines = drawn(card, width)
    assert any(card.headline in line for line in lines[:5])
    text = "\n".join(lines)
    for part in ("VA:HCM:01:SP", "0.2", "not real", "full (local, proven)", "ada", "mock (scripted)", card.digest):
        assert part in text
    assert f"osprey-executor approve {card.run_id}" in text
    assert "▶ 2 │ epics.caput('VA:HCM:01:SP', 0.2)" in text


def test_that_writes_are_stopped_stands_before_the_facts_and_at_the_decision(make_card: Any):
    console = Console(width=80, force_terminal=False)
    with console.capture() as captured:
        console.print(render_card(make_card(), width=80, in_the_way=[f"writes are stopped by {NASTY}"]))
    text = captured.get()
    said = "Approved now, it would write nothing: writes are stopped by"
    assert text.count(said) == 2
    assert text.index(said) < text.index("Isolation")
    assert text.rindex(said) < text.index("osprey-executor approve ")
    assert "\x1b" not in text


def test_a_real_machine_is_said_in_red(make_card: Any):
    console = Console(width=100, force_terminal=True, color_system="standard")
    with console.capture() as captured:
        console.print(render_card(make_card(control=REAL), width=100))
    assert "\x1b[1;37;41mREAL\x1b[0m" in captured.get()
    assert "\x1b[1;37;41mREAL machine\x1b[0m" in captured.get()


def test_unknown_channels_stand_before_the_table(make_card: Any):
    text = shown(make_card("import epics\nepics.caput(input(), 1)\n", control=REAL))
    assert text.index("nobody can name") < text.index("only known when the program runs") < text.index("Writes to ")


def test_what_is_heavy_stands_again_below_the_code_where_the_decision_is_made(make_card: Any):
    code = "import epics\nepics.caput(input(), 1)\n" + "x = 1\n" * 60
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(render_card(make_card(code, control=REAL), width=100, commands=False))
    below = captured.get().rpartition("│ x = 1")[2]
    assert "REAL machine  epics; writes enabled" in below
    assert "? " in below
    assert "only known when the program runs" in below
    assert "osprey-executor approve" not in below


def test_missing_proof_is_shown(make_card: Any):
    assert "containment not proven" in shown(make_card(isolation=IsolationReport(level="none")))


def test_hostile_text_everywhere_repaints_nothing(make_card: Any):
    card = make_card(
        f"import epics\nepics.caput({NASTY!r}, 1)\nx = '''{NASTY}'''\n# {NASTY}\n",
        request=PythonExecutionRequest(user_query=NASTY, requester=NASTY),
        generator=NASTY,
        reason=NASTY,
        inputs={NASTY: "ab" * 32},
        control=ControlSystemReport(type=NASTY, real=True, addresses=(NASTY,)),
        isolation=IsolationReport(level=NASTY, engine=NASTY),
    ).model_copy(
        update={
            "limits": {NASTY: NASTY},
            "headline": NASTY,
            "unknowns": (NASTY,),
            "findings": (Finding(rule=NASTY, line=1, column=1, severity=Severity.ERROR, message=NASTY),),
        }
    )
    console = Console(width=80, force_terminal=True, color_system="truecolor")
    with console.capture() as captured:
        console.print(render_card(card, width=80))
    raw = captured.get()
    assert "\x1b[2J" not in raw
    assert "\x1b]8" not in raw
    assert not {"\x07", "\x08", "\r", "\x9b", "\u202e", "\u200b"} & set(raw)
    text = shown(card)
    assert text.startswith("┏━  Approval needed: 20261123-151200-3f9a")
    assert "[bold red]boo[/bold red]" in text.replace("\n", "")
    assert "\\x1b[2J" in text


def test_canary_without_the_escapes_the_screen_is_repainted():
    screen = pyte.Screen(80, 5)
    pyte.Stream(screen).feed("card" + NASTY)
    assert "card" not in screen.display[0]


def test_a_long_line_is_folded_and_what_is_left_out_is_said(make_card: Any):
    card = make_card("x = '" + "a" * 10_000 + "'\n" + "y = 1" + " " * 500 + "; import os\n")
    lines = drawn(card)
    assert max(len(line) for line in lines) <= 80
    assert "more characters of this line not shown" in "\n".join(lines)
    assert "⟨500 spaces⟩  ; import os" in "\n".join(lines)


def test_long_code_is_shown_around_its_findings(make_card: Any):
    code = "import epics\n" + "x = 1\n" * 2500 + "epics.caput('FAR:SP', 1)\n" + "y = 2\n" * 2500
    lines = drawn(make_card(code))
    text = "\n".join(lines).rstrip()
    assert text.count("\n") < 120
    assert "2502 │ epics.caput('FAR:SP', 1)" in text
    assert "lines not shown here" in text
    assert "Code, 5002 lines" in text


def test_many_channels_stay_one_screen(make_card: Any):
    names = [f"SR:C{number:03d}:HCM:SP" for number in range(200)]
    card = make_card(f"import epics\nfor name in {names!r}:\n    epics.caput(name, 0)\n")
    lines = drawn(card, 100)
    place = next(number for number, line in enumerate(lines) if "Machine" in line)
    assert place < 24
    assert any("SR:C000:HCM:SP … SR:C199:HCM:SP" in line and "200" in line for line in lines)


def test_wide_characters_keep_the_frame(make_card: Any):
    card = make_card("名前 = '" + "電流" * 200 + "'\n", request=PythonExecutionRequest(user_query="電流" * 100))
    for line in drawn(card):
        assert not line.startswith("┃") or line.endswith("┃")


@pytest.mark.parametrize("width", [1, 20, 41, 300])
def test_any_width(make_card: Any, width: int):
    assert "approve" in card_text(make_card(), width=width)


def test_plain_text_has_no_escapes(make_card: Any):
    text = card_text(make_card(), width=100)
    assert "\x1b" not in text
    assert "Writes to VA:HCM:01:SP on the simulator" in text


def test_a_plan_is_shown_write_by_write_with_what_it_changes(make_card: Any):
    text = shown(make_card(plan=planned(("VA:HCM:01:SP", 0.2), ("VA:HCM:01:SP", -0.3))), 100)
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "1 VA:HCM:01:SP 0 A 0.2 A +0.2 -5 to 5 ¹ 2" in rows
    assert "2 VA:HCM:01:SP 0 A -0.3 A -0.3 -5 to 5 ¹ 2" in rows
    assert "¹ the control system's own limits" in rows
    assert any(row.startswith("Rehearsal, machine not moved") for row in rows)
    assert "osprey-executor approve 20261123-151200-3f9a write exactly this plan" in rows
    assert "Or approve this envelope" not in text


@pytest.mark.parametrize("width", [80, 120])
def test_of_many_writes_each_channel_has_one_row_and_no_number_is_broken(make_card: Any, width: int):
    names = [f"VA:HCM:{number:02d}:SP" for number in range(1, 17)]
    plan = planned(*((name, value) for value in (0.2, -0.123456) for name in names), feedback_dependent=True)
    lines = drawn(make_card(plan=plan), width)
    rows = [line.split() for line in lines if line.startswith(" VA:HCM:") and "…" not in line.split()[1]]
    assert [row[0] for row in rows] == names
    for row in rows:
        assert row[1:5] == ["0", "A", "-0.12346", "-0.1235"]
        assert ("…" in row) is (width == 120)
    assert any("VA:HCM:01:SP … VA:HCM:16:SP" in line and "100" in line for line in lines)
    assert any("--envelope" in line for line in lines)


def test_what_would_be_refused_stands_beside_the_plan(make_card: Any):
    refused = Refusal(channel="B:SP", value="9", reason="above max_value 5", rule="max_value")
    text = shown(make_card(plan=planned(("A:SP", 0.2)).model_copy(update={"refused": (refused,)})), 100)
    assert "Refused whoever approves:" in text
    assert "B:SP = 9: above max_value 5" in text
