"""Cards and results inline. All text of code, models and channels is escaped; figures are pictures and nothing else."""

from __future__ import annotations

from html import escape
from typing import Any

import IPython.display as ipython

from osprey_executor.interfaces.cli.card import card_text
from osprey_executor.models import ApprovalCard, RunResult
from osprey_executor.text import visible

_LARGEST_FIGURE = 10 << 20
"""Bytes."""
_IPYTHON: Any = ipython  # whose types are partly unknown


def show_card(card: ApprovalCard) -> None:
    """Show a card, and the lines that decide it."""
    lines = [f"%osprey approve {card.digest[:12]}"]
    if card.envelope:
        lines.append(
            f"%osprey approve {card.envelope.digest[:12]}   (the envelope: any order, any value in its ranges)"
        )
    lines += ["%osprey reject REASON", "%%osprey edit"]
    _pre(card_text(card, width=110, commands=False) + "\nDecide in the next cell:\n    " + "\n    ".join(lines))
    _figures(card.figures)


def show_result(result: RunResult) -> None:
    """Show how a run ended: what it printed, its figures, its results."""
    if result.stdout:
        _pre(visible(result.stdout))
    if result.stderr:
        _pre(visible(result.stderr))
    _figures(result.figures)
    _IPYTHON.display(result)


def _pre(text: str) -> None:
    html = f'<pre style="white-space: pre-wrap">{escape(text)}</pre>'
    _IPYTHON.display({"text/plain": text, "text/html": html}, raw=True)


def _figures(paths: Any) -> None:
    for path in paths:
        if path.suffix == ".png" and path.is_file() and not path.is_symlink() and path.stat().st_size < _LARGEST_FIGURE:
            _IPYTHON.display(_IPYTHON.Image(data=path.read_bytes(), format="png"))
