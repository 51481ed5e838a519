"""The approval card in a terminal: what would happen first, then where, on which machine, and what nobody knows.

All text of code, models and channels is made visible and set as plain `Text`; none of it is ever read as markup.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from osprey_executor.interfaces.cli.card_code import code_listing
from osprey_executor.interfaces.cli.card_plan import plan_section
from osprey_executor.interfaces.cli.names import run_of_names, without_numbers
from osprey_executor.interfaces.cli.summary import not_now
from osprey_executor.models import Verdict
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from osprey_executor.models import ApprovalCard, ControlSystemReport, LimitsReport, WriteTarget

_LEAST_WIDTH: Final = 40
_WIDE_ENOUGH: Final = 70
_MOST_ROWS: Final = 24
_MOST_UNKNOWNS: Final = 8
_MOST_REPEATED: Final = 3
_MOST_INPUTS: Final = 8
_MOST_RULES: Final = 16
_HEAVY: Final = ("Containment is not proven", "Which channels are written", "The rehearsal did not", "The plan ends")


def render_card(
    card: ApprovalCard, *, width: int, commands: bool = True, in_the_way: Sequence[str] = ()
) -> RenderableType:
    """Return the card for a terminal.

    Args:
        card: to be shown.
        width: of the terminal, in columns.
        commands: whether to name those that decide, where nothing asks next.
        in_the_way: why an approval would write nothing at this moment.
    """
    width = max(width, _LEAST_WIDTH)
    parts: list[RenderableType] = [_top(card, width)]
    stopped = [Text(not_now(one), style="bold white on red") for one in in_the_way]
    if stopped:
        parts.append(Padding(Group(*stopped), (1, 1, 0, 1)))
    if card.unknowns:
        parts.append(_unknowns(card))
    if card.plan:
        told = plan_section(card.plan, width=width, envelope=card.envelope, output=card.output, figures=card.figures)
        parts.append(told)
    elif card.writes:
        parts.append(_writes(card, width))
    parts += [
        _facts(card),
        code_listing(card.code, card.findings, width),
        _bottom(card, width, stopped, commands=commands),
    ]
    return Group(*parts)


def card_text(card: ApprovalCard, *, width: int = 100, commands: bool = True) -> str:
    """Return the card as plain text, without colours; `commands` as for `render_card`."""
    width = max(width, _LEAST_WIDTH)
    console = Console(width=width, color_system=None, force_terminal=False, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(render_card(card, width=width, commands=commands))
    return captured.get()


def _alarm(card: ApprovalCard) -> str:
    unknown = not card.plan and any(not target.known for target in card.writes)
    if card.control_system.real and (
        card.plan or card.writes or card.verdict is not Verdict.ALLOW or not card.isolation.proven
    ):
        return "red"
    return "yellow" if unknown or card.plan or card.verdict is not Verdict.ALLOW else "green"


def _top(card: ApprovalCard, width: int) -> RenderableType:
    colour = _alarm(card)
    said = Text(one_line(card.headline, 400), style=f"bold {colour}")
    _loud(said, "REAL")
    said.append(f"\nTask: {one_line(card.task, 300)}", style="default not bold")
    said.append(f"\nAsked because: {one_line(card.reason, 300)}", style="default not bold")
    title = Text(f" Approval needed: {one_line(card.run_id, 40)} ", style=f"bold {colour}")
    return Panel(said, title=title, title_align="left", border_style=colour, box=box.HEAVY, padding=(1, 2), width=width)


def _loud(text: Text, word: str) -> None:
    for start in (at for at in range(len(text.plain)) if text.plain.startswith(word, at)):
        text.stylize("bold white on red", start, start + len(word))


def _unknowns(card: ApprovalCard) -> RenderableType:
    rows = Table.grid(padding=(0, 1))
    rows.add_column(width=1)
    rows.add_column(overflow="fold")
    rows.add_row(
        "", Text("What a rehearsal cannot tell" if card.plan else "What nobody can tell before the run", style="bold")
    )
    for told in card.unknowns[:_MOST_UNKNOWNS]:
        heavy = _heavy(told)
        rows.add_row(
            Text("?", style="bold red" if heavy else "bold yellow"),
            Text(one_line(told, 400), style="bold red" if heavy else ""),
        )
    if len(card.unknowns) > _MOST_UNKNOWNS:
        rows.add_row("", Text(f"and {len(card.unknowns) - _MOST_UNKNOWNS} more", style="dim"))
    return Padding(rows, (1, 1, 0, 1))


def _heavy(told: str) -> bool:
    return told.startswith(_HEAVY)


def _writes(card: ApprovalCard, width: int) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False, expand=width < 100)
    table.add_column("Writes to", overflow="fold", ratio=3, min_width=12)
    table.add_column("Channels", justify="right")
    # Code that nobody has seen may change what a call in plain sight sends.
    value = "Value as written" if any(finding.unseen for finding in card.findings) else "Value"
    table.add_column(value, overflow="fold", ratio=3)
    table.add_column("Line", justify="right", min_width=4)
    rows = _rows(card.writes, card.limits)
    for row in rows[:_MOST_ROWS]:
        table.add_row(*row)
    if len(rows) > _MOST_ROWS:
        table.add_row(Text(f"and {len(rows) - _MOST_ROWS} more rows", style="bold red"))
    return Padding(table, (1, 1, 0, 1))


def _rows(writes: tuple[WriteTarget, ...], limits: dict[str, str]) -> list[tuple[Text, Text, Text, Text]]:
    """Return a row for each value that is written; channels that share lines, values and limits share the rows."""
    places: dict[tuple[str | None, int], dict[str | None, None]] = {}
    for target in writes:
        channel = target.channel if target.known else None
        places.setdefault((target.value, target.line), {})[channel] = None
    rows_of: dict[tuple[str | None, ...], list[tuple[str | None, int]]] = {}
    for (value, line), channels in places.items():
        kinds: dict[tuple[str, str], list[str | None]] = {}
        for channel in channels:
            kind = without_numbers(channel or ""), limits.get(channel or "", "")
            kinds.setdefault(kind, []).append(channel)
        for members in kinds.values():
            rows_of.setdefault(tuple(members), []).append((value, line))
    rows: list[tuple[Text, Text, Text, Text]] = []
    for channels, uses in rows_of.items():
        lines_of: dict[str | None, list[int]] = {}
        for value, line in uses:
            lines_of.setdefault(value, []).append(line)
        for number, (value, lines) in enumerate(lines_of.items()):
            name, count = (_name(channels), Text(_count(channels))) if not number else (Text(""), Text(""))
            if not number and (words := limits.get(channels[0] or "")):
                name.append(
                    f"\n{one_line(words, 160)}", style="bold red" if words.startswith("refused") else "dim not bold"
                )
            told = Text("not in the call", style="dim") if value is None else Text(one_line(value, 120))
            rows.append((name, count, told, Text(", ".join(str(line) for line in lines[:6]))))
    return rows


def _count(channels: tuple[str | None, ...]) -> str:
    return "?" if any(channel is None or "*" in channel for channel in channels) else str(len(channels))


def _name(channels: tuple[str | None, ...]) -> Text:
    names = [channel for channel in channels if channel is not None]
    return run_of_names(names) if names else Text("ANY channel: not known before the run", style="bold red")


def _facts(card: ApprovalCard) -> RenderableType:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("Machine", _machine(card.control_system))
    proven = card.isolation.proven
    isolation = card.isolation.model_copy(update={"network": ()})
    rows.add_row("Isolation", Text(one_line(str(isolation), 120), style="green" if proven else "bold red"))
    for number, endpoint in enumerate(card.isolation.network):
        rows.add_row("" if number else "Network", Text(f"open to {one_line(endpoint, 300)}", style="bold red"))
    if card.control_system.limits is not None:
        rows.add_row("Limits", _limits(card.control_system.limits))
    effects = ", ".join(sorted(effect.replace("_", " ") for effect in card.effects)) or "none found"
    rows.add_row("Effects", Text(effects))
    for name, digest in list(card.inputs.items())[:_MOST_INPUTS]:
        rows.add_row("Input", Text(f"{one_line(name, 80)}  sha256 {digest[:16]}…"))
    if len(card.inputs) > _MOST_INPUTS:
        rows.add_row("", Text(f"and {len(card.inputs) - _MOST_INPUTS} more inputs"))
    for number, rule in enumerate(card.rules[:_MOST_RULES]):
        rows.add_row("" if number else "Rules", Text(one_line(rule, 300), style="bold" if "AT ONCE" in rule else ""))
    if len(card.rules) > _MOST_RULES:
        rows.add_row("", Text(f"and {len(card.rules) - _MOST_RULES} more rules: show it with --json"))
    rows.add_row("Asked for by", Text(one_line(card.requester, 80)))
    rows.add_row("Written by", Text(f"{one_line(card.generator, 80)}, attempt {card.attempt}"))
    if card.approval:
        style = "bold yellow" if card.approval.startswith("advisory") else ""
        rows.add_row("Approval", Text(one_line(card.approval, 300), style=style))
    if card.persons > 1:
        given = "".join(f": {one_line(one.by, 60)}" for one in card.approved_by)
        words = f"{len(card.approved_by)} of {card.persons}{given}; none may be the requester"
        rows.add_row("Persons", Text(words, style="bold"))
    rows.add_row("Digest", Text(card.digest, style="dim"))
    rows.add_row("Expires", Text(_when(card.expires_at)))
    return Padding(rows, (1, 1, 1, 1))


def _machine(control: ControlSystemReport) -> Text:
    machine = Text("REAL machine", style="bold white on red") if control.real else Text("not real", style="green")
    where = f" at {', '.join(one_line(address, 60) for address in control.addresses[:4])}" if control.addresses else ""
    writes = "enabled" if control.writes_enabled else "switched off"
    return Text.assemble(machine, f"  {one_line(control.type, 60)}{where}; writes {writes}")


def _limits(limits: LimitsReport) -> Text:
    if limits.problem is not None:
        return Text(f"cannot be used, so every write is refused: {one_line(limits.problem, 300)}", style="bold red")
    unlisted = "; channels not listed are allowed" if limits.allow_unlisted else ""
    return Text(f"{limits.counted} in {one_line(limits.path, 200)}  sha256 {(limits.digest or '')[:16]}…{unlisted}")


def _when(moment: datetime) -> str:
    local = moment.astimezone()
    return f"{local:%Y-%m-%d %H:%M} {local.tzname() or ''}".rstrip()


def _bottom(card: ApprovalCard, width: int, stopped: Sequence[Text], *, commands: bool) -> RenderableType:
    """Return what must be in sight where the decision is made, however long the code above is."""
    run = one_line(card.run_id, 40)
    text = Text(one_line(card.headline, 400), style=f"bold {_alarm(card)}")
    _loud(text, "REAL")
    told: list[RenderableType] = [text, Text.assemble("Machine: ", _machine(card.control_system)), *stopped]
    heaviest = [unknown for unknown in card.unknowns if _heavy(unknown)] or list(card.unknowns[:1])
    told += [
        Text(f"? {one_line(unknown, 400)}", style="bold red" if _heavy(unknown) else "bold yellow")
        for unknown in heaviest[:_MOST_REPEATED]
    ]
    if not commands:
        return Padding(Group(*told), (1, 1, 1, 1))
    rows = Table.grid(padding=(0, 2))
    rows.add_column(overflow="fold", no_wrap=width >= _WIDE_ENOUGH)
    rows.add_column(style="dim", overflow="fold")
    exactly = "write exactly this plan" if card.plan else "let it start; a write is asked about again"
    within = [(f"osprey-executor approve {run} --envelope", "write within the envelope")] if card.envelope else []
    for command, means in (
        (f"osprey-executor approve {run}", exactly),
        *within,
        (f"osprey-executor edit {run}", "change the code; it is asked again"),
        (f"osprey-executor reject {run}", "do not run it"),
    ):
        rows.add_row(Text(command, style="bold"), Text(means))
    return Padding(Group(*told, rows), (1, 1, 1, 1))
