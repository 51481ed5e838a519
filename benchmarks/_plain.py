"""A program in plain Python, as a person would run it by hand: no isolation, but an end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PIECE = 64 * 1024
_PATIENCE = 5.0
"""Seconds for a pipe that a process outside the group still holds."""


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it printed."""

    code: int
    """As `subprocess` has it: negative for a signal."""
    cut: str
    """Why it was ended from here, or empty."""
    stdout: str
    stderr: str


def run_plain(python: str, root: Path, code: bytes, *, timeout: float, output: int) -> Ended:
    """Run a program in a folder of its own below `root`, which must be new, and end all that it leaves running.

    Args:
        python: the interpreter.
        root: gets `code.py`, the working folder `out`, and folders for what it calls home and temporary.
        code: the program, byte for byte.
        timeout: seconds.
        output: bytes that it may print to each of its streams.
    """
    for name in ("", "out", "home", "tmp"):
        (root / name).mkdir()
    script = root / "code.py"
    script.write_bytes(code)
    process = subprocess.Popen(
        [python, str(script)],
        cwd=root / "out",
        env=_environment(python, root),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    reasons: list[str] = []

    def end(reason: str) -> None:
        reasons.append(reason)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    assert process.stdout
    assert process.stderr
    keepers = [_Keeper(stream, output, lambda: end("output limit")) for stream in (process.stdout, process.stderr)]
    clock = threading.Timer(timeout, end, ["timed out"])
    clock.start()
    # The leader keeps its number until the group is gone, so that nobody else can have it.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    clock.cancel()
    clock.join()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    code_seen = process.wait()
    stdout, stderr = (keeper.text() for keeper in keepers)
    return Ended(code_seen, reasons[0] if reasons and code_seen == -signal.SIGKILL else "", stdout, stderr)


def _environment(python: str, root: Path) -> dict[str, str]:
    """Return what a sandbox has of an environment too, so that a difference is one of the engine."""
    fonts = root.parent / "matplotlib"
    fonts.mkdir(exist_ok=True)  # shared, because a program that builds the cache of fonts says so
    zone = {"TZ": os.environ["TZ"]} if "TZ" in os.environ else {}
    return {
        "PATH": os.pathsep.join([str(Path(python).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(root / "home"),
        "TMPDIR": str(root / "tmp"),
        "LANG": "C.UTF-8",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(fonts),
        "PYTHONDONTWRITEBYTECODE": "1",
        # Modules are found in the working folder, and code.py does not stand before the library's own module `code`.
        "PYTHONPATH": str(root / "out"),
        "PYTHONSAFEPATH": "1",
        **zone,
    }


class _Keeper:
    """Reads one pipe in a thread and keeps no more than it may."""

    def __init__(self, stream: IO[bytes], most: int, on_over: Callable[[], None]) -> None:
        self._stream, self._most, self._on_over = stream, most, on_over
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def text(self) -> str:
        self._thread.join(_PATIENCE)
        return self._kept.decode("utf-8", "replace")

    def _read(self) -> None:
        with self._stream:
            while piece := os.read(self._stream.fileno(), _PIECE):
                if len(self._kept) + len(piece) > self._most:
                    self._kept += piece[: self._most - len(self._kept)]
                    self._on_over()
                    return
                self._kept += piece
