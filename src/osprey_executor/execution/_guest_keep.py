"""What a guest hands over - results, figures, early results - bounded, checked, and decoded only at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from osprey_executor.errors import ResultsError
from osprey_executor.execution._events import FigureDrawn
from osprey_executor.execution._guest_frames import Frame, Malformed
from osprey_executor.models import Limits, show_size
from osprey_executor.results.decoder import decode_results

MOST_FIGURES = 100
_MOST_PROBLEMS = 200
_LONGEST_PROBLEM = 1000
_MOST_PIXELS = 100_000_000
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Kept:
    """What is left at the end of a link."""

    results: dict[str, Any] | None
    published: dict[str, Any] | None
    figures: tuple[bytes, ...]
    problems: tuple[str, ...]
    refused: str | None
    """Why results that were handed over were not taken."""


class GuestKeep:
    """Keeps frames as they came. Only the last early results are kept; all figures count against the limit."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._figures: dict[int, bytearray] = {}
        self._results: list[bytearray] | None = None
        self._published: list[bytearray] | None = None
        self._problems: list[str] = []
        self._early_problems: list[str] = []
        self._left_out = 0
        self._gave_way = False

    def figure(self, index: Any, frame: Frame) -> FigureDrawn | None:
        """Keep one figure and return it; a second one of the same index takes the place of the first.

        Returns:
            None where the limit leaves no room for it.

        Raises:
            Malformed: it is not a PNG file of a sane size, or one too many.
        """
        if type(index) is not int or not 0 <= index < 10**6 or len(frame.blobs) != 1:
            raise Malformed("a figure that is not one")
        png = frame.blobs[0]
        _check_png(png)
        others = sum(len(kept) for at, kept in self._figures.items() if at != index)
        if others + len(png) > self._limits.results:
            self._left_out += 1
            return None
        if index not in self._figures and len(self._figures) >= MOST_FIGURES:
            raise Malformed(f"more than {MOST_FIGURES} figures")
        self._figures[index] = png
        return FigureDrawn(index, png)

    def make_room(self, size: int) -> None:
        """Let go of early results where they and `size` bytes that are to come would pass the limit together."""
        kept = sum(map(len, self._published or ())) + sum(map(len, self._figures.values()))
        if self._published is not None and kept + size > self._limits.results:
            self._published, self._gave_way = None, True

    def publish(self, problems: Any, frame: Frame) -> None:
        """Keep early results in place of those before.

        Raises:
            Malformed: there are none.
        """
        if not frame.blobs:
            raise Malformed("early results that are not there")
        self._early_problems = _texts(problems)
        self._published, self._gave_way = frame.blobs, False

    def finish(self, has_results: Any, problems: Any, frame: Frame) -> None:
        """Keep the results.

        Raises:
            Malformed: they are announced and not there.
        """
        if not isinstance(has_results, bool) or has_results != bool(frame.blobs):
            raise Malformed("results that are not there")
        self._problems = _texts(problems)
        self._results = frame.blobs if has_results else None
        if has_results:
            self._published, self._gave_way = None, False

    @property
    def size(self) -> int:
        """Of all that is kept, in bytes."""
        kept = (*self._figures.values(), *(self._results or ()), *(self._published or ()))
        return sum(map(len, kept))

    def decoded(self) -> Kept:
        """Decode what was kept. Slow for large results: call it in a thread."""
        problems = self._problems
        results = published = refused = None
        handed, early, self._results, self._published = self._results, self._published, None, None
        if handed is not None:
            try:
                results = self._decode(handed)
            except ResultsError as error:
                refused = str(error)
        elif early is not None:
            problems = [*problems, *self._early_problems]
            try:
                published = self._decode(early)
            except ResultsError as error:
                problems.append(f"what the program published is left out: {error}")
        if self._gave_way:
            problems = [*problems, "what was published last gave way to larger results, which did not arrive whole"]
        if self._left_out:
            most = show_size(self._limits.results)
            problems = [*problems, f"{self._left_out} figures are left out: limits.results allows {most} in all"]
        figures = tuple(bytes(self._figures.pop(index)) for index in sorted(self._figures))
        return Kept(results, published, figures, tuple(problems), refused)

    def _decode(self, blobs: list[bytearray]) -> dict[str, Any]:
        left = self._limits.results - sum(len(kept) for kept in self._figures.values())
        if sum(len(blob) for blob in blobs) > left:
            most = show_size(self._limits.results)
            raise ResultsError(f"results and figures together pass {most} (limits.results)")
        return decode_results(blobs[0], blobs[1:], limits=self._limits)


def _check_png(png: bytearray) -> None:
    """Check signature and size alone; nobody here decodes a picture that the code made."""
    if len(png) < 33 or not png.startswith(_PNG) or bytes(png[12:16]) != b"IHDR":
        raise Malformed("a figure that is not a PNG file")
    width, height = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
    if not width or not height or width * height > _MOST_PIXELS:
        raise Malformed(f"a figure of {width} by {height} pixels")


def _texts(told: Any) -> list[str]:
    if not isinstance(told, list) or len(cast(list[Any], told)) > _MOST_PROBLEMS:
        raise Malformed("problems that are not a list")
    texts = cast(list[Any], told)
    if not all(isinstance(text, str) for text in texts):
        raise Malformed("problems that are not text")
    return [text[:_LONGEST_PROBLEM].encode("utf-8", "backslashreplace").decode() for text in texts]
