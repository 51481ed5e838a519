"""Keys that sign: made once per state folder, readable by its owner only."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from osprey_executor.errors import StorageError

_BYTES = 32


def state_key(home: Path, name: str, what: str) -> bytes:
    """Return a key of a state folder; the first caller makes it, and of several at once one wins.

    Args:
        home: the state folder.
        name: of the file.
        what: the key in words, for messages: `approval key`.

    Raises:
        StorageError: the key cannot be made or read, others may read it, or it is damaged.
    """
    path = home / name
    try:
        if not path.is_symlink() and not path.exists():
            _make(home, path)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise StorageError(
            f"the {what} {path} cannot be made or read ({error.strerror}): check the state folder's owner"
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if os.name == "posix" and (not stat.S_ISREG(mode) or mode & 0o077):
            raise StorageError(f"others than its owner may read the {what} {path}: chmod 600 {path}")
        key = file.read(_BYTES + 1)
    if len(key) != _BYTES:
        raise StorageError(f"the {what} {path} is damaged ({len(key)} bytes): delete it; what it signed is void then")
    return key


def _make(home: Path, path: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    draft = home / f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A hard link appears whole or not at all, and never replaces a key that another process made meanwhile.
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
