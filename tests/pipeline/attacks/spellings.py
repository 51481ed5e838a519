"""Ways to say the same thing so that nobody who reads the program sees it."""

from __future__ import annotations

_PUT = "import epics; epics.caput('{}', 5.0, wait=True, timeout=5)"

SPELLINGS: dict[str, dict[str, str]] = {
    "runtime": {
        "runtime": "from osprey_executor.runtime import write_channel\nwrite_channel(CHANNEL, 5.0)",
        "runtime, many": "from osprey_executor import runtime\nruntime.write_channels({CHANNEL: 5.0})",
        "getattr": "import osprey_executor.runtime as r\ngetattr(r, 'write' + '_channel')(CHANNEL, 5.0)",
        "exec of reversed text": "exec(')0.5 ,LENNAHC(lennahc_etirw ;* tropmi emitnur.rotucexe_yerpso morf'[::-1])",
        "importlib": """
import importlib
importlib.import_module("osprey_executor" + chr(46) + "runtime").__dict__["write_channel"](CHANNEL, 5.0)
""",
        "an alias": "from osprey_executor.runtime import write_channel as look\nlook(CHANNEL, 5.0)",
        "partial": """
from functools import partial
from osprey_executor import runtime
partial(runtime.write_channel, value=5.0)(CHANNEL)
""",
        "a thread": """
import threading
from osprey_executor import runtime
thread = threading.Thread(target=runtime.write_channel, args=(CHANNEL, 5.0))
thread.start()
thread.join()
""",
        "a name in base 64": """
import base64
exec(base64.b64decode(b"ZnJvbSBvc3ByZXlfZXhlY3V0b3IucnVudGltZSBpbXBvcnQgKg=="))
globals()[base64.b64decode(b"d3JpdGVfY2hhbm5lbA==").decode()](CHANNEL, 5.0)
""",
        "a destructor": """
from osprey_executor import runtime
class Last:
    def __del__(self, write=runtime.write_channel, channel=CHANNEL):
        write(channel, 5.0)
last = Last()
del last
""",
        "a text for a number": "from osprey_executor import runtime\nruntime.write_channel(CHANNEL, '5.0')",
        "runtime .DRVH": "from osprey_executor import runtime\nruntime.write_channel(CHANNEL + '.DRVH', 5.0)",
        "runtime .PROC": "from osprey_executor import runtime\nruntime.write_channel(CHANNEL + '.PROC', 1)",
        "grants of its own making": """
import json, os
from osprey_executor import runtime
grant = {"channels": [CHANNEL], "envelope": None, "digest": "0" * 64, "signature": "0" * 64, "approver": "root"}
for name in ("grant.json", "plan.json", "card.json", "approval.json", "approval.key", "journal.jsonl"):
    with open(name, "w") as file:
        json.dump(grant, file)
os.environ["OSPREY_EXECUTOR_HOME"] = os.getcwd()
os.environ["OSPREY_EXECUTOR_CONTROL_SYSTEM__WRITES_ENABLED"] = "true"
runtime.write_channel(CHANNEL, 5.0)
""",
        "the guest believes in its approval": """
import osprey_executor.runtime as r
for name in ("grant", "permit", "approved", "writes_enabled"):
    setattr(r, name, True)
r.write_channel(CHANNEL, 5.0)
""",
        "at exit": """
import atexit
from osprey_executor import runtime
atexit.register(runtime.write_channel, CHANNEL, 5.0)
atexit._run_exitfuncs()
""",
    },
    "processes": {
        "subprocess.run": f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {_PUT!r}.format(CHANNEL)], check=True, timeout=20)
""",
        "os.system": f"""
import os, shlex, sys
os.system(shlex.join([sys.executable, "-c", {_PUT!r}.format(CHANNEL)]))
""",
        "multiprocessing": """
import multiprocessing
from caproto.sync.client import write
child = multiprocessing.get_context("fork").Process(target=write, args=(CHANNEL, 5.0), kwargs={"notify": True})
child.start()
child.join(20)
""",
        "os.fork": """
import os
child = os.fork()
if not child:
    try:
        from caproto.sync.client import write
        write(CHANNEL, 5.0, notify=True, timeout=5)
    finally:
        os._exit(0)
os.waitpid(child, 0)
""",
        "a process that outlives its parent": f"""
import os, subprocess, sys
from time import monotonic, sleep
code = {_PUT!r}.format(CHANNEL) + "; open('outlived', 'w').close()"
child = os.fork()
if not child:
    os.setsid()
    subprocess.Popen([sys.executable, "-c", code])
    os._exit(0)
os.waitpid(child, 0)
end = monotonic() + 20
while not os.path.exists("outlived") and monotonic() < end:
    sleep(0.05)
""",
        "caproto-put": """
import subprocess, sys
code = "import sys; from caproto.commandline.put import main; sys.argv = ['put', sys.argv[1], '5.0']; main()"
subprocess.run([sys.executable, "-c", code, CHANNEL], check=True, timeout=20)
""",
        "epicscorelibs in another process": """
import subprocess, sys
code = "import aioca, asyncio, sys; asyncio.run(aioca.caput(sys.argv[1], 5.0, wait=True, timeout=5))"
subprocess.run([sys.executable, "-c", code, CHANNEL], timeout=20)
""",
    },
}
