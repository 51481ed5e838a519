"""Programs that check what a script may do with processes, files, signals and the machine."""

SYSTEM = {
    "threads": """
import queue, threading
q, lock = queue.Queue(), threading.Lock()
threads = [threading.Thread(target=q.put, args=(i,)) for i in range(20)]
[t.start() for t in threads]; [t.join() for t in threads]
assert sorted(q.get() for _ in threads) == list(range(20))
assert threading.current_thread() is threading.main_thread()
""",
    "asyncio": """
import asyncio, sys
async def child():
    made = await asyncio.create_subprocess_exec(sys.executable, "-c", "print('hello')", stdout=-1)
    return (await made.communicate())[0]
async def main():
    assert await asyncio.to_thread(lambda: 7) == 7
    async with asyncio.timeout(30) if sys.version_info >= (3, 11) else asyncio.Lock(): return await child()
assert asyncio.run(main()) == b"hello\\n"
""",
    "multiprocessing-fork": """
import multiprocessing as mp
def square(x): return x * x
def put(q): q.put({"from": "child"})
if __name__ == "__main__":
    fork = mp.get_context("fork")
    with fork.Pool(2) as pool: assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
    q = fork.Queue(); child = fork.Process(target=put, args=(q,)); child.start()
    assert q.get() == {"from": "child"}; child.join(); assert child.exitcode == 0
""",
    "multiprocessing-spawn": """
import multiprocessing as mp
def square(x): return x * x
def put(q): q.put({"from": "child"})
if __name__ == "__main__":
    spawn = mp.get_context("spawn")
    with spawn.Pool(2) as pool: assert pool.map(square, range(3)) == [0, 1, 4]
    q = spawn.Queue(); child = spawn.Process(target=put, args=(q,)); child.start()
    assert q.get() == {"from": "child"}; child.join(); assert child.exitcode == 0
""",
    "process-pool": """
from concurrent.futures import ProcessPoolExecutor
import math
if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool: assert list(pool.map(math.sqrt, [4, 9])) == [2, 3]
""",
    "shared-memory": """
from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=1 << 20)
block.buf[0] = 7
same = shared_memory.SharedMemory(block.name)
assert same.buf[0] == 7
same.close(); block.close(); block.unlink()
""",
    "subprocess": """
import subprocess, sys
code = "import sys; print(sys.prefix, sys.stdin.read())"
found = subprocess.run([sys.executable, "-c", code], input="in", capture_output=True, text=True, check=True)
assert found.stdout.split() == [sys.prefix, "in"]
assert subprocess.run("exit 3", shell=True).returncode == 3
assert subprocess.check_output("echo é | cat", shell=True, text=True) == "é\\n"
""",
    "subprocess-of-the-program": """
import subprocess, sys
if len(sys.argv) > 1: print("child"); sys.exit(0)
assert subprocess.check_output([sys.executable, __file__, "again"], text=True) == "child\\n"
""",
    "fork": """
import os
reading, writing = os.pipe()
if os.fork() == 0: os.write(writing, b"x"); os._exit(7)
assert os.read(reading, 1) == b"x" and os.waitstatus_to_exitcode(os.wait()[1]) == 7
""",
    "tempfile": """
import os, tempfile
with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as file, tempfile.NamedTemporaryFile() as named:
    file.write(b"x"); file.seek(0); assert file.read() == b"x"
    open(os.path.join(folder, "f"), "w").write("y"); assert os.path.exists(named.name)
assert not os.path.exists(folder)
""",
    "sqlite3": """
import os, sqlite3
for path in (":memory:", "kept.db"):
    with sqlite3.connect(path) as db:
        db.execute("pragma journal_mode=wal"); db.execute("create table t (a)"); db.execute("insert into t values (1)")
        assert db.execute("select a from t").fetchall() == [(1,)]
""",
    "pathlib": """
import pathlib, shutil, zipfile
root = pathlib.Path("d/e"); root.mkdir(parents=True); (root / "f.txt").write_text("x")
assert [p.name for p in pathlib.Path().rglob("*.txt")] == ["f.txt"]
shutil.copytree("d", "copy"); shutil.make_archive("all", "zip", "d"); shutil.rmtree("d")
assert zipfile.ZipFile("all.zip").read("e/f.txt") == b"x"
pathlib.Path("to").symlink_to("copy"); assert (pathlib.Path("to") / "e/f.txt").read_text() == "x"
pathlib.Path("to").unlink()
""",
    "memory-maps-and-locks": """
import fcntl, mmap
with open("f", "w+b") as f:
    f.truncate(8192); fcntl.flock(f, fcntl.LOCK_EX)
    m = mmap.mmap(f.fileno(), 8192); m[0:2] = b"ab"; m.flush(); m.close()
    assert f.read(2) == b"ab"
""",
    "signals": """
import os, signal
got = []
signal.signal(signal.SIGALRM, lambda *_: got.append("alarm")); signal.setitimer(signal.ITIMER_REAL, 0.01)
while not got: signal.pause()
signal.signal(signal.SIGUSR1, lambda *_: got.append("user")); os.kill(os.getpid(), signal.SIGUSR1)
assert got == ["alarm", "user"]
try: signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt: got.append("interrupt")
assert got[-1] == "interrupt"
""",
    "machine": """
import getpass, multiprocessing, os, platform, pwd, resource, socket, sys
assert os.cpu_count() >= 1 and len(os.sched_getaffinity(0)) >= 1 and multiprocessing.cpu_count() >= 1
assert platform.system() == "Linux" and platform.python_version() and os.uname().machine
assert getpass.getuser() == pwd.getpwuid(os.getuid()).pw_name
assert socket.gethostname() and os.path.isdir(os.path.expanduser("~"))
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0 and os.path.isfile(sys.executable)
""",
    "devices": """
import os
assert len(os.urandom(4)) == 4 and open("/dev/zero", "rb").read(2) == bytes(2)
assert open("/dev/urandom", "rb").read(2)
open("/dev/null", "w").write("x"); open("/dev/stdout", "w").write("to stdout\\n")
""",
    "ctypes": """
import ctypes, ctypes.util
libm = ctypes.CDLL(ctypes.util.find_library("m") or "libm.so.6")
libm.cos.restype, libm.cos.argtypes = ctypes.c_double, [ctypes.c_double]
assert libm.cos(0) == 1
assert ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x + 1)(1) == 2
""",
    "socket-pairs": """
import selectors, socket
near, far = socket.socketpair(); near.send(b"x")
with selectors.DefaultSelector() as selector:
    selector.register(far, selectors.EVENT_READ); assert selector.select(5); assert far.recv(1) == b"x"
""",
    "faulthandler-and-profile": """
import cProfile, faulthandler, io, pstats, tracemalloc
faulthandler.enable(); tracemalloc.start()
profile = cProfile.Profile(); profile.runcall(sum, range(10)); pstats.Stats(profile, stream=io.StringIO()).print_stats()
assert tracemalloc.get_traced_memory()[0] > 0
""",
}
