"""A notebook as text and pictures: nothing in it is Markdown or HTML here, so nothing in it can run."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

_MOST: Final = 64 << 20
_MOST_CELLS: Final = 500
_MOST_TEXT: Final = 200_000
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")


@dataclass(frozen=True)
class Cell:
    """A cell: `kind` is `code`, `markdown` or `raw`; an output is its kind, `text` or `picture`, and what it holds."""

    kind: str
    source: str
    outputs: tuple[tuple[str, str], ...]


def notebook_cells(path: Path) -> tuple[Cell, ...] | None:
    """Return the cells of a notebook; None: it is none."""
    try:
        with path.open("rb") as file:
            notebook: Any = json.loads(file.read(_MOST))
        return tuple(_cell(dict(cell)) for cell in list(notebook["cells"])[:_MOST_CELLS])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _cell(cell: dict[str, Any]) -> Cell:
    outputs = cast("list[Any]", cell.get("outputs") or [])
    shown = [piece for output in outputs[:_MOST_CELLS] for piece in _output(dict(output))]
    return Cell(str(cell.get("cell_type")), _text(cell.get("source")), tuple(shown))


def _output(output: dict[str, Any]) -> list[tuple[str, str]]:
    if output.get("output_type") == "stream":
        return [("text", _text(output.get("text")))]
    if output.get("output_type") == "error":
        return [("text", "\n".join(_text(line) for line in output.get("traceback") or [output.get("evalue")]))]
    data = dict(output.get("data") or {})
    picture = data.get("image/png")
    if isinstance(picture, str) and _BASE64.fullmatch(picture):
        return [("picture", "data:image/png;base64," + "".join(picture.split()))]
    return [("text", _text(data["text/plain"]))] if "text/plain" in data else []


def _text(source: Any) -> str:
    lines = cast("list[Any]", source) if isinstance(source, list) else [source if source is not None else ""]
    return "".join(str(line) for line in lines)[:_MOST_TEXT]
