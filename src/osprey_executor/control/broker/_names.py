"""Channel names, made canonical once: what is one channel has one name, and what is no name is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass

from osprey_executor.text import one_line

_LONGEST = 200
# Printable ASCII but blanks, quotes, backslash, `*` and `?` (patterns) and braces (filters of EPICS).
_NAME = re.compile(r"[!#$%&()+,\-/0-9:;<=>@A-Z\[\]^_`a-z|~]+(?:\.([A-Za-z0-9_]+\$?))?")


@dataclass(frozen=True)
class ChannelName:
    """A channel by its one name."""

    canonical: str
    """`X` for both `X` and `X.VAL`; with its field where it names another one."""
    is_field: bool
    """Whether it names a field other than the value: `X.DRVH`, `X.PROC`, `X.VAL$`."""


def channel_name(name: object) -> ChannelName:
    """Return the canonical name.

    Raises:
        ValueError: not a channel name; the message says why.
    """
    if not isinstance(name, str):
        raise ValueError(f"a channel name is a text, not {type(name).__name__}")
    if len(name) > _LONGEST:
        raise ValueError(f"{one_line(name, 60)} is longer than {_LONGEST} characters")
    found = _NAME.fullmatch(name)
    if not found:
        raise ValueError(
            f"{one_line(repr(name), 100)} is not a channel name: "
            "printable ASCII without blanks, quotes, patterns and filters"
        )
    if found[1] == "VAL":
        return ChannelName(name.removesuffix(".VAL"), False)
    return ChannelName(name, found[1] is not None)
