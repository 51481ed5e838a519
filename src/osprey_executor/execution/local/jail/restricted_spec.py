"""What the service tells the monitor of a restricted sandbox, in the manner of `spec`."""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import Line

    class RestrictedSpec(Line):
        """All that the monitor knows. Sizes are in bytes."""

        code_id: int
        """User and group of the code; -1: it stays who it is."""
        rules: list[tuple[str, int]]
        """For Landlock: (path, rights below it)."""
        landlock: bool
        folder: str
        folder_size: int
        folder_files: int
        tmp: str
        tmp_size: int
        copies: list[tuple[str, str]]
        """(source, target): files copied before the code starts, for its user to read."""
        executable: str
        argv: list[str]
        environment: dict[str, str]
        rlimits: list[tuple[int, int, int]]
        """(which, soft, hard)."""
        filters: list[bytes]
        """Programs for seccomp, in the order in which they are loaded."""
        watch: bool
        memory: int
        tasks: int
        tick: float
        """Seconds between two looks at the tree."""


def read_restricted_spec(descriptor: int) -> RestrictedSpec:
    """Return the specification that waits at `descriptor`, and close it."""
    with os.fdopen(descriptor, "rb") as stream:
        return marshal.loads(stream.read())  # noqa: S302 - written by the service, see `spec`
