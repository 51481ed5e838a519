"""Lets the notebook run the cell of the program as Python, byte for byte, although a notebook reads cells its own way.

A notebook dedents a cell, takes `%`, `!` and `?` for commands and shows the value of the last line. A program is not
read like that: where the text of a cell is the recorded source, the recorded file is compiled instead. Cells with any
other text are the reader's own and stay as they are.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_RUN = "__import__('osprey_replay').run_program()\n"


class _Program:
    source: str = ""


def take_over(source: bytes) -> None:
    """From now on the cell that holds `source` runs the recorded file."""
    _Program.source = _comparable(shown_source(source))
    shell = _shell()
    if shell is None:
        return
    transforms: list[Any] = shell.input_transformer_manager.cleanup_transforms
    if _as_program not in transforms:
        transforms.insert(0, _as_program)


def namespace() -> dict[str, Any]:
    """Return the names of the notebook, or of `__main__` where there is no notebook."""
    shell = _shell()
    return shell.user_ns if shell is not None else vars(sys.modules["__main__"])


def show_figure(image: bytes) -> None:
    """Show a PNG below the cell."""
    if _shell() is not None:
        display: Any = importlib.import_module("IPython.display")
        display.display(display.Image(data=image, format="png"))


def shown_source(source: bytes) -> str:
    """Return a source as a notebook can show it; what is not UTF-8 or not a character is written as an escape."""
    text = source.decode("utf-8", "backslashreplace")
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _as_program(lines: list[str]) -> list[str]:
    return [_RUN] if _comparable("".join(lines)) == _Program.source else lines


def _comparable(text: str) -> str:
    """Return the text without what an editor changes on its own: the ends of lines and of the file."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def _shell() -> Any:
    """Return the shell of IPython, None where this process is no notebook."""
    notebook = sys.modules.get("IPython")
    return notebook.get_ipython() if notebook is not None else None
