"""Shows the card to the person at the terminal and asks for the decision. Nothing is ever approved by default."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from rich.text import Text

from osprey_executor.errors import InvalidRequestError
from osprey_executor.interfaces.cli.card import render_card
from osprey_executor.interfaces.cli.editing import edited
from osprey_executor.interfaces.cli.prompt import ask_line
from osprey_executor.models import Approve, Edit, Reject
from osprey_executor.text import visible

if TYPE_CHECKING:
    from osprey_executor.interfaces.cli.interrupts import Interrupts
    from osprey_executor.interfaces.cli.progress import Display
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.models import ApprovalCard, Decision

_CHOICES = "approve, reject, edit or later"


def show_card(screen: Screen, card: ApprovalCard) -> None:
    """Print the card on standard error."""
    screen.err.print(render_card(card, width=screen.err.width))


class Person:
    """The `decide` callback of a run at a terminal."""

    def __init__(self, screen: Screen, display: Display, interrupts: Interrupts) -> None:
        self._screen = screen
        self._display = display
        self._interrupts = interrupts

    async def __call__(self, card: ApprovalCard) -> Decision | None:
        """Return the person's decision about `card`, None for later."""
        self._display.pause()
        show_card(self._screen, card)
        try:
            # A terminal that goes away answers with an end of input, which means later: the run stays for another day.
            with self._interrupts.ignoring(signal.SIGHUP):
                return await self._ask(card)
        except asyncio.CancelledError as gone:
            why = visible(str(gone.args[0])) if gone.args and gone.args[0] else "this is no longer asked"
            if not self._interrupts.seen:
                self._screen.tell(Text(why, style="yellow"))
            raise

    async def _ask(self, card: ApprovalCard) -> Decision | None:
        while True:
            answer = await ask_line(self._screen, Text(f"Decide: type {_CHOICES}: ", style="bold"))
            match (answer or "later").lower() if answer != "" else "":
                case "approve" | "yes":
                    return Approve(card.digest)
                case "reject" | "r" | "no":
                    return await self._reject(card)
                case "edit" | "e":
                    if decision := await self._edit(card):
                        return decision
                case "later" | "l":
                    return None
                case "":
                    self._screen.tell("Nothing is decided yet.")
                case _:
                    self._screen.tell(f"Not understood. Type one whole word: {_CHOICES}.")

    async def _reject(self, card: ApprovalCard) -> Decision:
        reason = await ask_line(self._screen, Text("Why (for the record): ", style="bold")) or ""
        if card.generator == "user":
            return Reject(reason)
        again = await ask_line(self._screen, Text("Let the generator try again with this reason? [y/N] ", style="bold"))
        return Reject(reason, regenerate=(again or "").lower() in ("y", "yes"))

    async def _edit(self, card: ApprovalCard) -> Decision | None:
        try:
            with self._interrupts.ignoring(signal.SIGINT):
                code = await edited(card.code)
        except InvalidRequestError as error:
            self._screen.tell(Text(visible(str(error)), style="yellow"))
            return None
        if code is None:
            self._screen.tell("The code is unchanged.")
            return None
        return Edit(code)


async def confirm(screen: Screen, interrupts: Interrupts) -> bool:
    """Ask whether exactly what the card shows may run; only the whole word `yes` does."""
    with interrupts.ignoring(signal.SIGHUP):
        answer = await ask_line(screen, Text("Type yes to run exactly this: ", style="bold"))
    return (answer or "").lower() in ("yes", "approve")
