"""How a program ended and what it printed, in the same words for an engine and for plain Python; and where they differ.

Only what must differ between two runs is replaced before comparing, and each replacement is told: the paths of the
program, of its working folder, of its home and of its temporary folder; the random part of temporary names; addresses
of objects.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from _plain import Ended

from osprey_executor.models import Outcome, RunStatus

_EXIT = re.compile(r"the program ended (?:itself )?with exit code (-?\d+)")
_SIGNAL = re.compile(r"the program was ended by (SIG[A-Z0-9]+|signal \d+)")
_RAISED = re.compile(r"([A-Za-z_][\w.]*)(?::|\s*$)")
_SAID_BY_ENGINE = ("LimitExceeded", "ProtocolViolation", "ResultsError", "ProcessKilled")


@dataclass(frozen=True)
class Seen:
    """One run of a program."""

    ending: str
    """`exit 0`, `exit 3`, `SIGSEGV`, `timed out`, `output limit`, or what only an engine can say."""
    error: str | None
    """Name of the exception that ended it, as far as this side tells."""
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same."""

    what: str
    plain: str
    engine: str


@dataclass(frozen=True)
class Rule:
    """What is replaced, by `<name>`, and what it is."""

    name: str
    pattern: re.Pattern[str]


def by_engine(outcome: Outcome) -> Seen:
    """Return what an engine says of a run."""
    ending, error = _ending(outcome)
    return Seen(ending, error, outcome.stdout, outcome.stderr)


def by_hand(ended: Ended) -> Seen:
    """Return what the system says of a process."""
    if ended.cut:
        ending = ended.cut
    elif ended.code < 0:
        known = -ended.code in set(signal.Signals)
        ending = signal.Signals(-ended.code).name if known else f"signal {-ended.code}"
    else:
        ending = f"exit {ended.code}"
    return Seen(ending, _raised(ended.stderr) if ended.code == 1 else None, ended.stdout, ended.stderr)


def rules(*worlds: dict[str, str]) -> list[Rule]:
    """Return what is replaced, the longest paths first.

    Args:
        worlds: paths by name, as a program sees them in one run of a side; a number in them may be another in the next.
    """
    paths = {path: name for world in worlds for name, path in world.items()}
    found = [
        Rule(name, re.compile(re.sub(r"\d+", r"\\d+", re.escape(path)) + r"(?![\w-])"))
        for path, name in sorted(paths.items(), key=lambda item: -len(item[0]))
    ]
    return [
        *found,
        Rule("temporary name", re.compile(r"(?<=<temporary folder>/)tmp[a-z0-9_]{8}(?![a-z0-9_])")),
        Rule("address", re.compile(r"(?<=\bat )0x[0-9a-f]{6,}\b")),
    ]


def replaced(seen: Seen, given: Sequence[Rule]) -> tuple[Seen, set[str]]:
    """Return a run as it is compared, and the names of what was replaced in it."""
    names: set[str] = set()
    streams: list[str] = []
    for text in (seen.stdout, seen.stderr):
        for rule in given:
            text, count = rule.pattern.subn(f"<{rule.name}>", text)
            names |= {rule.name} if count else set()
        streams.append(text)
    return Seen(seen.ending, seen.error, *streams), names


def differences(plain: Seen, engine: Seen) -> list[Difference]:
    """Return what is not the same in two runs of a program."""
    pairs = {
        "exit status": (plain.ending, engine.ending),
        # Told only where both sides can: a program may show its errors in a way of its own.
        "exception": (plain.error, engine.error) if plain.error and engine.error else ("", ""),
        "standard output": (plain.stdout, engine.stdout),
        "last line of standard error": (_last(plain.stderr), _last(engine.stderr)),
    }
    return [Difference(what, *pair) for what, pair in pairs.items() if pair[0] != pair[1]]


def _ending(outcome: Outcome) -> tuple[str, str | None]:
    error = outcome.error
    if outcome.status is RunStatus.SUCCEEDED:
        return "exit 0", None
    if outcome.status is RunStatus.TIMED_OUT:
        return "timed out", None
    if outcome.status is not RunStatus.FAILED or error is None:
        return str(outcome.status), None
    if error.type == "SystemExit":
        told = _EXIT.fullmatch(error.message)
        if told is None:
            # With a text instead of a number, Python prints the text and ends with 1.
            return ("ended with os._exit" if "os._exit" in error.message and outcome.partial else "exit 1"), None
        # The system keeps one byte of the number.
        return (f"exit {int(told[1]) & 0xFF}" if int(told[1]) & 0xFF else f"failed with exit code {told[1]}"), None
    if error.type in _SAID_BY_ENGINE:
        signalled = _SIGNAL.match(error.message)
        over = error.message.startswith("output limit")
        return "output limit" if over else signalled[1] if signalled else error.message, None
    return "exit 1", error.type


def _raised(stderr: str) -> str | None:
    """Return the name of the exception of the last traceback."""
    name = None
    for before, line in pairwise(stderr.splitlines()):
        if before.startswith("  ") and (found := _RAISED.match(line)):
            name = found[1].rpartition(".")[2]
    return name


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
