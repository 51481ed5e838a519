"""What came over one link, once it is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from osprey_executor.execution._exhausted import KINDS, Exhausted
from osprey_executor.execution._guest_frames import Malformed

_LONGEST = {"type": 200, "message": 10_000, "traceback": 50_000}


@dataclass(frozen=True)
class GuestError:
    """What went wrong in the program, as the guest tells it; hostile text."""

    type: str
    message: str
    traceback: str | None = None
    """Trimmed to the frames of the program."""
    line: int | None = None
    exhausted: Exhausted | None = None
    """The limit that it is about."""


@dataclass(frozen=True)
class GuestReport:
    """All that came over one link. Everything in it is a claim of the code; the monitor tells the status."""

    started: bool = False
    """Whether the guest's own code was ever heard of: if not, interpreter or environment are to blame."""
    finished: bool = False
    """Whether the program ran to its end (or its error) and said so properly."""
    has_results: bool = False
    results: dict[str, Any] = field(default_factory=dict[str, Any])
    problems: tuple[str, ...] = ()
    """What a person should know of results and figures: kept as text, left out."""
    error: GuestError | None = None
    figures: tuple[bytes, ...] = ()
    """PNG files in the order in which the figures were made."""
    published: dict[str, Any] | None = None
    """What the program published last, where it left no results at its end."""
    violation: str | None = None
    """The program wrote to the link itself: 'it sent ...'. The run has failed and must be ended."""


def guest_error(told: Any) -> GuestError:
    """Return the error of a `finish` frame.

    Raises:
        Malformed: it is not one.
    """
    if not isinstance(told, dict):
        raise Malformed("an error that is not one")
    fields = cast(dict[str, Any], told)
    texts: dict[str, str | None] = {}
    for name, most in _LONGEST.items():
        text = fields.get(name)
        if not isinstance(text, str) and not (text is None and name == "traceback"):
            raise Malformed("an error that is not one")
        texts[name] = None if text is None else text[:most].encode("utf-8", "backslashreplace").decode()
    line = fields.get("line")
    return GuestError(
        texts["type"] or "Exception",
        texts["message"] or "",
        texts["traceback"],
        line if type(line) is int and 0 < line < 2**31 else None,
        _exhausted(fields.get("exhausted")),
    )


def _exhausted(told: Any) -> Exhausted | None:
    if told is None:
        return None
    fields = cast(dict[str, Any], told) if isinstance(told, dict) else {}
    limit, of = fields.get("limit"), fields.get("of")
    if not isinstance(limit, str) or limit not in KINDS or type(of) is not int:
        raise Malformed("a limit that is not one")
    return Exhausted(limit, of)
