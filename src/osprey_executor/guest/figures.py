"""Keeps every matplotlib figure of the program: open or closed, of pyplot or the object API, in creation order.

A figure is sent when it is closed, so that it survives a time-out, and the others at the end. matplotlib is never
imported from here: its modules are patched when the program imports them, or at once where they are loaded already.
"""

from __future__ import annotations

import os
import warnings
import weakref
from io import BytesIO
from typing import Any, Callable

from .channel import Channel
from .imports import after_import
from .shown import class_name, safe_str

MOST_FIGURES = 100
_MOST_PIXELS = 16e6
_HOLDS = ("axes", "lines", "patches", "texts", "images", "legends", "artists", "subfigs")


class _Entry:
    """One figure: alive until it is closed; after that only watched, in case the program goes on drawing in it."""

    def __init__(self, number: int, figure: Any) -> None:
        self.number = number
        self.figure: Any = figure
        self.closed: weakref.ref[Any] | None = None
        self.changed = True


class FigureKeeper:
    """Watches the figures of this process and sends them; `notes` says what is missing and why."""

    def __init__(self, channel: Channel | None = None) -> None:
        self.notes: list[str] = []
        self.sent = 0
        self._sizes: dict[int, int] = {}
        self._channel = channel
        self._save: Any = None
        self._entries: list[_Entry] = []
        self._made = self._too_many = 0
        os.environ.setdefault("MPLBACKEND", "Agg")
        for name, patch in (
            ("matplotlib.figure", self._watch_figures),
            ("matplotlib._pylab_helpers", self._watch_closing),
            ("matplotlib.backend_bases", _silence_show),
        ):
            after_import(name, self._noting(patch))

    def connect(self, channel: Channel) -> None:
        """Send figures there; without a channel none is kept."""
        self._channel = channel

    def finish(self) -> None:
        """Send what is still open, and closed figures that changed since."""
        for entry in list(self._entries):
            figure = entry.figure if entry.closed is None else entry.closed()
            if figure is not None and entry.changed:
                self._send(entry, figure)
        if self._too_many:
            self.notes.append("{} figures beyond the first {} were not kept".format(self._too_many, MOST_FIGURES))
            self._too_many = 0
        self._entries.clear()

    def _noting(self, patch: Callable[[Any], None]) -> Callable[[Any], None]:
        def tried(module: Any) -> None:
            try:
                patch(module)
            except Exception as error:
                self.notes.append(
                    "this matplotlib is made otherwise, so figures may be missing: {}: {}".format(
                        class_name(error), safe_str(error, 200)
                    )
                )

        return tried

    def _watch_figures(self, module: Any) -> None:
        original = module.Figure.__init__
        # Held from now on: what the program puts in its place later draws nothing of ours.
        self._save = module.Figure.savefig

        def made(figure: Any, *args: Any, **kwargs: Any) -> None:
            original(figure, *args, **kwargs)
            self._register(figure)

        made.__wrapped__ = original  # type: ignore[attr-defined]
        made.__doc__ = original.__doc__
        module.Figure.__init__ = made

    def _watch_closing(self, module: Any) -> None:
        gcf = module.Gcf
        destroy, destroy_all = gcf.destroy, gcf.destroy_all

        def destroyed(num: Any) -> None:
            manager = num if hasattr(num, "canvas") else gcf.figs.get(num)
            if manager is not None and manager in gcf.figs.values():
                self._close(manager.canvas.figure)
            destroy(num)

        def all_destroyed() -> None:
            for manager in list(gcf.figs.values()):
                self._close(manager.canvas.figure)
            destroy_all()

        gcf.destroy, gcf.destroy_all = staticmethod(destroyed), staticmethod(all_destroyed)

    def _register(self, figure: Any) -> None:
        if self._foreign() or any(entry.figure is figure for entry in self._entries):
            return
        if len(self._sizes) + sum(entry.closed is None for entry in self._entries) >= MOST_FIGURES:
            self._too_many += 1
            return
        self._made += 1
        self._entries.append(_Entry(self._made, figure))

    def _close(self, figure: Any) -> None:
        entry = next((entry for entry in self._entries if entry.figure is figure), None)
        if entry is None or self._foreign():
            return
        self._send(entry, figure)
        entry.figure = None
        entry.closed = weakref.ref(figure, lambda _: self._forget(entry))
        _watch_changes(entry, figure)

    def _foreign(self) -> bool:
        return self._channel is None or not self._channel.mine()

    def _forget(self, entry: _Entry) -> None:
        if entry in self._entries:
            self._entries.remove(entry)

    def _send(self, entry: _Entry, figure: Any) -> None:
        try:
            if not any(getattr(figure, name, None) for name in _HOLDS):
                return
            png = self._rendered(figure, entry.number)
            if self._channel is not None:
                self._channel.send({"op": "figure", "index": entry.number}, [png])
            self._sizes[entry.number] = len(png)
            self.sent = sum(self._sizes.values())
            entry.changed = False
        except BaseException as error:
            self.notes.append(
                "figure {} could not be drawn: {}: {}".format(entry.number, class_name(error), safe_str(error, 200))
            )

    def _rendered(self, figure: Any, number: int) -> bytes:
        width, height = (float(size) for size in figure.get_size_inches())
        dpi = float(figure.dpi)
        if width * height * dpi * dpi > _MOST_PIXELS:
            dpi = (_MOST_PIXELS / (width * height)) ** 0.5
            self.notes.append("figure {} is very large and was kept at {:.3g} dots per inch".format(number, dpi))
        buffer = BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._save(figure, buffer, format="png", dpi=dpi)
        return buffer.getvalue()


def _watch_changes(entry: _Entry, figure: Any) -> None:
    """Note when the program goes on drawing in a closed figure, as `plt.close(fig)` right after `subplots` is usual."""
    before = figure.stale_callback

    def changed(artist: Any, stale: bool) -> None:
        entry.changed = entry.changed or stale
        if before is not None:
            before(artist, stale)

    figure.stale_callback = changed


def _silence_show(module: Any) -> None:
    """Make `plt.show()` do nothing where there is no window; without this it warns wherever $DISPLAY is set."""

    def show(self: Any) -> None:
        return None

    module.FigureManagerBase.show = show
