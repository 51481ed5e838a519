"""What ordinary programs need works inside: the walls are for what they do not need."""

from __future__ import annotations

import pytest

from osprey_executor.execution import Engine, Program
from osprey_executor.models import RunStatus

PROGRAMS = {
    "asyncio": """
import asyncio
async def child():
    made = await asyncio.create_subprocess_exec("/bin/echo", "hello", stdout=-1)
    return (await made.communicate())[0]
async def main():
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("localhost", port)
    assert await reader.read() == b""
    writer.close(); server.close()
    assert await asyncio.to_thread(lambda: 7) == 7
    return await child()
assert asyncio.run(main()) == b"hello\\n"
""",
    "threads": """
import threading, queue
q = queue.Queue()
threads = [threading.Thread(target=q.put, args=(i,)) for i in range(20)]
[t.start() for t in threads]; [t.join() for t in threads]
assert sorted(q.get() for _ in threads) == list(range(20))
""",
    "multiprocessing-fork": """
import multiprocessing as mp
def square(x): return x * x
if __name__ == "__main__":
    with mp.get_context("fork").Pool(2) as pool:
        assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
""",
    "multiprocessing-spawn": """
import multiprocessing as mp
def square(x): return x * x
if __name__ == "__main__":
    with mp.get_context("spawn").Pool(1) as pool:
        assert pool.map(square, range(3)) == [0, 1, 4]
""",
    "shared-memory": """
from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=1 << 20)
block.buf[0] = 7
block.close(); block.unlink()
""",
    "process-pool": """
from concurrent.futures import ProcessPoolExecutor
import math
if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        assert list(pool.map(math.sqrt, [4, 9])) == [2, 3]
""",
    "subprocess-python": """
import subprocess, sys
code = "import osprey_executor.runtime, sys; print(sys.prefix)"
assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == sys.prefix
assert subprocess.run("exit 3", shell=True).returncode == 3
""",
    "tempfile-sqlite": """
import os, sqlite3, tempfile
with tempfile.TemporaryDirectory() as folder:
    with sqlite3.connect(os.path.join(folder, "x.db")) as db:
        db.execute("create table t (a)"); db.execute("insert into t values (1)")
with sqlite3.connect("kept.db") as db:
    db.execute("pragma journal_mode=wal"); db.execute("create table t (a)")
os.remove("kept.db") if os.path.exists("kept.db") else None
""",
    "numpy-scipy-pandas": """
import numpy as np, pandas as pd, scipy.linalg
a = np.random.default_rng(0).random((200, 200))
assert np.allclose(scipy.linalg.inv(a) @ a, np.eye(200), atol=1e-6)
assert pd.DataFrame({"a": [1, 2]}).a.sum() == 3
np.save("a.npy", a); assert np.load("a.npy", mmap_mode="r").shape == (200, 200)
""",
    "names-and-time": """
import getpass, locale, os, pwd, socket, time, datetime, zoneinfo
assert getpass.getuser() == pwd.getpwuid(os.getuid()).pw_name == "sandbox"
assert socket.gethostname() == "sandbox"
assert socket.getaddrinfo("localhost", 80)
assert os.path.expanduser("~") == os.environ["HOME"] and os.path.isdir(os.environ["HOME"])
assert datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).utcoffset().seconds == 7200
print("é", time.tzname)
""",
    "devices-and-signals": """
import os, signal, sys
assert os.urandom(4) and open("/dev/zero", "rb").read(2) == bytes(2)
open("/dev/null", "w").write("x"); open("/dev/stdout", "w").write("to stdout\\n")
got = []
signal.signal(signal.SIGALRM, lambda *_: got.append(1)); signal.setitimer(signal.ITIMER_REAL, 0.01)
while not got: signal.pause()
assert sys.stdin.read() == ""
os.mkfifo("pipe")
""",
    "ctypes-libraries": """
import ctypes, ctypes.util
assert ctypes.CDLL(ctypes.util.find_library("m") or "libm.so.6")
callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x + 1)
assert callback(1) == 2
""",
    "own-module": """
open("helper.py", "w").write("value = 5")
import helper
assert helper.value == 5
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_programs_find_what_they_need(engine: Engine, name: str) -> None:
    outcome = await engine.run(Program(code=PROGRAMS[name]))
    assert outcome.status is RunStatus.SUCCEEDED, f"{outcome.error}\n{outcome.stderr}"
