"""A run as a notebook: banner, replay cell, the source as it ran, its outputs, its results."""

from __future__ import annotations

import base64
import importlib
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
_PNG = b"\x89PNG\r\n\x1a\n"

_REPLAY_CELL = """\
# Replay: binds `context`, the inputs and the recorded reads; nothing reaches the machine. Run this cell first.
def _start():
    import os, sys
    from pathlib import Path

    here = [sys.modules["osprey_replay"].__file__ if "osprey_replay" in sys.modules else "x"]
    here += [os.environ.get("JPY_SESSION_NAME"), globals().get("__vsc_ipynb_file__")]
    folders = [folder for place in here if place for folder in list(Path(place).resolve().parents)[:4]]
    home = next((folder for folder in folders if (folder / "replay" / "osprey_replay").is_dir()), None)
    if home is None:
        raise RuntimeError("this notebook replays run {run_id}: keep it in its run folder, beside `replay/`")
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(home / "replay"))
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
    nbformat: Any = importlib.import_module("nbformat")  # 0.2 s: only when a notebook is written
    v4 = nbformat.v4

    replay = _REPLAY_CELL.format(run_id=shown.run.run_id, attempt=shown.attempt)
    cells = [
        v4.new_markdown_cell(id="banner", source=banner(shown)),
        v4.new_code_cell(id="replay", source=replay),
        v4.new_code_cell(id="program", source=shown.code, outputs=_outputs(v4, shown), execution_count=1),
        v4.new_code_cell(id="results", source=_SUMMARY_CELL, outputs=[_result(v4, shown)], execution_count=2),
    ]
    node = v4.new_notebook(
        cells=cells,
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
            "osprey_executor": {"run_id": shown.run.run_id, "attempt": shown.attempt},
        },
    )
    _files.write_text(path, nbformat.writes(node), durable=False)


def _outputs(v4: Any, shown: Shown) -> list[Any]:
    make = v4.new_output
    run = shown.run
    outputs: list[Any] = []
    for name, text in (("stdout", run.stdout), ("stderr", run.stderr)):
        if text:
            where = f"attempts/{shown.attempt}/{name}.txt"
            outputs.append(make("stream", name=name, text=show_output(text, _MOST_OUTPUT, where)))
    left = _MOST_FIGURES
    for number, figure in enumerate(run.figures, 1):
        said = f"Figure {number}: {one_line(str(figure.relative_to(run.folder)))}"
        image = _image(figure, min(left, _MOST_FIGURE))
        if image is None:
            outputs.append(make("display_data", data={"text/plain": f"{said} (not shown here)"}))
        else:
            left -= len(image)
            encoded = base64.b64encode(image).decode("ascii")
            outputs.append(make("display_data", data={"image/png": encoded, "text/plain": said}))
    if run.error:
        trace = visible(run.error.traceback or str(run.error)).splitlines()
        outputs.append(
            make("error", ename=one_line(run.error.type), evalue=one_line(run.error.message, 2000), traceback=trace)
        )
    return outputs


def _image(figure: Path, most_bytes: int) -> bytes | None:
    if figure.suffix != ".png" or _files.size_of(figure) > most_bytes:
        return None
    image = _files.read(figure, most_bytes=most_bytes)
    return image if image.startswith(_PNG) else None


def _result(v4: Any, shown: Shown) -> Any:
    return v4.new_output("execute_result", data={"text/plain": show_results(shown.run.results)}, execution_count=2)
