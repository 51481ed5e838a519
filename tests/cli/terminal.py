"""A program on a pseudo-terminal, and the screen that a person sees."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import pexpect
import pyte

PROMPT = r"later\): "


class Terminal:
    """One program at one terminal."""

    def __init__(self, command: Sequence[str], *, columns: int = 80, **environment: str) -> None:
        self._screen = pyte.Screen(columns, 100)
        self._stream = pyte.Stream(self._screen)
        self.child = pexpect.spawn(
            command[0],
            list(command[1:]),
            dimensions=(100, columns),
            env={**os.environ, "TERM": "xterm-256color", **environment},
            encoding="utf-8",
            timeout=60,
        )
        self.child.logfile_read = self

    def write(self, text: str) -> None:
        self._stream.feed(text)

    def flush(self) -> None:
        pass

    def answer(self, question: str, line: str) -> None:
        """Type a line once the question stands there."""
        self.child.expect(question)
        self.child.sendline(line)

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -1)

    @property
    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)


Open = Callable[..., Terminal]


@contextmanager
def terminals(*command: str) -> Iterator[Open]:
    """Open terminals with `command` and more arguments; whatever still runs at the end is ended."""
    opened: list[Terminal] = []

    def start(*arguments: str, columns: int = 80, **environment: str) -> Terminal:
        opened.append(Terminal([*command, *arguments], columns=columns, **environment))
        return opened[-1]

    try:
        yield start
    finally:
        for one in opened:
            with suppress(pexpect.ExceptionPexpect, ValueError, OSError):
                one.child.close(force=True)
