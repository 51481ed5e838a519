"""Programs that check what the language and its library promise to a script."""

LANGUAGE = {
    "main": """
import __main__, os, sys
assert __name__ == "__main__" and __main__.__dict__ is globals()
assert os.path.isfile(__file__) and os.path.isabs(__file__)
assert sys.argv == [__file__]
assert open(__file__).read().endswith("# the end\\n")
assert sys.modules["__main__"] is __main__
# the end
""",
    "future": """
from __future__ import annotations
def f(x: NotThere) -> Nowhere: ...
assert f.__annotations__ == {"x": "NotThere", "return": "Nowhere"}
""",
    "no-future-of-others": "def f(x: int): ...\nassert f.__annotations__ == {'x': int}",
    "nothing-imported": """
assert set(globals()) <= {"__name__", "__doc__", "__package__", "__loader__", "__spec__", "__annotations__",
                          "__builtins__", "__file__", "__cached__", "context"}, sorted(globals())
""",
    "input": """
import sys
try: input("name? ")
except EOFError: pass
else: raise AssertionError("somebody answered")
assert sys.stdin.read() == ""
""",
    "classes-of-main": """
import copy, dataclasses, enum, pickle, typing
@dataclasses.dataclass(frozen=True)
class Point:
    x: int
class Color(enum.Enum): RED = 1
class Pair(typing.NamedTuple):
    a: int
for value in (Point(1), Color.RED, Pair(1)):
    assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value
assert Point.__module__ == "__main__" and typing.get_type_hints(Point) == {"x": int}
""",
    "inspect": """
import inspect
def f():
    return "source of f"
class C:
    def g(self): pass
assert "source of f" in inspect.getsource(f) and "def g" in inspect.getsource(C)
assert inspect.currentframe().f_lineno == 8
""",
    "exceptions": """
import traceback
try: 1 / 0
except ZeroDivisionError: text = traceback.format_exc()
assert "line 3" in text and "try: 1 / 0" in text, text
""",
    "own-module": """
import importlib, pathlib
pathlib.Path("helper.py").write_text("value = 5")
importlib.invalidate_caches()
import helper
assert helper.value == 5
""",
    "imports": """
import bz2, ctypes, curses, decimal, hashlib, json, lzma, sqlite3, ssl, uuid, xml.etree.ElementTree, zlib
assert decimal.Decimal("0.1") + decimal.Decimal("0.2") == decimal.Decimal("0.3")
assert hashlib.sha256(b"").hexdigest().startswith("e3b0c442")
assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED
""",
    "compile": """
space = {}
exec(compile("def f(): return __name__", "made", "exec"), space)
assert eval("1 + 1") == 2 and space["f"]() == "builtins"
""",
    "generators-and-gc": """
import gc, weakref
class C: pass
c = C(); c.c = c; ref = weakref.ref(c); del c; gc.collect()
assert ref() is None
""",
    "logging": """
import io, logging
stream = io.StringIO()
logging.basicConfig(stream=stream, level=logging.INFO); logging.info("heard")
assert "INFO:root:heard" in stream.getvalue()
""",
    "locale": """
import locale, sys
assert sys.stdout.encoding.lower() == "utf-8" and sys.getfilesystemencoding() == "utf-8"
assert locale.getpreferredencoding(False).lower().replace("-", "") == "utf8"
print("é 日本 \\ud800")
open("é", "w").write("日本"); assert open("é", encoding="utf-8").read() == "日本"
""",
    "time-zones": """
import datetime, os, time, zoneinfo
berlin = zoneinfo.ZoneInfo("Europe/Berlin")
assert datetime.datetime(2024, 7, 1, tzinfo=berlin).utcoffset().seconds == 7200
os.environ["TZ"] = "America/New_York"; time.tzset()
assert time.localtime(0).tm_hour == 19
""",
    "sys-exit-in-a-thread": """
import sys, threading
thread = threading.Thread(target=lambda: sys.exit(3)); thread.start(); thread.join()
""",
    "contextvars-and-async-generators": """
import asyncio, contextvars
var = contextvars.ContextVar("var", default=0)
async def numbers():
    for n in range(3): yield n; await asyncio.sleep(0)
async def main(): var.set(1); return [n async for n in numbers()]
assert asyncio.run(main()) == [0, 1, 2] and var.get() == 0
""",
}
