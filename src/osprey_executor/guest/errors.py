"""What calls of the runtime API raise: the names that the service uses, told across the link by name."""

from __future__ import annotations

from typing import Any


class ControlSystemError(Exception):
    """A channel cannot be read or written: not found, disconnected, or there is no control system."""


class WriteRefused(Exception):
    """A write outside what a person approved; it was not sent."""


class ChannelLimitsViolationError(WriteRefused):
    """A write outside the limits of its channel; it was not sent."""


class OutcomeUnknownError(Exception):
    """The write was sent, and no confirmation came back."""


class ResultsError(Exception):
    """`results` is not a dict, or does not fit the limits."""


_BY_NAME = {
    kind.__name__: kind
    for kind in (ControlSystemError, WriteRefused, ChannelLimitsViolationError, OutcomeUnknownError, ResultsError)
}


def error_from(reply: object) -> Exception:
    """Return the exception that the `error` of a reply tells of; an unknown name becomes ControlSystemError."""
    told: dict[Any, Any] = reply if isinstance(reply, dict) else {}  # pyright: ignore[reportUnknownVariableType]
    kind = _BY_NAME.get(str(told.get("type")), ControlSystemError)
    return kind(str(told.get("message", "the service gave no reason")))
