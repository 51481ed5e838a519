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


HOSTILE = """
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
def no(*args, **kwargs): raise ERROR
class Wild(str):
    __len__ = __getitem__ = encode = isascii = count = __hash__ = __eq__ = no
class WildDict(dict): __iter__ = items = keys = values = __getitem__ = __len__ = no
class WildList(list): __iter__ = __len__ = __getitem__ = no
class WildFloat(float): __float__ = __repr__ = __eq__ = __lt__ = no
class WildInt(int): __int__ = __index__ = __repr__ = __eq__ = __le__ = __ge__ = no
class Mute: __repr__ = __str__ = __iter__ = no; __getattr__ = no
class Liar:
    def __repr__(self): return Wild('text')
class Face:
    __class__ = property(no)
class Meta(type): __eq__ = __hash__ = __instancecheck__ = __subclasscheck__ = no
class Odd(metaclass=Meta): pass
class Span(timedelta): days = property(lambda self: object())
class Zone(tzinfo): utcoffset = dst = tzname = no
class Amount(Decimal):
    def __str__(self): return Wild('1.5')
class Fields:
    __dataclass_fields__ = {'a': 1}
    a = property(no)
results = WildDict(
    before=1, text=Wild('abc'), dict=WildDict(a=1), list=WildList([1, 2]), float=WildFloat(1.5), int=WildInt(3),
    mute=Mute(), liar=Liar(), face=Face(), odd=Odd(), span=Span(1), moment=datetime(2026, 1, 1, tzinfo=Zone()),
    amount=Amount(1), fields=Fields(), nested={'deep': [Mute(), {'x': Mute()}]}, after=[1, 2],
)
dict.__setitem__(results, 7, 8)
"""


@pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt", "GeneratorExit", "ValueError('no')"])
async def test_a_value_that_raises_costs_no_other(run, error):
    ran = await run(HOSTILE.replace("ERROR", error))
    results = ran.report.results
    assert succeeded(ran), ran.stderr
    assert ran.stderr == ""
    assert (results["before"], results["after"], results["7"]) == (1, [1, 2], 8)
    assert (results["text"], results["dict"], results["list"]) == ("abc", {"a": 1}, [1, 2])
    assert (results["float"], results["int"]) == (1.5, 3)
    assert set(results["nested"]) == {"deep"}
    for name in ("mute", "liar", "odd", "fields", "moment"):
        assert any(f"'{name}'" in note for note in ran.report.problems), name


async def test_an_exit_code_that_raises_when_compared_is_its_number(run):
    ran = await run(
        "class Code(int):\n    def __eq__(self, other): raise KeyboardInterrupt\nraise SystemExit(Code(4))\n"
    )
    assert ran.code == 4
    assert ran.report.finished
    assert ran.report.error.message == "the program ended itself with exit code 4"


async def test_an_error_that_cannot_be_shown_is_told_all_the_same(run):
    ran = await run(
        "class Own(Exception):\n    def __str__(self): raise KeyboardInterrupt\n    __repr__ = __str__\n"
        "results = {'x': 1}\nraise Own\n"
    )
    assert (ran.code, ran.report.finished, ran.report.results) == (1, True, {"x": 1})
    assert ran.report.error.type == "Own"


async def test_a_daemon_thread_that_calls_while_the_program_ends(run):
    ran = await run(
        "import threading\nfrom osprey_executor.runtime import progress\n"
        "def forever():\n    while True: progress(0.1, 'x')\n"
        "for _ in range(4): threading.Thread(target=forever, daemon=True).start()\n"
        "results = {'x': [0.5] * 200_000}\n"
    )
    assert succeeded(ran)
    assert len(ran.report.results["x"]) == 200_000
