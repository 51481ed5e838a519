"""The limits database on the disk: read anew whenever it is asked for, parsed anew when it has changed."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from osprey_executor.config import ControlSystemConfig
from osprey_executor.control.limits._database import LimitsDatabase
from osprey_executor.control.limits._reader import OnViolation, database_of
from osprey_executor.control.limits._text import bytes_of
from osprey_executor.errors import ConfigurationError
from osprey_executor.models import LimitsReport


@dataclass(frozen=True)
class LimitsInForce:
    """The limits database at one moment. What an approval binds, and what its run obeys, is one such object."""

    report: LimitsReport
    database: LimitsDatabase | None
    """None: it cannot be used."""

    @property
    def shut(self) -> str | None:
        """Why nothing is written at all; None: the database decides."""
        if self.database is not None:
            return None
        return f"the limits database cannot be used, so nothing is written: {self.report.problem}"


class LimitsFile:
    """The file that a configuration names.

    Args:
        path: YAML or JSON.
        allow_unlisted: where the file does not say `allow_unlisted_channels`.
        on_violation: where the file does not say it.
    """

    def __init__(
        self, path: Path, *, allow_unlisted: bool | None = None, on_violation: OnViolation | None = None
    ) -> None:
        self._path = path
        self._allow_unlisted = allow_unlisted
        self._on_violation: OnViolation | None = on_violation

    @classmethod
    def of(cls, config: ControlSystemConfig) -> LimitsFile | None:
        """Return the file that a configuration names, None if it names none."""
        if config.limits_database is None:
            return None
        return cls(
            config.limits_database,
            allow_unlisted=config.allow_unlisted_channels,
            on_violation=config.on_violation,
        )

    def now(self) -> LimitsInForce:
        """Return the database as it is now. Blocks while it reads; never raises for what is in the file."""
        digest = None
        try:
            raw = bytes_of(self._path)
            digest = hashlib.sha256(raw).hexdigest()
            database = _parsed(raw, self._path, self._allow_unlisted, self._on_violation)
        except ConfigurationError as error:
            return LimitsInForce(LimitsReport(path=str(self._path), digest=digest, problem=str(error)), None)
        report = LimitsReport(
            path=str(self._path),
            digest=digest,
            channels=len(database.exact),
            patterns=len(database.patterns),
            allow_unlisted=database.allow_unlisted,
            skip=database.skip,
        )
        return LimitsInForce(report, database)


@functools.lru_cache(maxsize=2)
def _parsed(raw: bytes, path: Path, allow_unlisted: bool | None, on_violation: OnViolation | None) -> LimitsDatabase:
    return database_of(raw, path, allow_unlisted=allow_unlisted, on_violation=on_violation)


def limits_problem(config: ControlSystemConfig) -> str | None:
    """Return why the limits database of a configuration cannot be used; None: it can, or there is none."""
    file = LimitsFile.of(config)
    return file.now().report.problem if file else None
