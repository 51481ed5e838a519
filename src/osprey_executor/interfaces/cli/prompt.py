"""Reads one line from the terminal without holding up the event loop, so that a prompt can be taken away."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

    from osprey_executor.interfaces.cli.screen import Screen


async def ask_line(screen: Screen, question: Text) -> str | None:
    """Show `question` and return the line that the person types, stripped; None at the end of input (Ctrl-D).

    What was typed before the question stood there is thrown away: nobody answers a question that they have not seen.
    On cancellation the question is wiped off its line.
    """
    descriptor = sys.stdin.fileno()
    forget_typed(descriptor)
    screen.err.print(question, end="", soft_wrap=True)
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, wake)
    try:
        await ready
    except asyncio.CancelledError:
        forget_typed(descriptor)
        if screen.moving:
            screen.err.file.write("\r\x1b[2K")
        else:
            screen.err.file.write("\n")
        screen.err.file.flush()
        raise
    finally:
        loop.remove_reader(descriptor)
    try:
        data = os.read(descriptor, 65536)
    except OSError:
        data = b""
    if not data:
        screen.err.file.write("\n")
        return None
    return data.decode("utf-8", errors="replace").strip()


async def ask_hidden(screen: Screen, question: Text) -> str | None:
    """Do as `ask_line` does, and show nothing of what is typed."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    hidden = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    try:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, hidden)
        return await ask_line(screen, question)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        screen.err.file.write("\n")
        screen.err.file.flush()


def forget_typed(descriptor: int) -> None:
    """Throw away what has been typed and not been read."""
    try:
        termios.tcflush(descriptor, termios.TCIFLUSH)
    except termios.error:
        return
