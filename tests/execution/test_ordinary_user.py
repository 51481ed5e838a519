"""The jail as an ordinary user builds it. As root, the test first becomes one; else every test is one already."""

from __future__ import annotations

import json
from collections.abc import Callable

SCRIPT = """
import asyncio, json, os
from osprey_executor.execution import Program, open_engine
from osprey_executor.models import Limits

FORGE = '''
import os, signal, resource
for n in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, signal.SIGXCPU):
    try: os.kill(1, n)
    except OSError: pass
for work in (
    lambda: resource.prlimit(1, resource.RLIMIT_CPU, (0, 0)),
    lambda: os.setpriority(os.PRIO_PROCESS, 1, 19),
    lambda: os.setpriority(os.PRIO_USER, 0, 19),
    lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0)),
    lambda: open("/proc/1/mem", "wb"),
    lambda: open("/proc/1/fd/3", "wb"),
):
    try: work()
    except OSError: pass
    else: print("reached the monitor")
os._exit(7)
'''
SHARE = '''
import os, time
kept = b"x" * (100 << 20)
children = []
for _ in range(5):
    pid = os.fork()
    if pid == 0: time.sleep(0.3); os._exit(0)
    children.append(pid)
for pid in children: os.waitpid(pid, 0)
'''

async def main():
    told = {"uid": os.getuid()}
    async with open_engine("local") as engine:
        told["proven"] = engine.isolation.proven
        told["failed"] = [(p.name, p.detail) for p in await engine.probe() if p.outcome != "ok"]
        good = await engine.run(Program(
            code="import os\\nopen('f','w').write('x')\\n"
                 "print(open('/dev/stdin').read(), file=open('/dev/stdout', 'w'))\\n"
                 "results = {'uid': os.getuid(), 'a': (1, 2), 'in': open('inputs/i').read()}",
            inputs={"i": b"given"}))
        told["good"] = [good.status, str(good.error), good.results["uid"], list(good.results["a"]), good.results["in"],
                        [p.name for p in good.artifacts]]
        forged = await engine.run(Program(code=FORGE))
        told["forged"] = [forged.status, forged.error.message, forged.stdout]
        shared = await engine.run(Program(code=SHARE, limits=Limits(memory=256 << 20)))
        told["shared"] = [shared.status, str(shared.error)]
        slow = await engine.run(Program(code="import os\\nos.fork()\\nwhile True: pass", limits=Limits(timeout=1)))
        told["slow"] = slow.status
        bomb = await engine.run(Program(
            code="import os, time\\nfor _ in range(100): os.fork() or time.sleep(30)", limits=Limits(processes=20)))
        told["bomb"] = [bomb.status, str(bomb.error)]
    print(json.dumps(told))
asyncio.run(main())
"""


def test_an_ordinary_user_has_the_same_walls(as_user: Callable[..., str]) -> None:
    told = json.loads(as_user(SCRIPT).splitlines()[-1])
    assert told["uid"] != 0
    assert told["proven"]
    assert told["failed"] == []
    assert told["good"] == ["succeeded", "None", 1000, [1, 2], "given", ["f"]]
    assert told["forged"][0] == "failed"
    assert "exit code 7" in told["forged"][1]
    assert told["forged"][2] == ""
    assert told["shared"] == ["succeeded", "None"]
    assert told["slow"] == "timed_out"
    assert told["bomb"][0] == "failed"
