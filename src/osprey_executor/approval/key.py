"""The key that signs grants."""

from __future__ import annotations

from pathlib import Path

from osprey_executor.keys import state_key


def approval_key(home: Path) -> bytes:
    """Return the key of a state folder that signs grants; see `state_key`.

    Raises:
        StorageError: as there.
    """
    return state_key(home, "approval.key", "approval key")
