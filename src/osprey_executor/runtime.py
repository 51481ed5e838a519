"""What a program finds at `osprey_executor.runtime`, for editors and type checkers; it works inside a run only.

Inside a run this name is the sandbox's own module, which talks to the service. Here every call raises.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, NoReturn

from osprey_executor.errors import (
    ChannelLimitsViolationError,
    ControlSystemError,
    OutcomeUnknownError,
    ResultsError,
    WriteRefused,
)

__all__ = [
    "ChannelLimitsViolationError",
    "ControlSystemError",
    "OutcomeUnknownError",
    "ResultsError",
    "WriteRefused",
    "call_channel",
    "context",
    "declare_writes",
    "progress",
    "publish",
    "read_channel",
    "read_channels",
    "read_history",
    "write_channel",
    "write_channels",
]


def _absent() -> NoReturn:
    program = Path(sys.argv[0]).name if sys.argv else ""
    program = program if program.endswith(".py") else "step.py"
    raise RuntimeError(f"runtime exists inside a run only: osprey-executor run --code {program}")


class Context(MutableMapping[str, Any]):
    """The data that the capability handed over, by attribute and by item, nested."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # tools look for these, and must find that there are none
            raise AttributeError(name)
        _absent()

    def __setattr__(self, name: str, value: Any) -> None:
        _absent()

    def __getitem__(self, key: str) -> Any:
        _absent()

    def __setitem__(self, key: str, value: Any) -> None:
        _absent()

    def __delitem__(self, key: str) -> None:
        _absent()

    def __iter__(self) -> Iterator[str]:
        _absent()

    def __len__(self) -> int:
        _absent()

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and tuples."""
        _absent()


context: Context = Context()
"""The data that the capability handed over, by attribute and by item."""


def read_channel(name: str) -> Any:
    """Return the present value of one channel: a number, a string, or a numpy array.

    Raises:
        ControlSystemError: the channel is unknown, disconnected or invalid, or there is no control system.
    """
    _absent()


def read_channels(names: Iterable[str]) -> dict[str, Any]:
    """Return the present values of channels, in the order of `names`.

    Raises:
        ControlSystemError: a channel is unknown, disconnected or invalid; the message names it.
    """
    _absent()


def read_history(channels: str | Iterable[str], start: Any, end: Any, bin: Any = None) -> dict[str, dict[str, Any]]:
    """Return archived values of channels between two moments, oldest first.

    Args:
        channels: one name, or several.
        start: a datetime with a time zone, ISO text with one, or seconds since 1970. Without a time zone it would mean
            another moment on another machine, so that is refused. The value that was valid then may come first, with
            its own, earlier time.
        end: the same.
        bin: seconds, or a timedelta, of whole seconds: the mean over each such interval; None: every value.

    Returns:
        For each channel a dict of columns: `time` (numpy datetime64, UTC), `value`, `severity` (0 none, 1 minor,
        2 major, 3 invalid); `pandas.DataFrame(history[name])` makes a table of it.

    Raises:
        ValueError: a moment has no time zone.
        ControlSystemError: there is no archive, it lacks a channel, or it is too much for one call.
    """
    _absent()


def write_channel(name: str, value: Any) -> None:
    """Write one channel and wait until the control system confirms.

    Raises:
        WriteRefused: the write is outside what was approved; nothing was sent.
        ControlSystemError: the write failed.
        OutcomeUnknownError: it was sent, and no confirmation came back.
    """
    _absent()


def write_channels(values: Mapping[str, Any]) -> None:
    """Write channels one after the other, in the order given; the first that fails ends the call.

    What the site's limits database leaves out (`on_violation: skip`) is told on standard error, and the rest goes on.

    Raises:
        WriteRefused: a write is outside what was approved, or (ChannelLimitsViolationError) outside the limits of its
            channel; nothing of the call was sent.
        ControlSystemError: a write failed, or the read-back does not show it.
        OutcomeUnknownError: it was sent, and no confirmation came back.
    """
    _absent()


def call_channel(name: str, arguments: Mapping[str, Any] | None = None) -> Any:
    """Run the command (PVAccess: RPC) of a channel and return its answer.

    It is a write, unless the site's limits database lists the channel as a query. In a rehearsal a command is kept for
    the plan and answers None; a query is answered.

    Args:
        name: of the channel.
        arguments: numbers, texts, booleans, and rows of numbers.

    Returns:
        A value, a dict of the columns of a table, or nested dicts.

    Raises:
        WriteRefused: it is not what was approved; nothing was sent.
        ControlSystemError: it failed, or this control system has no commands.
        OutcomeUnknownError: it was sent, and no answer came back.
    """
    _absent()


def declare_writes(ranges: Mapping[str, tuple[float, float]]) -> None:
    """Say before writing what will be written: for each channel the lowest and the highest value.

    Raises:
        TypeError: a range is not a pair of numbers.
        ValueError: a range runs backwards.
    """
    _absent()


def progress(fraction: float, message: str = "") -> None:
    """Tell whoever waits how far the program is: `fraction` between 0 and 1, and a few words."""
    _absent()


def publish(results: Mapping[str, Any]) -> None:
    """Hand over results early. The last ones published are kept if the run is ended before its end.

    Raises:
        TypeError: not a dict.
        ResultsError: the service does not take them.
    """
    _absent()
