"""The words after `%%osprey`: what is asked for."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from osprey_executor.errors import InvalidRequestError

USAGE = """
%%osprey [TASK ...]           the task goes on in the cell
%%osprey --code [TASK ...]    the cell is a program of your own
%osprey approve DIGEST        the first digits of a digest on the card, at least 8
%osprey reject [REASON ...]
%%osprey edit                 the cell is the new program; it is asked about anew
%osprey show                  the run of this notebook once more
""".strip()
DECISIONS = ("approve", "reject", "edit", "show")


@dataclass(frozen=True)
class Order:
    """What a cell asks for."""

    words: tuple[str, ...]
    code: bool
    config: Path | None
    context: tuple[str, ...]
    """Names of the notebook that the program finds at `context`."""
    into: str
    """The name under which the notebook finds the results."""

    @property
    def decision(self) -> str | None:
        """Which decision it is, or a look; None: a run."""
        return self.words[0] if self.words and not self.code and self.words[0] in DECISIONS else None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidRequestError(f"{message}; known are\n{USAGE}")


def order_of(line: str) -> Order:
    """Return what the words of a line ask for.

    Raises:
        InvalidRequestError: nothing that is known.
    """
    parser = _Parser(prog="%%osprey", add_help=False, allow_abbrev=False)
    parser.add_argument("--code", action="store_true")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--context", default="")
    parser.add_argument("--into", default="results")
    try:
        words = shlex.split(line)
    except ValueError:  # a task in words may hold an apostrophe
        words = line.split()
    told, rest = parser.parse_known_args(words)
    if unknown := [word for word in rest if word.startswith("--")]:
        raise InvalidRequestError(f"{unknown[0]} is no option; known are\n{USAGE}")
    if not str(told.into).isidentifier():
        raise InvalidRequestError(f"--into {told.into!r:.80} is no name of Python")
    names = tuple(name for name in str(told.context).split(",") if name)
    return Order(tuple(rest), told.code, told.config, names, told.into)
