"""A run as a notebook: banner, replay cell, the source as it ran, its outputs, its results.

The format is nbformat 4.5, written as plain JSON: a library that checks each cell against the schema takes longer than
a small run, and what is written here has one shape, which the tests check against the schema.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from osprey_executor.results import _files
from osprey_executor.results.banner import Shown, banner
from osprey_executor.results.shown import show_output, show_results
from osprey_executor.text import one_line, visible

_MOST_OUTPUT = 200_000
"""Characters of each stream."""
_MOST_FIGURE = 5 * 2**20
_MOST_FIGURES = 30 * 2**20
_Node = dict[str, Any]
_PNG = b"\x89PNG\r\n\x1a\n"

_REPLAY_CELL = """\
# Replay: binds `context`, the inputs and the recorded reads; nothing reaches the machine. Run this cell first.
def _start():
    import os, sys
    from pathlib import Path

    here = [sys.modules["osprey_replay"].__file__ if "osprey_replay" in sys.modules else "x"]
    here += [os.environ.get("JPY_SESSION_NAME"), globals().get("__vsc_ipynb_file__")]
    folders = [folder for place in here if place for folder in list(Path(place).resolve().parents)[:4]]
    home = next((folder for folder in folders if (folder / "replay" / "library.zip").is_file()), None)
    if home is None:
        raise RuntimeError("this notebook replays run {run_id}: keep it in its run folder, beside `replay/`")
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(home / "replay" / "library.zip"))
    import osprey_replay

    return osprey_replay.start(home, attempt={attempt})


context = _start()
del _start
"""
_SUMMARY_CELL = "import osprey_replay\n\nosprey_replay.summary()\n"


def write_notebook(path: Path, shown: Shown) -> None:
    """Write the notebook of an attempt. It lies in the run folder, or in the folder of its attempt.

    Raises:
        StorageError: it cannot be written, or a figure cannot be read.
    """
    replay = _REPLAY_CELL.format(run_id=shown.run.run_id, attempt=shown.attempt)
    cells: list[_Node] = [
        {"cell_type": "markdown", "id": "banner", "metadata": {}, "source": _lines(banner(shown))},
        _code("replay", replay, [], None),
        _code("program", shown.code, _outputs(shown), 1),
        _code("results", _SUMMARY_CELL, [_result(shown)], 2),
    ]
    notebook: _Node = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
            "osprey_executor": {"run_id": shown.run.run_id, "attempt": shown.attempt},
        },
        "cells": cells,
    }
    _files.write_text(path, json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False))


def _code(name: str, source: str, outputs: list[_Node], count: int | None) -> _Node:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": {},
        "source": _lines(source),
        "outputs": outputs,
        "execution_count": count,
    }


def _lines(text: str) -> list[str]:
    """Return the text as the format keeps it: a line an item, so that differences are seen line by line."""
    return text.splitlines(keepends=True)


def _outputs(shown: Shown) -> list[_Node]:
    run = shown.run
    outputs: list[_Node] = []
    for name, text in (("stdout", run.stdout), ("stderr", run.stderr)):
        if text:
            where = f"attempts/{shown.attempt}/{name}.txt"
            shortened = show_output(text, _MOST_OUTPUT, where)
            outputs.append({"output_type": "stream", "name": name, "text": _lines(shortened)})
    left = _MOST_FIGURES
    for number, figure in enumerate(run.figures, 1):
        said = f"Figure {number}: {one_line(str(figure.relative_to(run.folder)))}"
        image = _image(figure, min(left, _MOST_FIGURE))
        if image is None:
            data: _Node = {"text/plain": _lines(f"{said} (not shown here)")}
        else:
            left -= len(image)
            data = {"image/png": base64.b64encode(image).decode("ascii"), "text/plain": _lines(said)}
        outputs.append({"output_type": "display_data", "metadata": {}, "data": data})
    if run.error:
        trace = visible(run.error.traceback or str(run.error)).splitlines()
        outputs.append(
            {
                "output_type": "error",
                "ename": one_line(run.error.type),
                "evalue": one_line(run.error.message, 2000),
                "traceback": trace,
            }
        )
    return outputs


def _image(figure: Path, most_bytes: int) -> bytes | None:
    if figure.suffix != ".png" or _files.size_of(figure) > most_bytes:
        return None
    image = _files.read(figure, most_bytes=most_bytes)
    return image if image.startswith(_PNG) else None


def _result(shown: Shown) -> _Node:
    data = {"text/plain": _lines(show_results(shown.run.results))}
    return {"output_type": "execute_result", "metadata": {}, "data": data, "execution_count": 2}
