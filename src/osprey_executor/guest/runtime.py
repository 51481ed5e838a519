"""What a program can ask of the service: channels, progress, early results, and the context it was given."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any, Iterable, Mapping

from .channel import Channel
from .codec import decode, encode, encode_results
from .context import Context
from .errors import (
    ChannelLimitsViolationError,
    ControlSystemError,
    OutcomeUnknownError,
    ResultsError,
    WriteRefused,
)
from .moments import moment

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

context: Context = Context()
"""The data that the capability handed over, by attribute and by item."""


class _Link:
    """Where the calls go: nowhere, until the worker connects it."""

    channel: Channel | None = None
    path: str = ""
    limits: Mapping[str, int] = {}


def read_channel(name: str) -> Any:
    """Return the present value of one channel: a number, a string, or a numpy array.

    Raises:
        ControlSystemError: the channel is unknown, disconnected or invalid, or there is no control system.
    """
    return read_channels([_name(name)])[name]


def read_channels(names: Iterable[str]) -> dict[str, Any]:
    """Return the present values of channels, in the order of `names`.

    Raises:
        ControlSystemError: a channel is unknown, disconnected or invalid; the message names it.
    """
    if isinstance(names, str):
        raise TypeError("read_channels takes a list of names; for one channel use read_channel")
    wanted = [_name(name) for name in names]
    if not wanted:
        return {}
    answer, blobs = _channel().request({"op": "read", "channels": wanted, "line": _line()})
    values = decode(answer, blobs)
    return {name: values[name] for name in wanted}


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
    wanted = [_name(name) for name in ([channels] if isinstance(channels, str) else channels)]
    if not wanted:
        return {}
    seconds = bin.total_seconds() if isinstance(bin, timedelta) else bin
    document, _ = encode({"start": moment(start), "end": moment(end), "bin": None if bin is None else float(seconds)})
    answer, blobs = _channel().request({"op": "history", "channels": wanted, **document})
    return decode(answer, blobs)


def write_channel(name: str, value: Any) -> None:
    """Write one channel and wait until the control system confirms.

    Raises:
        WriteRefused: the write is outside what was approved; nothing was sent.
        ControlSystemError: the write failed.
        OutcomeUnknownError: it was sent, and no confirmation came back.
    """
    write_channels({_name(name): value})


def write_channels(values: Mapping[str, Any]) -> None:
    """Write channels one after the other, in the order given; the first that fails ends the call.

    What the site's limits database leaves out (`on_violation: skip`) is told on standard error, and the rest goes on.

    Raises:
        WriteRefused: a write is outside what was approved, or (ChannelLimitsViolationError) outside the limits of its
            channel; nothing of the call was sent.
        ControlSystemError: a write failed, or the read-back does not show it.
        OutcomeUnknownError: it was sent, and no confirmation came back.
    """
    wanted = {_name(name): value for name, value in values.items()}
    if not wanted:
        return
    document, blobs = encode([[name, value] for name, value in wanted.items()])
    skipped, more = _channel().request({"op": "write", "values": document, "line": _line()}, blobs)
    for told in decode(skipped, more) or ():
        print(told, file=sys.stderr, flush=True)  # noqa: T201 - beside the output of the program


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
    document, blobs = encode([[key, value] for key, value in (arguments or {}).items()])
    header = {"op": "call", "channel": _name(name), "arguments": document, "line": _line()}
    return decode(*_channel().request(header, blobs))


def declare_writes(ranges: Mapping[str, tuple[float, float]]) -> None:
    """Say before writing what will be written: for each channel the lowest and the highest value.

    Raises:
        TypeError: a range is not a pair of numbers.
        ValueError: a range runs backwards.
    """
    wanted: dict[str, list[float]] = {}
    for name, pair in ranges.items():
        try:
            low, high = (float(bound) for bound in pair)
        except (TypeError, ValueError):
            raise TypeError("the range of {!r} must be (low, high), not {!r:.100}".format(name, pair)) from None
        if not low <= high:
            raise ValueError("the range of {!r} must run from low to high, not from {} to {}".format(name, low, high))
        wanted[_name(name)] = [low, high]
    document, blobs = encode(wanted)
    _channel().request({"op": "declare_writes", "ranges": document}, blobs)


def progress(fraction: float, message: str = "") -> None:
    """Tell whoever waits how far the program is: `fraction` between 0 and 1, and a few words."""
    document, _ = encode(float(fraction))
    _channel().send({"op": "progress", "fraction": document, "message": str(message)[:1000]})


def publish(results: Mapping[str, Any]) -> None:
    """Hand over results early. The last ones published are kept if the run is ended before its end.

    Raises:
        TypeError: not a dict.
        ResultsError: the service does not take them.
    """
    if not isinstance(results, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("publish takes a dict of results, not {}".format(type(results).__name__))
    encoded = encode_results(results, limits=_Link.limits)
    _channel().request({"op": "publish", "problems": encoded.problems}, encoded.frames())


def connect(channel: Channel, given: Context, path: str, limits: Mapping[str, int]) -> None:
    """Open the API for the program at `path`; the worker calls it once, before the program starts."""
    global context
    _Link.channel, _Link.path, _Link.limits, context = channel, path, limits, given


def _channel() -> Channel:
    if _Link.channel is None:
        raise RuntimeError(
            "osprey_executor.runtime works only in a program that the service runs, in its own process; this process "
            "has no link to the service"
        )
    return _Link.channel


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError("a channel name is a string, not {}: {!r:.100}".format(type(name).__name__, name))
    return name


def _line() -> int | None:
    """Return the line of the program from which the present call came."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        if frame.f_code.co_filename == _Link.path:
            return frame.f_lineno
        frame = frame.f_back
    return None
