"""What a person sees of an error: one sentence, never a traceback."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from osprey_executor.errors import PythonExecutorException
from osprey_executor.interfaces.cli import exits
from osprey_executor.interfaces.cli.early import error_document
from osprey_executor.interfaces.cli.streams import write_json
from osprey_executor.text import visible


def report(error: BaseException, *, as_json: bool) -> exits.Exit:
    """Tell what happened on standard error, as JSON on standard output where asked, and return the exit code."""
    if isinstance(error, PythonExecutorException):
        run_id = str(getattr(error, "run_id", "") or "")
        return tell(type(error).__name__, str(error), exits.of_error(error), as_json=as_json, run_id=run_id)
    if isinstance(error, OSError):
        what = error.strerror or str(error)
        where = f"{error.filename}: " if error.filename is not None else ""
        return tell("StorageError", f"{where}{what}{_saved(error)}", exits.Exit.USAGE, as_json=as_json)
    name = type(error).__name__
    told = f"this should not have happened: {name}: {error}{_saved(error)}"
    return tell(name, told, exits.Exit.FAILED, as_json=as_json)


def tell(kind: str, message: str, code: exits.Exit, *, as_json: bool, run_id: str = "") -> exits.Exit:
    """Write one error in both forms, with its run where there is one, and return its exit code."""
    if as_json:
        write_json({"error": error_document(kind, message, run_id), "status": code.name.lower()})
    head = "osprey-executor: "
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        head = f"\x1b[1;31m{head}\x1b[0m"
    sys.stderr.write(f"{head}{visible(message).strip()}\n")
    return code


def _saved(error: BaseException) -> str:
    """Save the traceback and say where."""
    text = "".join(traceback.format_exception(error))
    name = f"error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    for folder in _folders():
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = folder / name
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
            path.chmod(0o600)
        except OSError:
            continue
        return f" (details: {path})"
    return " (its details could not be saved)"


def _folders() -> list[Path]:
    folders: list[Path] = []
    try:
        from osprey_executor.config import state_folder

        folders.append(state_folder() / "logs")
    except Exception:  # this is the last resort: whatever is wrong with the state folder, go on without it
        folders.clear()
    return [*folders, Path(tempfile.gettempdir())]
