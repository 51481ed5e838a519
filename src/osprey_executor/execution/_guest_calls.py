"""What a guest may ask for while its program runs, checked, and passed to the broker's session."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from osprey_executor.errors import ControlSystemError, ResultsError, StorageError, WriteRefused
from osprey_executor.execution._guest_frames import Malformed
from osprey_executor.models import ControlSession
from osprey_executor.results.decoder import decode

MOST_CALL = 16 * 2**20
"""Bytes of arrays that one call may bring; the guest refuses more in words."""
_MOST_CHANNELS = 20_000
_LONGEST_NAME = 1000
_NO_CONTROL = "no control system: this run was given none, so it cannot read or write channels"

Call = Callable[[], Awaitable[Any]]


class GuestCalls:
    """Turns a request into a call on the session; None stands for no control system."""

    def __init__(self, control: ControlSession | None) -> None:
        self._control = control

    def call(self, op: str, header: dict[str, Any], blobs: Sequence[bytearray]) -> Call:
        """Return the call that `header` asks for.

        Raises:
            Malformed: it asks for nothing that there is, or not as the guest's own code would.
        """
        match op:
            case "read":
                return self._read(_names(header.get("channels")), _line(header.get("line")))
            case "write":
                return self._write(header.get("values"), blobs, _line(header.get("line")))
            case "call":
                return self._command(header, blobs)
            case "declare_writes":
                return self._declare(header.get("ranges"), blobs)
            case "history":
                return self._history(header)
            case _:
                raise Malformed(f"the unknown operation {op!r:.100}")

    async def broken(self, channel: Any, what: str) -> None:
        """Have it on record that a frame came which is none: it may have been meant as a write of `channel`."""
        if self._control is None:
            return
        with contextlib.suppress(WriteRefused, StorageError):
            await self._control.attempted(channel[:_LONGEST_NAME] if isinstance(channel, str) else "", {"frame": what})

    def _session(self) -> ControlSession:
        if self._control is None:
            raise ControlSystemError(_NO_CONTROL)
        return self._control

    def _read(self, names: list[str], line: int | None) -> Call:
        async def call() -> dict[str, Any]:
            readings = await self._session().read(names, line)
            return {name: readings[name].value for name in names}

        return call

    def _history(self, header: dict[str, Any]) -> Call:
        names, start, end = _names(header.get("channels")), _moment(header.get("start")), _moment(header.get("end"))
        told: Any = header.get("bin")
        if told is not None and type(told) not in (int, float):
            raise Malformed("a bin that is not a number")

        async def call() -> dict[str, Any]:
            found = await self._session().history(names, start, end, told)
            return {
                name: {"time": one.times, "value": one.values, "severity": one.severities}
                for name, one in ((name, found[name]) for name in names)
            }

        return call

    def _write(self, document: Any, blobs: Sequence[bytearray], line: int | None) -> Call:
        values = dict(_pairs(_decoded(document, blobs)))

        async def call() -> list[str]:
            skipped = await self._session().write(values, line)
            return [f"{one.channel} = {one.value}: left out: {one.reason}" for one in skipped or ()]

        return call

    def _command(self, header: dict[str, Any], blobs: Sequence[bytearray]) -> Call:
        name, line = _name(header.get("channel")), _line(header.get("line"))
        arguments = dict(_pairs(_decoded(header.get("arguments"), blobs)))

        async def call() -> Any:
            return await self._session().call(name, arguments, line)

        return call

    def _declare(self, document: Any, blobs: Sequence[bytearray]) -> Call:
        ranges: dict[str, tuple[float, float]] = {}
        told = _decoded(document, blobs)
        if not isinstance(told, dict):
            raise Malformed("ranges that are not a dict")
        for name, pair in _pairs(list(cast(dict[Any, Any], told).items())):
            bounds = cast(list[Any], pair) if isinstance(pair, list) else []
            if len(bounds) != 2 or not all(type(bound) in (int, float) for bound in bounds):
                raise Malformed("a range that is not a pair of numbers")
            ranges[name] = (float(bounds[0]), float(bounds[1]))

        async def call() -> None:
            await self._session().declare_writes(ranges)

        return call


def _decoded(document: Any, blobs: Sequence[bytearray]) -> Any:
    try:
        return decode(document, blobs)
    except ResultsError as error:
        raise Malformed(f"values that cannot be rebuilt ({error})") from None


def _names(told: Any) -> list[str]:
    if not isinstance(told, list) or len(cast(list[Any], told)) > _MOST_CHANNELS:
        raise Malformed("names of channels that are not a list")
    return [_name(name) for name in cast(list[Any], told)]


def _name(told: Any) -> str:
    if not isinstance(told, str) or len(told) > _LONGEST_NAME:
        raise Malformed("the name of a channel that is not a short text")
    return told


def _moment(told: Any) -> datetime:
    try:
        if type(told) in (int, float):
            return datetime.fromtimestamp(told, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise Malformed("a moment that is not seconds since 1970")


def _pairs(told: Any) -> list[tuple[str, Any]]:
    if not isinstance(told, list) or len(cast(list[Any], told)) > _MOST_CHANNELS:
        raise Malformed("values of channels that are not a list")
    pairs: list[tuple[str, Any]] = []
    for item in cast(list[Any], told):
        pair = cast(list[Any], item) if isinstance(item, list | tuple) else []
        if len(pair) != 2:
            raise Malformed("a value of a channel that is not a pair")
        pairs.append((_name(pair[0]), pair[1]))
    return pairs


def _line(told: Any) -> int | None:
    return told if type(told) is int and 0 < told < 2**31 else None
