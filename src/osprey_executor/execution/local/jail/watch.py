"""What a restricted sandbox must watch because no namespace and no mount limits it: memory, processes, folders."""

from __future__ import annotations

import time

from . import family, tree
from .folders import Contents, Uncountable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .restricted_spec import RestrictedSpec

_MOST_TMP_FILES = 65536
_SHARE = 20
"""A look into the folders may take one in so many parts of the time."""


class Watch:
    """Compares what the code uses with its limits; tells what is passed as a message for the service."""

    def __init__(self, spec: RestrictedSpec) -> None:
        """Take the limits of `spec`."""
        self._spec = spec
        self._next = 0.0

    def look(self) -> str | None:
        """Return which limit is passed now."""
        if not self._spec["watch"]:
            return None
        processes = family.members(self._spec["tasks"])
        if len(processes) > self._spec["tasks"]:
            return f"limit processes {len(processes)}"
        return self._tree(processes) or self._folders_now_and_then(processes)

    def last_look(self) -> str | None:
        """Return which limit of the folders is passed in the end, when no process is left."""
        return self._folders([]) if self._spec["watch"] else None

    def _tree(self, processes: list[str]) -> str | None:
        memory, tasks = tree.measure_of(processes)
        if tasks > self._spec["tasks"]:
            return f"limit processes {tasks}"
        if memory > self._spec["memory"]:
            memory = sum(tree.measure_exactly_of(processes))
            if memory > self._spec["memory"]:
                return f"limit memory {memory}"
        return None

    def _folders_now_and_then(self, processes: list[str]) -> str | None:
        before = time.monotonic()
        if before < self._next:
            return None
        found = self._folders(processes)
        now = time.monotonic()
        self._next = now + _SHARE * (now - before)
        return found

    def _folders(self, processes: list[str]) -> str | None:
        spec = self._spec
        try:
            folder, tmp = Contents(spec["folder"]), Contents(spec["tmp"])
            folder.add_nameless(processes)
        except Uncountable as why:
            return f"limit {why} 0"
        if folder.files > spec["folder_files"]:
            return f"limit files {folder.files}"
        if folder.bytes > spec["folder_size"]:
            return f"limit folder {folder.bytes}"
        if tmp.bytes > spec["tmp_size"] or tmp.files > _MOST_TMP_FILES:
            return f"limit tmp {tmp.bytes}"
        return None
