"""The limit that an error of the program was about, in the words in which every limit is told."""

from __future__ import annotations

from dataclasses import dataclass

from osprey_executor.models import Limits, show_size

KINDS = frozenset({"memory", "open_files", "file_size", "processes", "folder", "files", "tmp", "shm"})
_PAGE = 1 << 16
"""File systems round up to a page, of this size at most."""
_OWN = 4
"""Files and processes of ours that are granted on top."""


@dataclass(frozen=True)
class Exhausted:
    """What the guest saw at an error; a claim, like the error itself."""

    limit: str
    of: int
    """How much there is in all, as the kernel told: bytes or a number."""


def name_exhausted(claim: Exhausted | None, limits: Limits) -> str | None:
    """Return the limit that was passed, or None where what the guest saw is no limit of this run."""
    if claim is None:
        return None
    match claim.limit:
        case "memory":
            return name_limit("memory", limits)
        case "shm" if _near(claim.of, limits.memory // 2, _PAGE):
            return name_limit("memory", limits) + ", of which /dev/shm may hold half"
        case "file_size" if claim.of == max(limits.folder, limits.tmp):
            key = "folder" if limits.folder >= limits.tmp else "tmp"
            return name_limit(key, limits) + " by one file"
        case "folder" | "tmp" if _near(claim.of, getattr(limits, claim.limit), _PAGE):
            return name_limit(claim.limit, limits)
        case "files" | "processes" | "open_files" if _near(claim.of, getattr(limits, claim.limit), _OWN):
            return name_limit(claim.limit, limits)
        case _:
            return None


def name_limit(key: str, limits: Limits, how: str = "exceeded") -> str:
    """Return a limit in the words in which it is told: `memory limit 256 MiB exceeded (limits.memory)`."""
    most: int = getattr(limits, key)
    amount = show_size(most) if key in ("memory", "folder", "tmp") else str(most)
    word = {"processes": "process", "open_files": "open file", "files": "file"}.get(key, key)
    return f"{word} limit {amount} {how} (limits.{key})"


def _near(granted: int, limit: int, more: int) -> bool:
    return limit <= granted <= limit + more
