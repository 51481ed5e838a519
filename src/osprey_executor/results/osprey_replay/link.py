"""The other end of the runtime API in a replay: answers from the record where the service would have answered."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from .recording import NotRecorded, Recording, Refused, Unconfirmed

Answer = tuple[Any, list[Any]]


class Codec:
    """The codec of the sandbox, as the run folder carries it."""

    def __init__(
        self,
        encode: Callable[[Any], Answer],
        decode: Callable[[Any, list[Any]], Any],
        errors: dict[str, type[Exception]],
    ) -> None:
        self.encode = encode
        self.decode = decode
        self.errors = errors


class ReplayLink:
    """Stands where the channel to the service stood."""

    def __init__(self, recording: Recording[Any], codec: Codec) -> None:
        self.recording = recording
        self.running = False
        """Whether the program runs: only then its figures are of interest."""
        self.figures: dict[int, bytes] = {}
        """PNG files by the number of the figure."""
        self._codec = codec

    def mine(self) -> bool:
        """Return whether the program runs here."""
        return self.running

    def send(self, header: dict[str, Any], blobs: Iterable[Any] = ()) -> None:
        """Take a message that wants no reply: a figure is kept, progress is shown by no one here."""
        if header.get("op") == "figure":
            self.figures[int(header["index"])] = b"".join(bytes(blob) for blob in blobs)

    def request(self, header: dict[str, Any], blobs: Iterable[Any] = ()) -> Answer:
        """Answer one request of the runtime API, as the service does.

        Raises:
            Exception: the classes that the runtime API documents.
        """
        operation = header.get("op")
        if operation == "read":
            return self._read(header["channels"])
        if operation == "write":
            self._write(self._codec.decode(header["values"], list(blobs)), header.get("line"))
        elif operation == "history":
            raise self._codec.errors["ControlSystemError"]("replay: archived values are not in the record")
        elif operation == "call":
            raise self._codec.errors["ControlSystemError"]("replay: what commands answered is not in the record")
        return None, []

    def _read(self, channels: list[str]) -> Answer:
        try:
            return self._codec.encode({channel: self.recording.read(channel) for channel in channels})
        except NotRecorded as error:
            raise self._codec.errors["ControlSystemError"](str(error)) from None

    def _write(self, values: list[tuple[str, Any]], line: int | None) -> None:
        seen = len(self.recording.deviations)
        try:
            for left in self.recording.write([(channel, value) for channel, value in values], line):
                print(f"{left.channel} = {left.value}: left out: {left.refused}", file=sys.stderr, flush=True)  # noqa: T201
        except Refused as error:
            raise self._codec.errors["WriteRefused"](str(error)) from None
        except Unconfirmed as error:
            raise self._codec.errors["OutcomeUnknownError"](str(error)) from None
        finally:
            for deviation in self.recording.deviations[seen:]:
                warn(deviation)


def warn(text: str) -> None:
    """Show a warning of the replay beside the output of the program."""
    print("replay differs: " + text, file=sys.stderr, flush=True)  # noqa: T201 - this is what it is for
