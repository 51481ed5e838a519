"""In the kernel: starts the program in a process of its own, and carries bytes between it and the service.

The kernel itself stays idle, so that what the service sends always reaches it. Items of the service: `put` an input,
`begin`, `link` (bytes for the program), `end`. Items for the service: `ready`, `out`, `link`, `told` (words of the
monitor), those of `folder`, `over`, and `broken`.
"""

from __future__ import annotations

import asyncio
import base64
import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

from .folder import tell_folder
from .line import Line
from .program import Program

_SUBREAPER = 36
_LATE = 15.0
"""Seconds after its time limit at which a program is ended here, for a service that is gone."""


class Relay:
    """Serves one service, for one program."""

    def __init__(self, comm: Any, root: str, spec: dict[str, Any]) -> None:
        """Start the program's process in advance.

        Args:
            comm: the kernel's own channel to the service.
            root: folder of this kernel alone, with `lib` and `room` in it.
            spec: of a process for the usual limits.
        """
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
        self._root = root
        self._loop = asyncio.get_event_loop()
        self._line = Line(comm.send, self._take, self._loop.call_later, self._loop.time, self._on_room)
        comm.on_msg(self._hear)
        self._begun: dict[str, Any] | None = None
        self._files: Iterator[dict[str, Any]] | None = None
        self._late: Any = None
        for name in ("inputs", "out", "tmp", "tmp/home", "tmp/home/.matplotlib"):
            os.mkdir(os.path.join(root, name))
        # The program's process starts before its code comes, and may be bound to the files that are there by then.
        with open(os.path.join(root, "code.py"), "xb"):
            pass
        out = os.path.join(root, "out")
        os.symlink("../inputs", os.path.join(out, "inputs"))
        # By its descriptor the folder is found, wherever a program moves it.
        self._out = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
        self._program = self._start(spec)
        _lend_fonts(os.path.join(root, "tmp", "home", ".matplotlib"))
        facts = {"root": root, "executable": sys.executable, "prefix": sys.prefix, "python": sys.version.split()[0]}
        self._line.put({"ready": {**facts, "implementation": sys.implementation.name, "user": os.geteuid()}})

    def _start(self, spec: dict[str, Any]) -> Program:
        return Program(self._root, spec, self._loop, self._line, self._over)

    def _hear(self, message: dict[str, Any]) -> None:
        self._line.hear(message["content"]["data"])

    def _on_room(self) -> None:
        if self._files is not None:
            self._send_files()
        elif self._begun is not None:
            self._program.listen()

    def _take(self, item: dict[str, Any]) -> None:
        try:
            self._do(item)
        except Exception as error:
            self._line.put({"broken": f"{type(error).__name__}: {error}"})

    def _do(self, item: dict[str, Any]) -> None:
        if "put" in item:
            with open(os.path.join(self._root, "inputs", os.path.basename(item["put"])), "ab") as stream:
                stream.write(base64.b64decode(item["b"]))
        elif "begin" in item:
            self._begin(item)
        elif "link" in item:
            self._program.write(base64.b64decode(item["b"]))
        elif "end" in item:
            self._program.end()

    def _begin(self, item: dict[str, Any]) -> None:
        self._begun = item
        code, inputs = os.path.join(self._root, "code.py"), os.path.join(self._root, "inputs")
        with open(code, "wb") as stream:
            stream.write(base64.b64decode(item["b"]))
        for path in (code, *(os.path.join(inputs, name) for name in os.listdir(inputs))):
            os.chmod(path, 0o444)
        os.chmod(inputs, 0o555)  # noqa: S103 - the program may read them
        if item["spec"] is not None:
            self._program.discard()
            self._program = self._start(item["spec"])
        os.chmod(self._root, 0o555)  # noqa: S103 - the program may look
        self._program.begin()
        self._late = self._loop.call_later(item["timeout"] + _LATE, self._program.end)

    def _over(self, words: list[str]) -> None:
        """Send how the program ended and what it left; every process of it is gone."""
        for word in words:
            self._line.put({"told": word})
        self._files = iter(())
        if self._begun is not None:
            self._late.cancel()
            self._files = tell_folder(self._out, self._begun["folder"], self._begun["files"])
        self._send_files()

    def _send_files(self) -> None:
        try:
            while self._files is not None and not self._line.full:
                item = next(self._files, None)
                if item is None:
                    self._finish({"over": 1})
                else:
                    self._line.put(item)
        except OSError as error:
            self._finish({"broken": f"what the program left cannot be read: {error}"})

    def _finish(self, item: dict[str, Any]) -> None:
        self._files = None
        self._line.put(item)


def remove(root: str) -> None:
    """Remove the folder of a kernel, which ends."""
    for path in (root, os.path.join(root, "inputs")):
        if os.path.isdir(path):
            os.chmod(path, 0o700)
    shutil.rmtree(root, ignore_errors=True)


def _lend_fonts(folder: str) -> None:
    """Copy the list of fonts that the kernel's user has: without it a program's first figure takes a second more."""
    place = os.environ.get("MPLCONFIGDIR") or os.path.expanduser("~/.cache/matplotlib")
    try:
        for name in [name for name in os.listdir(place) if name.startswith("fontlist-")]:
            shutil.copyfile(os.path.join(place, name), os.path.join(folder, name))
    except OSError:  # there is none
        return
