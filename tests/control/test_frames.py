"""Between a connector and its child: frames in pieces, answers in any order, and what has no room."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from osprey_executor.control.connectors import _worker
from osprey_executor.control.connectors._frames import Unpacker, pack
from osprey_executor.control.connectors._worker import Answer, Bulk, bounded


def test_messages_come_whole_from_any_pieces() -> None:
    messages = [{"a": 1.5, "b": ["é", None]}, {"row": np.arange(3.0), "table": {"x": np.array([1, 2], "u2")}}, {}]
    stream = b"".join(pack(message) for message in messages)
    for size in (1, 7, len(stream)):
        unpacker = Unpacker()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        found = [message for piece in pieces for message in unpacker.feed(piece)]
        assert (found[0], found[2]) == (messages[0], messages[2])
        assert found[1]["row"].tolist() == [0.0, 1.0, 2.0]
        assert found[1]["table"]["x"].dtype == np.dtype("u2")
        found[1]["row"][0] = 9.0  # its own memory, not a view of the stream


@pytest.mark.parametrize("stream", [b"\xff" * 8, b"\0\0\0\2\0\0\0\0[]", b"\0\0\0\1\0\0\0\0{"])
def test_a_broken_frame_is_an_error(stream: bytes) -> None:
    with pytest.raises(ValueError, match=r"frame|Expecting"):
        list(Unpacker().feed(stream))


def test_what_is_no_data_is_not_sent() -> None:
    with pytest.raises(TypeError, match="a value of type object"):
        pack({"value": object()})


def test_answers_are_given_once_in_their_order() -> None:
    given: list[list[Answer]] = []
    bulk = Bulk(3, given.append)
    for index, answer in ((2, "c"), (0, "a"), (0, "again")):
        bulk.put(index, {"value": answer})
    assert (given, bulk.over) == ([], False)
    bulk.expire("late")
    bulk.put(1, {"value": "b"})
    bulk.expire("late")
    (answers,) = given
    assert answers == [{"value": "a"}, {"error": "late", "away": True}, {"value": "c"}]


def test_arrays_without_room_are_errors_and_numbers_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_worker, "_ROOM", 100)
    samples: list[Any] = [{"value": np.zeros(10)}, {"value": {"x": np.zeros(10)}}, {"value": 1.0}, {"error": "away"}]
    kept = bounded(samples)
    assert kept[0] is samples[0]
    assert kept[1] == {"error": "too much for one call: read fewer large arrays at once"}
    assert kept[2:] == samples[2:]
