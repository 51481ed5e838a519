"""What of a run can be taken back: looked up in its journal, compared with the machine as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from osprey_executor.control.broker._start import allowed_difference, held, same
from osprey_executor.control.connectors._protocol import Connector
from osprey_executor.control.limits._file import LimitsInForce
from osprey_executor.control.limits._run import RunLimits
from osprey_executor.errors import ControlSystemError, StorageError
from osprey_executor.models import ControlSystemReport, LeftChannel, RestoredChannel, Restoring, Settled
from osprey_executor.models.plan import PlainValue
from osprey_executor.text import one_line

_MOST_JOURNAL = 2**30
_TURNED = "somebody else has changed it since"


@dataclass
class _Written:
    before: PlainValue | None
    left: PlainValue | None = None
    known: bool = True


async def restoring_of(
    run_id: str,
    journal: Path,
    connector: Connector,
    report: ControlSystemReport,
    limits: LimitsInForce | None,
) -> Restoring:
    """Return what a restore of a run would do now. Nothing is written.

    Only what the limits database calls `restorable` is brought back; where there is no database, everything on a
    simulated control system and nothing on a real one. A channel that is not as the run left it is left alone.

    Args:
        run_id: of the run whose journal it is.
        journal: of that run.
        connector: of the control system that it wrote to.
        report: which one that is.
        limits: the limits database, as it is now.

    Raises:
        StorageError: the journal cannot be read.
    """
    written = _written(journal)
    names = list(reversed(written))
    database = RunLimits(limits.database) if limits and limits.database else None
    back: list[RestoredChannel] = []
    left: list[LeftChannel] = []
    for name in names:
        found = await _one(name, written[name], connector, database, simulated=not report.real and limits is None)
        if isinstance(found, RestoredChannel):
            back.append(found)
        elif found is not None:
            left.append(found)
    return Restoring(run_id=run_id, channels=tuple(back), left=tuple(left))


async def _one(
    name: str, written: _Written, connector: Connector, database: RunLimits | None, *, simulated: bool
) -> RestoredChannel | LeftChannel | None:
    entry = database.of(name) if database is not None else None
    if not simulated and (entry is None or not entry.restorable):
        return LeftChannel(channel=name, reason="the limits database does not call it restorable")
    if not written.known:
        return LeftChannel(channel=name, reason="nobody can say what the run left there")
    if written.before is None or (isinstance(written.before, str) and written.before.startswith("array of ")):
        return LeftChannel(channel=name, reason="what it held before is not in the journal as a value")
    try:
        present = held((await connector.read([name]))[name])
    except ControlSystemError as error:
        return LeftChannel(channel=name, reason=f"it cannot be read: {one_line(str(error), 200)}")
    if present is None:
        return LeftChannel(channel=name, reason="it has no valid value")
    if same(present, written.before):
        return None
    if not same(present, written.left, allowed_difference(entry, present)):
        return LeftChannel(channel=name, reason=_TURNED)
    step = entry.max_step if entry else None
    return RestoredChannel(channel=name, present=present, before=written.before, max_step=step)


def _written(journal: Path) -> dict[str, _Written]:
    """Return the channels of a journal by name, in the order in which the run came to them."""
    written: dict[str, _Written] = {}
    for entry in _entries(journal):
        name, event = entry.get("channel"), entry.get("event")
        if not isinstance(name, str):
            continue
        if event == "intended":
            written.setdefault(name, _Written(_value(entry.get("before")))).known = False
        elif event in ("not_sent", "refused", "failed") and name in written:
            written[name].known = True
        elif event == "confirmed" and name in written:
            written[name].left, written[name].known = _value(entry.get("left")), True
        elif event == "settled" and name in written:
            _settle(written[name], entry)
    return {name: one for name, one in written.items() if one.left is not None or not one.known}


def _settle(written: _Written, entry: dict[str, Any]) -> None:
    """Take what a look at the channel has settled: that the last write came, or did not, and what was there then."""
    if entry.get("outcome") == Settled.NOT_WRITTEN:
        written.known = True
    elif entry.get("outcome") == Settled.WRITTEN:
        try:
            written.left, written.known = float(str(entry.get("seen"))), True
        except ValueError:  # a text, which the journal has in words only
            return


def _value(told: Any) -> PlainValue | None:
    if isinstance(told, list):
        return tuple(float(each) for each in cast("list[Any]", told))
    return told if isinstance(told, int | float | str) and not isinstance(told, bool) else None


def _entries(journal: Path) -> Iterable[dict[str, Any]]:
    try:
        with journal.open("rb") as file:
            data = file.read(_MOST_JOURNAL)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"the journal {journal} cannot be read: {error.strerror}") from error
    for line in data.splitlines():
        try:
            yield dict(json.loads(line))
        except (ValueError, TypeError, RecursionError):
            continue
