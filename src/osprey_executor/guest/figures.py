"""Keeps matplotlib figures."""

from __future__ import annotations

from .channel import Channel


class FigureKeeper:
    """Placeholder until the next commit of this file."""

    def __init__(self, channel: Channel) -> None:
        self.notes: list[str] = []

    def finish(self) -> None:
        """Render what is left."""
