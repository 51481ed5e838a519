"""The EPICS Archiver Appliance, asked over HTTP.

Source: EPICS Archiver Appliance, user guide, "Retrieving data using other tools" and "Processing of data".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, cast

from osprey_executor.control.connectors._lacking import NoLiveValues
from osprey_executor.errors import ConfigurationError, ControlSystemError, MissingExtraError
from osprey_executor.models import History
from osprey_executor.text import one_line

_PATH = "/retrieval/data/getData.json"
_MOST_BYTES = 64 * 2**20
"""Of one answer; about a million values."""
_AT_ONCE = 4
_NOT_FOUND = 404


class EpicsArchiver(NoLiveValues):
    """Past values only. A redirect is never followed: the appliance is the one that the configuration names.

    With a bin, the appliance itself takes the mean (`mean_60(CHANNEL)`), and tells each with the middle of its bin.

    Args:
        url: where the appliance answers, without `/retrieval`; None: every question is an error that says so.
        timeout: for one call, in seconds.
    """

    def __init__(self, url: str | None, *, timeout: float = 60.0) -> None:
        self.addresses: tuple[str, ...] = (url,) if url else ()
        self._timeout = timeout

    async def connect(self) -> None:
        """Nothing to do: each call has its own connections."""

    async def close(self) -> None:
        """Nothing to do."""

    async def history(
        self, channels: Sequence[str], start: datetime, end: datetime, bin: float | None = None
    ) -> Mapping[str, History]:
        """Return what the appliance has; the value that was valid at `start` comes first, with its earlier time.

        Raises:
            ConfigurationError: no address is configured.
            ControlSystemError: it does not answer in time, has no such channel, or answers what is no history.
        """
        if not self.addresses:
            raise ConfigurationError("archiver.epics_archiver.url is not set: name the appliance, http://HOST:17665")
        httpx: Any = import_module("httpx")
        # Neither proxies nor credentials of whoever started the service. The header asks a cluster to fetch from its
        # other members by itself, where it would redirect us to them.
        client = httpx.AsyncClient(
            base_url=self.addresses[0], trust_env=False, follow_redirects=False, headers={"redirect": "false"}
        )
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(channel: str) -> History:
            async with turn:
                return await self._one(client, channel, start, end, bin)

        tasks = [asyncio.ensure_future(one(channel)) for channel in channels]
        try:
            async with client, asyncio.timeout(self._timeout):
                return dict(zip(channels, await asyncio.gather(*tasks), strict=True))
        except TimeoutError:
            raise ControlSystemError(
                f"the archiver {self._told()} did not answer within {self._timeout:g} s: ask for less, or raise "
                "archiver.epics_archiver.timeout"
            ) from None
        except httpx.HTTPError as error:
            raise ControlSystemError(
                f"the archiver {self._told()} cannot be asked: {one_line(str(error)) or type(error).__name__}"
            ) from error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, client: Any, channel: str, start: datetime, end: datetime, bin: float | None) -> History:
        name = channel if bin is None else f"mean_{int(bin)}({channel})"
        asked = {"pv": name, "from": _written(start), "to": _written(end)}
        async with client.stream("GET", _PATH, params=asked, timeout=self._timeout) as answer:
            if answer.is_redirect:
                raise ControlSystemError(
                    f"the archiver {self._told()} points elsewhere ({one_line(answer.headers.get('location', ''), 200)}"
                    "), which is not followed: set archiver.epics_archiver.url to the appliance itself"
                )
            if answer.status_code == _NOT_FOUND:
                raise ControlSystemError(f"{one_line(channel)}: the archiver has no such channel")
            if not answer.is_success:
                raise ControlSystemError(f"the archiver {self._told()} answered with HTTP {answer.status_code}")
            body = bytearray()
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > _MOST_BYTES:
                    raise ControlSystemError(
                        f"{one_line(channel)}: more than {_MOST_BYTES >> 20} MiB of history: ask for less time, or "
                        "give a bin"
                    )
        try:
            return await asyncio.to_thread(_history, channel, bytes(body))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ControlSystemError(
                f"{one_line(channel)}: the archiver {self._told()} answered what is no history: "
                f"{one_line(f'{type(error).__name__}: {error}', 200)}"
            ) from error

    def _told(self) -> str:
        return one_line(self.addresses[0], 200)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _history(channel: str, body: bytes) -> History:
    """Make arrays of an answer: a list with one object for the channel, with `meta` and `data`."""
    try:
        import numpy as np
    except ModuleNotFoundError as error:
        raise MissingExtraError("history (numpy)", "science") from error
    told: Any = json.loads(body)
    if not isinstance(told, list):
        raise ValueError("not a list")
    if not told:  # so an appliance says that it has the channel, and nothing of that time
        told = [{"meta": {}, "data": []}]
    found = cast(list[dict[str, Any]], told)[0]
    rows: list[dict[str, Any]] = found["data"]
    seconds = np.array([row["secs"] for row in rows], dtype=np.int64)
    nanoseconds = np.array([row.get("nanos", 0) for row in rows], dtype=np.int64)
    values: list[Any] = [row["val"] for row in rows]
    severities = np.array([row.get("severity", 0) for row in rows], dtype=np.int64)
    order = np.argsort(seconds * 1_000_000_000 + nanoseconds, kind="stable")
    return History(
        channel=channel,
        times=(seconds * 1_000_000_000 + nanoseconds)[order].astype("datetime64[ns]"),
        values=_column(np, [values[at] for at in order.tolist()]),
        severities=np.clip(severities[order], 0, 3).astype(np.uint8),
        units=one_line(str(found["meta"].get("EGU", "")), 40),
    )


def _column(np: Any, values: list[Any]) -> Any:
    """Return numbers as one array, arrays of one length as an array with a row for each, everything else as a list."""
    if all(type(value) in (int, float) for value in values):
        return np.array(values, dtype=np.float64)
    lists = [cast(list[Any], value) for value in values if isinstance(value, list)]
    if len(lists) == len(values):
        if any(type(item) not in (int, float) for row in lists for item in row):
            raise ValueError("an array with elements that are not numbers")
        if len({len(row) for row in lists}) == 1:
            return np.array(lists, dtype=np.float64)
        return [np.array(row, dtype=np.float64) for row in lists]
    return [value if type(value) in (int, float) else str(value) for value in values]
