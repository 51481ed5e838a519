"""The kill switch: a file whose presence stops every write of every process that uses the state folder.

Each write looks at it in the moment before it is sent, so the switch needs no message to anyone, and a process that
died cannot have missed one. It is off only if that can be seen: a switch that cannot be looked at is on.
"""

from __future__ import annotations

import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from osprey_executor.audit import Trail
from osprey_executor.errors import StorageError
from osprey_executor.text import one_line

_NAME = "writes-stopped.json"
_MOST = 10_000
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class StopSwitch:
    """The switch of a state folder, and of a site where the configuration names a file.

    Args:
        home: the state folder; None: there is none.
        site: a file that stops writes, too, whatever is in it; its folder must exist.
    """

    def __init__(self, home: Path | None, site: Path | None = None) -> None:
        self._own = home / _NAME if home is not None else None
        self._paths = [path for path in (self._own, site) if path is not None]

    def on(self) -> str | None:
        """Return why nothing may be written now; None: it is off. Two calls of the kernel a file where it is off."""
        for path in self._paths:
            try:
                path.lstat()
            except FileNotFoundError:
                if path.parent.is_dir():
                    continue
                return f"the stop switch {path} cannot be looked at: its folder is gone"
            except OSError as error:
                return f"the stop switch {path} cannot be looked at: {error.strerror}"
            return _words(path) if path == self._own else f"writes are stopped: {path} is there"
        return None

    def stop(self, by: str, reason: str) -> bool:
        """Turn that of the state folder on; False: it was on before, and stays as it was. It outlives a loss of power.

        Raises:
            StorageError: writes are not stopped.
        """
        path = self._of_state_folder()
        told = {"by": by, "at": _now(), "reason": reason}
        aside = path.with_name(f".{secrets.token_hex(8)}.writing")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _put(aside, _NEW, told)
            try:
                os.link(aside, path)  # whole at once, and never in the place of another's
            except FileExistsError:
                return False
            finally:
                aside.unlink()
            _make_durable(path.parent)
            Trail(path.parent).note("writes stopped", durable=True, by=by, reason=reason)
        except OSError as error:
            if os.path.lexists(path):  # what failed came after it
                return True
            raise StorageError(
                f"WRITES ARE NOT STOPPED: {path} cannot be made ({error.strerror}); set "
                "control_system.writes_enabled to false and end the services, or stop writes at the machine"
            ) from error
        return True

    def release(self, by: str) -> str | None:
        """Turn that of the state folder off; return what it said, None: it was off.

        Raises:
            StorageError: it is still on; also where the audit trail cannot hold it.
        """
        path = self._of_state_folder()
        try:
            if not os.path.lexists(path):
                return None
            said = _words(path)
            Trail(path.parent).record("writes allowed", durable=True, by=by)
            path.unlink()
            _make_durable(path.parent)
        except OSError as error:
            raise StorageError(f"writes stay stopped: {path} cannot be removed ({error.strerror})") from error
        return said

    def _of_state_folder(self) -> Path:
        assert self._own is not None, "only the switch of a state folder is turned"
        return self._own


def _words(path: Path) -> str:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            told = cast("dict[str, Any]", dict(json.loads(file.read(_MOST))))
    except (OSError, ValueError, TypeError, RecursionError):
        return f"writes are stopped: {path} is there"
    by, at, reason = (one_line(str(told.get(name, "?")), 200) for name in ("by", "at", "reason"))
    return f"writes are stopped by {by} since {at}{f': {reason}' if reason else ''}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _put(path: Path, flags: int, entry: dict[str, str]) -> None:
    descriptor = os.open(path, flags, 0o600)
    try:
        os.write(descriptor, json.dumps(entry).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
