"""Shows the card to the person at the terminal and asks for the decision. Nothing is ever approved by default."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from rich.text import Text

from osprey_executor.errors import InvalidRequestError
from osprey_executor.interfaces.cli.card import render_card
from osprey_executor.interfaces.cli.editing import edited
from osprey_executor.interfaces.cli.prompt import ask_hidden, ask_line
from osprey_executor.models import Approve, Edit, Reject
from osprey_executor.text import visible

if TYPE_CHECKING:
    from osprey_executor.interfaces.cli.interrupts import Interrupts
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.work import Work
    from osprey_executor.models import ApprovalCard, Decision

_YES = ("approve", "yes")
_CHOICES = "reject, edit, later"
_WHICH = (
    "Two things can be approved: the plan, exactly the writes shown, which a closed loop usually leaves and is stopped "
    "then; or the envelope, any value in its ranges. Type plan or envelope."
)


async def show_card(work: Work, card: ApprovalCard) -> None:
    """Print the card on standard error, without the commands that decide: whoever shows it so decides next."""
    in_the_way = await work.service.in_the_way(card)
    screen = work.screen
    screen.show_aside(render_card(card, width=screen.err.width, commands=False, in_the_way=in_the_way))


class Person:
    """The `decide` callback of a run at a terminal; `gone` says that the terminal went away.

    Args:
        work: of the command.
        stays: whether the run may wait for another day when the terminal goes away.
    """

    def __init__(self, work: Work, *, stays: bool = True) -> None:
        self._work = work
        self._stays = stays
        self.gone = False
        self._screen = work.screen
        self._interrupts = work.interrupts

    async def __call__(self, card: ApprovalCard) -> Decision | None:
        """Return the person's decision about `card`, None for later."""
        self._work.display.pause()
        await show_card(self._work, card)
        # A terminal that goes away answers with an end of input, which means later. Its signal may come after that
        # answer, and must not cancel a run that was left for another day.
        if self._stays:
            self._interrupts.ignore(signal.SIGHUP)
        try:
            decision = await self._ask(card)
        except asyncio.CancelledError as gone:
            self._interrupts.heed(signal.SIGHUP)
            if not self._interrupts.seen:
                who = str(gone.args[0]) if gone.args else "This was settled in another process."
                self._screen.tell(Text(visible(who), style="yellow"))
            raise
        if decision is not None:
            self._interrupts.heed(signal.SIGHUP)
        return decision

    async def _ask(self, card: ApprovalCard) -> Decision | None:
        choices = f"{'plan, envelope' if card.envelope else 'approve'}, {_CHOICES}"
        while True:
            answer = await ask_line(self._screen, Text(f"Decide ({choices}): ", style="bold"))
            match answer.lower() if answer is not None else None:
                case word if word is not None and (digest := chosen_digest(card, word)):
                    return Approve(digest)
                case word if word in _YES:
                    self._screen.tell(_WHICH)
                case "reject" | "no":
                    return await self._reject(card)
                case "edit":
                    if decision := await self._edit(card):
                        return decision
                case "later":
                    return None
                case None:
                    self.gone = True
                    return None
                case "":
                    self._screen.tell("Nothing is decided yet.")
                case _:
                    self._screen.tell(f"Not understood. Type one whole word: {choices}.")

    async def _reject(self, card: ApprovalCard) -> Decision | None:
        reason = await ask_line(self._screen, Text("Why (for the record): ", style="bold"))
        if reason is None or card.generator == "user":
            return None if reason is None else Reject(reason)
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


def chosen_digest(card: ApprovalCard, word: str) -> str | None:
    """Return the digest that a whole word approves; where there are two, `approve` alone does not say which."""
    if card.envelope is None:
        return card.digest if word in _YES else None
    return {"plan": card.digest, "envelope": card.envelope.digest}.get(word)


async def confirm(screen: Screen, interrupts: Interrupts, card: ApprovalCard) -> str | None:
    """Ask what of the card is approved; return its digest, None where nothing is. Only a whole word approves."""
    question = "Type approve to run exactly this: "
    if card.envelope is not None:
        screen.tell(_WHICH)
        question = "Type plan or envelope: "
    with interrupts.ignoring(signal.SIGHUP):
        answer = await ask_line(screen, Text(question, style="bold"))
    return chosen_digest(card, (answer or "").lower())


class Token:
    """Asks for the token of an approver where one is needed. It is typed, and never an argument or a variable."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def __call__(self) -> str | None:
        """Return what was typed; None where there is no terminal, or nothing was."""
        screen = self._work.screen
        if not screen.interactive:
            return None
        self._work.display.pause()
        with self._work.interrupts.ignoring(signal.SIGHUP):
            return await ask_hidden(screen, Text("Token of an approver (it is not shown): ", style="bold"))
