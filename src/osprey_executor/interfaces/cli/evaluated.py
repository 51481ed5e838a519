"""An evaluation, as a person and a program read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from osprey_executor.text import one_line

if TYPE_CHECKING:
    from osprey_executor.evaluation import GeneratorReport, Report


def report_table(report: Report) -> Table:
    """Return one row a generator."""
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    table.add_column("generator", ratio=1, overflow="fold")
    for name in ("first try", "in the end", "cost", "time a task"):
        table.add_column(name, no_wrap=True, justify="right")
    for each in report.generators:
        cost = "unknown" if each.cost is None else f"{each.cost:.4f} USD"
        table.add_row(
            Text(one_line(each.label or each.name)),
            Text(_share(each, each.first_try)),
            Text(_share(each, each.passed)),
            Text(cost),
            Text(f"{each.seconds:.1f} s"),
        )
    return table


def failures(report: Report) -> Text:
    """Return what failed and why, each task once a generator."""
    lines = Text()
    for each in report.generators:
        label = one_line(each.label or each.name)
        failed: dict[str, list[str]] = {}
        for run in each.tasks:
            if not run.passed:
                failed.setdefault(run.id, []).append("; ".join(run.problems))
        for id, why in failed.items():
            times = f" ({len(why)} times)" if len(why) > 1 else ""
            lines.append(f"{label}: {id} failed{times}: {one_line(why[-1], 400)}\n")
        if each.stopped:
            lines.append(f"{label}: ended early: {one_line(each.stopped, 400)}\n", style="bold red")
    lines.rstrip()
    return lines


def document(report: Report) -> dict[str, Any]:
    """Return the report as JSON data, with its counts."""
    data = report.model_dump(mode="json")
    for told, each in zip(data["generators"], report.generators, strict=True):
        counts = {"first_try": each.first_try, "passed": each.passed, "of": len(each.tasks)}
        told |= counts | {"cost": each.cost, "seconds": each.seconds}
    return data


def _share(each: GeneratorReport, count: int) -> str:
    of = len(each.tasks)
    return f"{count}/{of} ({100 * count / of:.0f} %)" if of else "none run"
