"""Programs that attack their own service: each ends as failed, and never as success."""

from __future__ import annotations

import pytest

from osprey_executor.models import Limits

PREAMBLE = """
import json, os, struct, sys
def sockets():
    for fd in range(3, 200):
        try:
            if os.readlink(f'/proc/self/fd/{fd}').startswith('socket:'):
                yield fd
        except OSError:
            pass
def frame(header, *blobs):
    text = json.dumps(header).encode()
    sizes = b''.join(struct.pack('>Q', len(b)) for b in blobs)
    return struct.pack('>II', len(text), len(blobs)) + sizes + text + b''.join(blobs)
"""


def succeeded(ran):
    """What an engine asks: the exit code of the monitor, an orderly finish, and no violation."""
    return ran.code == 0 and ran.report.finished and ran.report.error is None and ran.report.violation is None


async def test_the_canary_succeeds(run):
    assert succeeded(await run(PREAMBLE + "results = {'sockets': len(list(sockets()))}\n"))


@pytest.mark.parametrize(
    "attack",
    [
        "for fd in range(3, 200):\n    try: os.write(fd, b'junk' * 1000)\n    except OSError: pass\n",
        "for fd in sockets(): os.write(fd, struct.pack('>II', 2**31, 5))\n",
        "forged = {'op': 'finish', 'nonce': 'guess', 'results': True, 'problems': [], 'error': None}\n"
        "for fd in sockets(): os.write(fd, frame(forged, b'{}'))\nos._exit(0)\n",
        "for fd in sockets(): os.write(fd, frame({'op': 'finish', 'results': True}, b'{}'))\nos._exit(0)\n",
        "results = {'forged': 1}\nos._exit(0)\n",
        "open('results.json', 'w').write('{\"status\": \"succeeded\"}')\nos._exit(0)\n",
        "os.closerange(3, 200)\nresults = {'x': 1}\n",
        "os.closerange(3, 200)\nf = open('mine.txt', 'w')\nresults = {'x': 1}\n",
        "import ctypes\nctypes.string_at(0)\n",
        "os.kill(os.getpid(), 9)\n",
    ],
    ids=range(10),
)
async def test_no_attack_looks_like_success(run, attack):
    ran = await run(PREAMBLE + attack)
    assert not succeeded(ran)
    assert not ran.report.finished
    if (ran.folder / "mine.txt").exists():
        assert (ran.folder / "mine.txt").read_text() == "", "a frame was written into a file of the program"


async def test_the_nonce_is_not_in_plain_sight(run):
    """A program that searches memory finds it; one that looks where programs look does not."""
    ran = await run(
        "import os, sys, osprey_executor.runtime as runtime, osprey_executor.worker as worker\n"
        "seen = [repr(dict(os.environ)), repr(globals()), repr(vars(runtime)), repr(vars(worker)), repr(sys.argv)]\n"
        "frame = sys._getframe()\n"
        "while frame:\n    seen.append(repr(frame.f_locals))\n    frame = frame.f_back\n"
        "results = {'found': any(''.join(['s3c', 'r3t']) in text for text in seen)}\n",
        nonce="s3cr3t",
    )
    assert ran.report.results == {"found": False}


async def test_results_beyond_the_limit_are_text_and_a_note(run):
    ran = await run(
        "results = {'big': bytes(5_000_000), 'small': 1}\n",
        limits=Limits(results=1_000_000),
    )
    assert succeeded(ran)
    assert ran.report.results["small"] == 1
    assert "limits.results" in ran.report.problems[0]


async def test_a_flood_of_progress_is_bounded(run):
    ran = await run(
        "from osprey_executor.runtime import progress\nimport time\nend = time.monotonic() + 1\n"
        "while time.monotonic() < end:\n    progress(0.5, 'x' * 900)\nresults = {'ok': 1}\n"
    )
    assert succeeded(ran)
    assert len(ran.progress) < 500


async def test_an_endless_program_that_is_killed_keeps_what_it_gave(run):
    ran = await run(
        "from osprey_executor.runtime import publish, progress\nprint('here')\npublish({'n': 1})\n"
        "while True: progress(0.5)\n",
        limit_seconds=1.5,
    )
    assert ran.code == -9
    assert ran.stdout == "here\n"
    assert ran.report.published == {"n": 1}
    assert ran.report.violation is None


async def test_hostile_results_end_in_notes(run):
    ran = await run(
        "class Liar(dict):\n    def items(self): raise SystemExit\n    __class__ = property(lambda s: 1 / 0)\n"
        "class Mute:\n    def __repr__(self): raise SystemExit(9)\n    def __getattr__(self, n): raise SystemExit(9)\n"
        "results = Liar(a=1, b=Mute(), c=[])\nresults['c'].append(results['c'])\n"
    )
    assert ran.code == 0
    assert ran.report.results["a"] == 1
    assert len(ran.report.problems) == 2


async def test_a_daemon_thread_that_calls_while_the_program_ends(run):
    ran = await run(
        "import threading\nfrom osprey_executor.runtime import progress\n"
        "def forever():\n    while True: progress(0.1, 'x')\n"
        "for _ in range(4): threading.Thread(target=forever, daemon=True).start()\n"
        "results = {'x': [0.5] * 200_000}\n"
    )
    assert succeeded(ran)
    assert len(ran.report.results["x"]) == 200_000
