"""The host's side of the link against a guest that lies: raw frames, written by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import tracemalloc
import zlib

import pytest

from osprey_executor.errors import WriteRefused
from osprey_executor.execution.guest_link import GuestLink
from osprey_executor.models import Limits

NONCE = "the nonce"
PATIENCE = 60


def png(width=1, height=1, size=0):
    """Return a PNG file by hand, one grey pixel, with `size` bytes of padding."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = (
        chunk(b"IHDR", head)
        + chunk(b"tEXt", b"x" * size)
        + chunk(b"IDAT", zlib.compress(b"\0\0"))
        + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + body


def frame(header, *blobs):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    sizes = b"".join(struct.pack(">Q", len(blob)) for blob in blobs)
    return struct.pack(">II", len(text), len(blobs)) + sizes + text + b"".join(blobs)


HELLO = frame({"op": "hello", "protocol": 1, "python": "3.11"})


def finish(results=None, **other):
    header = {"op": "finish", "nonce": NONCE, "results": results is not None, "problems": [], "error": None, **other}
    return frame(header, *([json.dumps(results).encode()] if results is not None else []))


class Guest:
    """The other end, in the hands of the test."""

    def __init__(self, **options):
        ours, self.sock = socket.socketpair()
        self.sock.setblocking(False)
        self.events = []
        options = {"code_path": "/code.py", "context": {}, "nonce": NONCE, "on_event": self.events.append, **options}
        self.link = GuestLink(ours, **options)
        self.serving = asyncio.create_task(self.link.serve())

    async def send(self, data):
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def receive(self):
        loop = asyncio.get_running_loop()

        async def exactly(size):
            data = b""
            while len(data) < size:
                piece = await loop.sock_recv(self.sock, size - len(data))
                if not piece:
                    raise EOFError
                data += piece
            return data

        size, number = struct.unpack(">II", await exactly(8))
        sizes = struct.unpack(f">{number}Q", await exactly(8 * number))
        header = json.loads(await exactly(size))
        return header, [await exactly(length) for length in sizes]

    async def report(self):
        return await asyncio.wait_for(self.serving, PATIENCE)


@pytest.fixture
async def guest():
    made = []

    def make(**options):
        made.append(Guest(**options))
        return made[-1]

    yield make
    for one in made:
        one.sock.close()
        one.serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await one.serving


async def reported(guest, *frames, **options):
    """Return the report after these frames and the end of the link."""
    one = guest(**options)
    await one.receive()
    for data in frames:
        await one.send(data)
    one.sock.close()
    return await one.report()


async def test_start_carries_all_that_the_program_needs(guest):
    one = guest(context={"x": 1})
    start, _ = await one.receive()
    assert start["op"] == "start"
    assert (start["code_path"], start["nonce"], start["context"]) == ("/code.py", NONCE, {"x": 1})
    assert start["limits"] == {"results": Limits().results, "document": 8 * 2**20}


async def test_a_guest_that_never_came_and_one_that_went_away(guest):
    never = await reported(guest)
    assert (never.started, never.finished, never.violation) == (False, False, None)
    went = await reported(guest, HELLO)
    assert (went.started, went.finished, went.violation) == (True, False, None)


async def test_an_honest_finish(guest):
    report = await reported(guest, HELLO, finish({"a": 1.5}, problems=["a note"]))
    assert (report.finished, report.results, report.problems, report.error) == (True, {"a": 1.5}, ("a note",), None)


async def test_an_error_is_cleaned_and_cut(guest):
    error = {"type": "E" * 999, "message": "\ud800" + "m" * 99_999, "traceback": None, "line": 2**40}
    report = await reported(guest, HELLO, finish(error=error))
    assert report.error.type == "E" * 200
    assert report.error.message.startswith("\\ud800mmm")
    assert len(report.error.message) < 10_100
    assert report.error.line is None


@pytest.mark.parametrize(
    "data",
    [
        b"junk" * 100,
        b"\xff" * 8,
        struct.pack(">II", 2**32 - 1, 0),
        struct.pack(">II", 2, 2**32 - 1),
        struct.pack(">IIQ", 2, 1, 2**63),
        struct.pack(">IIQQ", 2, 2, 2**63, 2**63),
        frame(b"[]"),
        frame(b"{"),
        frame(b'{"op": NaN}'),
        frame(b"\xff\xfe"),
        frame(b"[" * 100_000),
        frame({}),
        frame({"op": 1}),
        frame({"op": "no such operation", "id": 1}),
        frame({"op": "finish"}),
        finish({"forged": True}, nonce="guessed"),
        finish({"forged": True}, nonce=None),
        finish({"forged": True}, nonce="\ud800"),
        finish(results=None, problems="x"),
        finish(problems=[1]),
        finish(problems=["x"] * 1000),
        finish(error="x"),
        finish(error={"type": 1, "message": "x"}),
        frame({"op": "finish", "nonce": NONCE, "results": True, "problems": [], "error": None}),
        frame({"op": "hello", "protocol": 1}) * 2,
        frame({"op": "hello", "protocol": 99}),
        frame({"op": "progress", "fraction": "x", "message": ""}),
        frame({"op": "progress", "fraction": 0.5, "message": 1}),
        frame({"op": "figure", "index": 1}),
        frame({"op": "figure", "index": 1}, b"GIF89a" * 20),
        frame({"op": "figure", "index": -1}, png()),
        frame({"op": "figure", "index": True}, png()),
        frame({"op": "figure", "index": 1}, png(0, 5)),
        frame({"op": "figure", "index": 1}, png(2**31, 2**31)),
        b"".join(frame({"op": "figure", "index": n}, png()) for n in range(101)),
        frame({"op": "publish", "id": 1, "problems": []}),
        frame({"op": "publish", "problems": []}, b"{}"),
        frame({"op": "read", "id": 1, "channels": "A"}),
        frame({"op": "read", "id": 1, "channels": [1]}),
        frame({"op": "read", "id": 1, "channels": ["x" * 5000]}),
        frame({"op": "read", "id": "x", "channels": ["A"]}),
        frame({"op": "write", "id": 1, "values": {"A": 1}}),
        frame({"op": "write", "id": 1, "values": [["A"]]}),
        frame({"op": "write", "id": 1, "values": [["A", {"$type": "pickle"}]]}),
        frame({"op": "declare_writes", "id": 1, "ranges": {"A": [1, "x"]}}),
        frame({"op": "declare_writes", "id": 1, "ranges": []}),
    ],
    ids=range(46),
)
async def test_what_no_honest_guest_sends_is_a_violation(guest, data):
    one = guest()
    await one.receive()
    await one.send(data)
    report = await one.report()
    assert report.violation is not None
    assert report.violation.startswith("it sent ")
    assert not report.finished
    assert not report.has_results


async def test_after_a_violation_nothing_is_answered(guest):
    one = guest()
    await one.receive()
    await one.send(HELLO + b"\xff" * 100 + frame({"op": "read", "id": 1, "channels": ["A"]}) + finish({"forged": 1}))
    report = await one.report()
    assert not report.finished
    with pytest.raises((EOFError, ConnectionError)):
        await one.receive()


@pytest.mark.parametrize(
    ("data", "channel"),
    [(b"\xff" * 100, ""), (frame({"op": "approve", "channel": "A"}), "A"), (frame({"op": [], "channel": 7}), "")],
)
async def test_a_violation_is_an_attempt_on_record(guest, data, channel):
    told = []

    class Control:
        async def attempted(self, channel, what):
            told.append((channel, list(what)))
            raise WriteRefused("it cannot be checked")

    one = guest(control=Control())
    await one.receive()
    await one.send(HELLO + data)
    assert (await one.report()).violation is not None
    assert told == [(channel, ["frame"])]


async def test_a_huge_announcement_takes_no_memory(guest):
    text = b'{"op":"figure","index":1}'
    for size in (2**40, 10_001):
        data = struct.pack(">IIQ", len(text), 1, size) + text
        report = await reported(guest, data, limits=Limits(results=10_000))
        assert "limits.results allows" in report.violation


async def test_a_call_brings_at_most_16_mib(guest):
    text = json.dumps({"op": "write", "id": 1, "values": []}).encode()
    report = await reported(guest, struct.pack(">IIQ", len(text), 1, 2**24 + 1) + text)
    assert "a call takes 16 MiB" in report.violation


def array(size):
    """Return the document and the blob of an array of `size` bytes."""
    head = repr({"descr": "|u1", "fortran_order": False, "shape": (size,)}).encode()
    return {"$type": "ndarray", "blob": 0}, b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + bytes(size)


async def test_results_handed_over_again_and_again_are_in_memory_once(guest):
    small, few = array(1)
    warm = {"op": "finish", "nonce": NONCE, "results": True, "problems": [], "error": None}
    await reported(guest, frame(warm, json.dumps({"x": small}).encode(), few))  # imports what decoding needs
    document, blob = array(7 << 20)
    body = json.dumps({"x": document}).encode()
    one = guest(limits=Limits(results=8 << 20))
    await one.receive()
    published = frame({"op": "publish", "id": 1, "problems": []}, body, blob)
    finished = frame({"op": "finish", "nonce": NONCE, "results": True, "problems": [], "error": None}, body, blob)
    tracemalloc.start()
    try:
        for _ in range(3):
            await one.send(published)
            await one.receive()
        await one.send(finished)
        report = await one.report()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(report.results["x"]) == 7 << 20
    assert most < 1.5 * (7 << 20)


@pytest.mark.parametrize(("size", "kept"), [(1 << 20, True), (6 << 20, False)])
async def test_what_was_published_gives_way_only_where_both_do_not_fit(guest, size, kept):
    document, blob = array(5 << 20)
    one = guest(limits=Limits(results=8 << 20))
    await one.receive()
    await one.send(frame({"op": "publish", "id": 1, "problems": []}, json.dumps({"x": document}).encode(), blob))
    await one.receive()
    text = json.dumps({"op": "publish", "id": 2, "problems": []}).encode()
    await one.send(struct.pack(">IIQ", len(text), 1, size) + text)
    one.sock.close()
    report = await one.report()
    assert (report.published is not None) is kept
    assert any("gave way" in problem for problem in report.problems) is not kept


@pytest.mark.parametrize(("size", "most"), [(10, 8), (1 << 18, 1)])
async def test_large_calls_are_answered_one_after_the_other(guest, size, most):
    seen = []

    class Slow:
        at_once = 0

        async def write(self, values, line=None):
            self.at_once += 1
            seen.append(self.at_once)
            await asyncio.sleep(0.05)
            self.at_once -= 1

    document, blob = array(size)
    one = guest(control=Slow())
    await one.receive()
    writes = [frame({"op": "write", "id": n, "values": [["A", document]], "line": 1}, blob) for n in range(8)]
    sending = asyncio.create_task(one.send(b"".join(writes)))
    for _ in writes:
        header, _ = await one.receive()
        assert "error" not in header
    await sending
    assert max(seen) == most


async def test_results_that_are_a_lie_are_an_error_of_the_code(guest):
    report = await reported(guest, HELLO, finish({"$type": "ndarray", "blob": 7}))
    assert report.finished
    assert not report.has_results
    assert report.error.type == "ResultsError"
    report = await reported(guest, HELLO, finish([1, 2]))
    assert report.error.type == "ResultsError"


async def test_figures_come_in_order_and_the_last_of_an_index_counts(guest):
    frames = [frame({"op": "figure", "index": n}, png(size=size)) for n, size in ((3, 0), (1, 0), (3, 5), (2, 1))]
    seen = []
    report = await reported(guest, HELLO, *frames, on_event=seen.append)
    assert report.figures == (png(), png(size=1), png(size=5))
    drawn = [(event.number, bytes(event.png)) for event in seen]
    assert drawn == [(3, png()), (1, png()), (3, png(size=5)), (2, png(size=1))]


async def test_figures_and_results_share_one_limit(guest):
    limits = Limits(results=10_000)
    figures = [frame({"op": "figure", "index": n}, png(size=4000)) for n in range(4)]
    report = await reported(guest, HELLO, *figures, finish({"x": "y" * 5000}), limits=limits)
    assert len(report.figures) == 2
    assert "2 figures are left out" in report.problems[0]
    assert report.error.type == "ResultsError"
    assert "limits.results" in report.error.message


async def test_the_last_published_results_are_kept_when_the_guest_goes_away(guest):
    one = guest()
    await one.receive()
    for number in range(3):
        await one.send(frame({"op": "publish", "id": number, "problems": ["p"]}, json.dumps({"n": number}).encode()))
        assert (await one.receive())[0] == {"id": number, "ok": None}
    one.sock.close()
    report = await one.report()
    assert (report.published, report.problems) == ({"n": 2}, ("p",))
    assert not report.has_results


async def test_a_flood_of_progress_is_thinned_out_and_its_last_word_heard(guest):
    one = guest()
    await one.receive()
    flood = b"".join(frame({"op": "progress", "fraction": n / 20_000, "message": "m" * 600}) for n in range(20_000))
    await one.send(flood + frame({"op": "progress", "fraction": 7, "message": "last"}) + finish({}))
    report = await one.report()
    assert report.finished
    assert len(one.events) < 2000
    assert (one.events[-1].fraction, one.events[-1].message) == (1.0, "last")
    assert all(len(event.message) <= 500 for event in one.events)


async def test_a_watcher_that_fails_does_not_break_the_link(guest):
    def broken(event):
        raise RuntimeError

    report = await reported(guest, frame({"op": "progress", "fraction": 0, "message": ""}), finish({}), on_event=broken)
    assert report.finished


async def test_stop_reads_what_arrived_and_ends_though_a_child_holds_the_other_end(guest):
    one = guest()
    await one.receive()
    await one.send(HELLO + finish({"a": 1}))
    one.link.stop()
    assert (await one.report()).results == {"a": 1}
    idle = guest()
    await idle.receive()
    idle.link.stop()
    assert not (await idle.report()).finished


async def test_cancelling_the_link_cancels_its_calls(guest):
    cancelled = asyncio.Event()
    started = asyncio.Event()

    class Endless:
        async def read(self, channels, line=None):
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

    one = guest(control=Endless())
    await one.receive()
    await one.send(frame({"op": "read", "id": 1, "channels": ["A"]}))
    await asyncio.wait_for(started.wait(), PATIENCE)
    one.serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one.serving
    await asyncio.wait_for(cancelled.wait(), PATIENCE)


async def test_what_a_call_raises_by_accident_is_not_told_to_the_guest(guest):
    class Broken:
        async def read(self, channels, line=None):
            raise RuntimeError("a secret of the host")

    one = guest(control=Broken())
    await one.receive()
    await one.send(frame({"op": "read", "id": 1, "channels": ["A"]}))
    reply, _ = await one.receive()
    assert reply["error"]["type"] == "ControlSystemError"
    assert "secret" not in json.dumps(reply)


async def test_many_calls_at_once_are_answered_and_bounded(guest):
    running = most = 0
    gate = asyncio.Event()

    class Slow:
        async def declare_writes(self, ranges):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await gate.wait()
            running -= 1

    one = guest(control=Slow())
    await one.receive()
    sending = asyncio.create_task(
        one.send(b"".join(frame({"op": "declare_writes", "id": n, "ranges": {}}) for n in range(500)))
    )
    while most < 64:
        await asyncio.sleep(0)
    gate.set()
    answered = {(await one.receive())[0]["id"] for _ in range(500)}
    await sending
    assert answered == set(range(500))
    assert most == 64
