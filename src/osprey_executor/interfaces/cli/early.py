"""Signals from the first moment on. Where no service is open nothing has to be brought to an end: the process leaves.

Nothing heavy is imported here, so that this stands before the first import that takes time.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
from types import FrameType
from typing import Final, NoReturn

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED: Final = 130


class Leaving:
    """The end of this process at a signal, with one JSON document on standard output where that is promised."""

    def __init__(self) -> None:
        self.as_json = False
        self.answered = False
        """Whether the one document is written, or being written."""

    def guard(self, *, as_json: bool) -> None:
        """From now on leave at a signal."""
        self.as_json = as_json
        for number in heard():
            signal.signal(number, self._on_signal)
        # While the interpreter takes itself down it hears nothing, and would die of a signal though all is said.
        atexit.register(_deafen)

    def leave(self, message: str = "interrupted", run_id: str = "") -> NoReturn:
        """Say so and end the process as it stands. Not by an exception: an import or a callback could swallow it."""
        if self.as_json and not self.answered:
            document = {"error": error_document("Interrupted", message, run_id), "status": "interrupted"}
            _write(1, json.dumps(document, indent=2) + "\n")
        _write(2, f"osprey-executor: {message}\n")
        os._exit(INTERRUPTED)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.leave()


leaving: Final = Leaving()
"""This process has one end only."""


def heard() -> list[signal.Signals]:
    """Return the signals to listen to. Whoever starts a command with nohup wants no hang-up to end it."""
    deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in SIGNALS if not (deaf and number is signal.SIGHUP)]


def error_document(kind: str, message: str, run_id: str = "") -> dict[str, str]:
    """Return an error as `--json` shows it."""
    return {"type": kind, "message": message, **({"run_id": run_id} if run_id else {})}


def _deafen() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _write(descriptor: int, text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, text.encode("ascii", errors="backslashreplace"))
