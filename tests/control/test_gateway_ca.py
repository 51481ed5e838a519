"""Programs that speak Channel Access themselves, in the sandbox, against a real IOC behind broker and gateway."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from osprey_executor.config import config_from
from osprey_executor.control import Broker, Session, gateways_for
from osprey_executor.execution import Engine, EngineEvent, OutputChunk, open_engine
from osprey_executor.models import Outcome, Program, RunStatus

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHANNELS = ["NUMBER", "WHOLE", "STATE", "TEXT", "ROW", "BYTES", "ALARM", "NEVER", "LOCKED", "NUMBER.DRVH", "NUMBER.VAL"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine() -> AsyncIterator[Engine]:
    config = config_from({"control_system": {"type": "epics"}})
    async with open_engine("local", config, gateways=gateways_for(config.control_system)) as opened:
        yield opened


@dataclass(frozen=True)
class Ran:
    outcome: Outcome
    session: Session
    entries: list[dict[str, Any]]

    @property
    def attempts(self) -> list[tuple[str, str]]:
        """Channel and value of each attempt to write."""
        return [(entry["channel"], entry["value"]) for entry in self.entries if entry["event"] == "attempt"]


Run = Callable[..., Any]


@pytest.fixture
def run(engine: Engine, records: Broker, journal: Path, entries: Callable[[], list[dict[str, Any]]]) -> Run:
    async def execute(
        source: str, permit: Any = None, on_event: Callable[[EngineEvent], None] | None = None, fails: bool = False
    ) -> Ran:
        journal.unlink(missing_ok=True)
        session = records.session(run_id="r1", permit=permit, journal=journal)
        outcome = await engine.run(Program(code=source), control=session, on_event=on_event)
        assert fails or outcome.status == "succeeded", (outcome.error, outcome.stdout, outcome.stderr)
        return Ran(outcome, session, entries())

    return execute


async def now(records: Broker, channel: str = "T:NUMBER") -> Any:
    return (await records.connector.read([channel]))[channel].value


READS = {
    "pyepics": """
import epics, json
found, times = {}, {}
for name in CHANNELS:
    pv = epics.PV("T:" + name)
    assert pv.wait_for_connection(10)
    value = pv.get(timeout=10)
    found[name] = [
        getattr(value, "tolist", lambda: value)(), pv.get(as_string=True), pv.type, pv.nelm, pv.units, pv.severity,
        pv.status, pv.precision, pv.enum_strs, pv.lower_disp_limit, pv.upper_alarm_limit,
        pv.lower_ctrl_limit, pv.upper_ctrl_limit,
    ]
    times[name] = pv.timestamp
print(json.dumps([found, times]))
""",
    "aioca": """
import aioca, asyncio, json
async def read():
    found, times = {}, {}
    for name in CHANNELS:
        for options in ({}, {"datatype": str}, {"format": aioca.FORMAT_TIME}, {"format": aioca.FORMAT_CTRL}):
            value = await aioca.caget("T:" + name, timeout=10, throw=False, **options)
            told = dict(vars(value))
            told.pop("raw_stamp", None)
            times[name + str(options)] = told.pop("timestamp", 0)
            found[name + str(options)] = [str(value), repr(told)]
    return found, times
print(json.dumps(asyncio.run(read())))
""",
    "caproto": """
import json
from caproto.sync.client import read
found, times = {}, {}
for name in CHANNELS:
    for form in ("native", "time", "graphic", "control"):
        answer = read("T:" + name, data_type=form, timeout=10, repeater=False)
        fields = [field[0] for field in getattr(answer.metadata, "_fields_", ()) if "pad" not in field[0]]
        told = {field: repr(getattr(answer.metadata, field)) for field in fields}
        told.pop("stamp", None)
        if told.pop("strs", None):
            told["labels"] = list(map(repr, answer.metadata.enum_strings))
        times[name + form] = getattr(answer.metadata, "timestamp", 0)
        found[name + form] = [list(map(repr, answer.data)), answer.data_type, answer.data_count, told]
print(json.dumps([found, times]))
""",
}


@pytest.mark.parametrize("source", READS.values(), ids=READS)
async def test_what_programs_read_is_what_they_read_without_us(source: str, run: Run, ioc: Any) -> None:
    whole = f"CHANNELS = {CHANNELS!r}\n{source}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("EPICS_")},
        "EPICS_CA_ADDR_LIST": f"127.0.0.1:{ioc.port}",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "PATH": "/nowhere",
    }
    command = [sys.executable, "-c", whole]
    # caproto's search socket may get the port of any other socket that shares its own, which then gets the answer.
    for _ in range(3):
        done = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, timeout=60)
        if "CaprotoTimeoutError" not in done.stderr.decode():
            break
    assert done.returncode == 0, done.stderr.decode()
    direct, moments = json.loads(done.stdout)
    inside, seen = json.loads((await run(whole)).outcome.stdout)
    assert list(inside) == list(direct)
    for name, value in direct.items():
        assert inside[name] == value, name
    assert seen == pytest.approx(moments, abs=5e-6)


RAW = """
import socket, struct
near = socket.create_connection(("127.0.0.1", 5064))
near.settimeout(10)
def send(command, payload=b"", kind=0, count=0, first=0, second=0):
    near.sendall(struct.pack(">HHHHII", command, len(payload), kind, count, first, second) + payload)
def receive(wanted):
    while True:
        head = b""
        while len(head) < 16:
            head += near.recv(16 - len(head)) or exit("closed")
        command, size, kind, count, first, second = struct.unpack(">HHHHII", head)
        body = b""
        while len(body) < size:
            body += near.recv(size - len(body))
        if command == wanted:
            return first, second, body
def name(text):
    raw = text.encode() + bytes(1)
    return raw + bytes(-len(raw) % 8)
send(0, kind=0, count=13)
send(20, name("root"))
send(21, name("console"))
send(18, name(CHANNEL), first=7, second=13)
_, sid, _ = receive(18)
"""

WRITES = {
    "caput": "import epics\nepics.caput('T:NUMBER', 3.0, wait=True, timeout=10)",
    "caput without waiting": "import epics\nepics.caput('T:NUMBER', 3.0)\nepics.caget('T:OTHER')",
    "PV.put": "import epics\npv = epics.PV('T:NUMBER'); pv.wait_for_connection(10); pv.put(3.0, wait=True, timeout=10)",
    "PV.value": "import epics\npv = epics.PV('T:NUMBER'); pv.wait_for_connection(10); pv.value = 3.0; pv.get()",
    "caput_many": "import epics\nepics.caput_many(['T:NUMBER'], [3.0], wait='all')",
    "ctypes": """
import ctypes, epics
pv = epics.PV("T:NUMBER"); pv.wait_for_connection(10)
value = ctypes.c_double(3.0)
epics.ca.libca.ca_array_put(6, 1, pv.chid, ctypes.byref(value))
epics.ca.libca.ca_flush_io()
epics.caget("T:OTHER")
""",
    "aioca": """
import aioca, asyncio
asyncio.run(aioca.caput("T:NUMBER", 3.0, wait=True, timeout=10, throw=False))
""",
    "caproto sync": "from caproto.sync.client import write\nwrite('T:NUMBER', 3.0, notify=True, timeout=10)",
    "caproto threading": """
from caproto.threading.client import Context
(pv,) = Context().get_pvs("T:NUMBER")
pv.wait_for_connection(timeout=10)
pv.write([3.0], wait=True, timeout=10)
""",
    "ophyd": """
from ophyd import EpicsSignal
signal = EpicsSignal("T:NUMBER", name="number", put_complete=True)
signal.wait_for_connection(timeout=10)
signal.put(3.0, use_complete=True)
signal.get()
""",
    "another process": """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import epics; epics.caput('T:NUMBER', 3.0, wait=True, timeout=10)"], check=True)
""",
    "threads": """
import epics, threading
threads = [threading.Thread(target=epics.ca.use_initial_context)]
epics.PV("T:NUMBER").wait_for_connection(10)
def put():
    epics.ca.use_initial_context()
    epics.caput("T:NUMBER", 3.0, wait=True, timeout=10)
thread = threading.Thread(target=put); thread.start(); thread.join()
""",
    "raw write": f"CHANNEL = 'T:NUMBER'\n{RAW}\nsend(4, struct.pack('>d', 3.0), 6, 1, sid, 1)\nsend(23)\nreceive(23)",
    "raw write with an answer": f"CHANNEL = 'T:NUMBER.VAL'\n{RAW}\n"
    "send(19, struct.pack('>d', 3.0), 6, 1, sid, 1)\nprint(receive(19)[0])",
    "raw write, then gone": f"CHANNEL = 'T:NUMBER'\n{RAW}\nsend(4, struct.pack('>d', 3.0), 6, 1, sid, 1)\n"
    "import os\nos._exit(0)",
    "a text": f"CHANNEL = 'T:NUMBER'\n{RAW}\nsend(19, name('3.0'.ljust(39, chr(0))), 0, 1, sid, 1)\nreceive(19)",
}
"""Each writes 3 to T:NUMBER, if it is let."""


@pytest.mark.parametrize("source", WRITES.values(), ids=WRITES)
async def test_no_way_to_write_gets_past_a_broker_without_approval(source: str, run: Run, records: Broker) -> None:
    before = await now(records)
    assert before != 3.0
    ran = await run(source, fails=True)
    assert len(ran.attempts) == 1
    channel, value = ran.attempts[0]
    assert channel == "T:NUMBER"
    assert value.strip("'") in ("3.0", "3")
    assert [entry["event"] for entry in ran.entries] == ["attempt", "refused"]
    assert await now(records) == before
    assert not ran.session.writes


TEXT_ONLY = {"a text"}
"""The broker takes no text for a number."""


@pytest.mark.parametrize("source", [WRITES[name] for name in WRITES if name not in TEXT_ONLY])
async def test_each_of_these_ways_writes_where_it_is_approved(
    source: str, run: Run, records: Broker, permit: Any
) -> None:
    """The canary of the test before: these programs do write."""
    await records.connector.write("T:NUMBER", 1.5)
    try:
        ran = await run(source, permit(frozenset({"T:NUMBER"})), fails=True)
        assert await now(records) == 3.0
        assert [write.confirmed for write in ran.session.writes] == [True]
    finally:
        await records.connector.write("T:NUMBER", 1.5)


TEXTS = {
    "pyepics": "import epics\nepics.caput('T:TEXT', 'sent', wait=True, timeout=10)",
    "aioca": "import aioca, asyncio\nasyncio.run(aioca.caput('T:TEXT', 'sent', wait=True, timeout=10))",
    "caproto": "from caproto.sync.client import write\nwrite('T:TEXT', ['sent'], notify=True, timeout=10)",
}


@pytest.mark.parametrize("source", TEXTS.values(), ids=TEXTS)
async def test_a_text_is_a_value_however_much_of_it_is_sent(
    source: str, run: Run, records: Broker, permit: Any
) -> None:
    before = await now(records, "T:TEXT")
    assert before != "sent"
    try:
        ran = await run(source, permit(frozenset({"T:TEXT"})))
        assert ran.attempts == [("T:TEXT", "'sent'")]
        assert await now(records, "T:TEXT") == "sent"
    finally:
        await records.connector.write("T:TEXT", before)


async def test_a_read_after_a_write_sees_what_was_written(run: Run, records: Broker, permit: Any) -> None:
    source = """
import epics
seen = []
for value in (3.0, 4.0, 5.0):
    epics.caput("T:NUMBER", value)
    seen.append(epics.caget("T:NUMBER", use_monitor=False))
results = {"seen": seen}
"""
    try:
        ran = await run(source, permit(frozenset({"T:NUMBER"})))
        assert ran.outcome.results["seen"] == [3.0, 4.0, 5.0]
    finally:
        await records.connector.write("T:NUMBER", 1.5)


REHEARSED = {
    "pyepics": """
import epics
epics.caput("T:NUMBER", 3.0, wait=True, timeout=10)
results = {"seen": epics.caget("T:NUMBER", use_monitor=False)}
""",
    "caproto": """
from caproto.sync.client import read, write
write("T:NUMBER", 3.0, notify=True, timeout=10)
results = {"seen": float(read("T:NUMBER", timeout=10).data[0])}
""",
    "a monitor": """
import epics, time
seen = []
pv = epics.PV("T:NUMBER", callback=lambda value, **more: seen.append(value))
pv.wait_for_connection(10)
pv.put(3.0, wait=True, timeout=10)
while 3.0 not in seen: time.sleep(0.01)
results = {"seen": pv.get()}
""",
}


@pytest.mark.parametrize("source", REHEARSED.values(), ids=REHEARSED)
async def test_a_rehearsal_sees_its_own_writes_and_moves_nothing(
    source: str, engine: Engine, records: Broker, journal: Path
) -> None:
    before = await now(records)
    async with records.rehearsal(run_id="r1", journal=journal) as session:
        outcome = await engine.run(Program(code=source), control=session)
    assert (outcome.error, outcome.results) == (None, {"seen": 3.0})
    plan = session.plan(outcome.status)
    assert [(write.channel, write.value) for write in plan.writes] == [("T:NUMBER", 3.0)]
    assert not plan.feedback_dependent
    assert await now(records) == before


async def test_a_rehearsal_notes_what_is_read_after_its_writes_but_not_what_is_found(
    engine: Engine, records: Broker, journal: Path
) -> None:
    write = "from caproto.sync.client import read, write\nwrite('T:NUMBER', 3.0, notify=True, timeout=20)\n"
    depends: list[bool] = []
    for more in ("write('T:OTHER', 1.0, notify=True, timeout=20)", "read('T:WHOLE', timeout=20)"):
        async with records.rehearsal(run_id="r1", journal=journal) as session:
            outcome = await engine.run(Program(code=write + more), control=session)
        assert outcome.status is RunStatus.SUCCEEDED, outcome.error
        depends.append(session.plan(outcome.status).feedback_dependent)
    assert depends == [False, True]


SEVERAL = """
import epics
names = ["T:NUMBER", "T:OTHER", "T:WHOLE"]
{before}
for value, name in enumerate(names):
    epics.caput(name, value, wait=True, timeout=10)
results = {{}}
"""
CONNECTED = "pvs = [epics.get_pv(name, connect=True, timeout=10) for name in names]"
LOOPED = """
import epics
read_back = epics.PV("T:OTHER")
assert read_back.get(timeout=10) is not None
for _ in range(2):
    epics.caput("T:NUMBER", read_back.get() + 1, wait=True, timeout=10)
results = {}
"""


@pytest.mark.parametrize(
    ("source", "depends"),
    [
        (SEVERAL.format(before=CONNECTED), False),
        (SEVERAL.format(before=""), False),
        (LOOPED, True),
        (SEVERAL.format(before="") + "epics.caget('T:STATE')", True),
    ],
    ids=["connected before", "connected one by one", "a loop", "one more is read"],
)
async def test_monitors_that_pyepics_makes_by_itself_are_no_feedback(
    source: str, depends: bool, engine: Engine, records: Broker, journal: Path
) -> None:
    async with records.rehearsal(run_id="r1", journal=journal) as session:
        outcome = await engine.run(Program(code=source), control=session)
    assert outcome.error is None
    plan = session.plan(outcome.status)
    assert plan.feedback_dependent is depends
    assert len(plan.writes) == (2 if source == LOOPED else 3)


OTHER_WRITES = {
    "a drive limit": ("import epics\nepics.caput('T:NUMBER.DRVH', 1e6, wait=True)", "T:NUMBER.DRVH"),
    "processing": ("import epics\nepics.caput('T:NUMBER.PROC', 1, wait=True)", "T:NUMBER.PROC"),
    "a state": ("import epics\nepics.caput('T:STATE', 'On', wait=True)", "T:STATE"),
    "an array": ("import epics\nepics.caput('T:ROW', [1.0, 2.0], wait=True)", "T:ROW"),
    "a text": ("import epics\nepics.caput('T:TEXT', 'x', wait=True)", "T:TEXT"),
    "not a number": ("import epics\nepics.caput('T:NUMBER', float('nan'), wait=True)", "T:NUMBER"),
    "alarms acknowledged": (f"CHANNEL = 'T:ALARM'\n{RAW}\nsend(19, bytes(8), 36, 1, sid, 1)\nreceive(19)", "T:ALARM"),
    "less than it says": (f"CHANNEL = 'T:NUMBER'\n{RAW}\nsend(19, bytes(8), 6, 9, sid, 1)\nreceive(19)", "T:NUMBER"),
    "a filter": (
        f"""CHANNEL = 'T:NUMBER.{{"arr":{{}}}}'\n{RAW}\nsend(19, bytes(8), 6, 1, sid, 1)\nreceive(19)""",
        """'T:NUMBER.{"arr":{}}'""",
    ),
}


@pytest.mark.parametrize(("source", "channel"), OTHER_WRITES.values(), ids=OTHER_WRITES)
async def test_whatever_may_change_something_is_refused_and_journalled(source: str, channel: str, run: Run) -> None:
    ran = await run(source)
    assert [attempted for attempted, _ in ran.attempts] == [channel]
    assert [entry["event"] for entry in ran.entries] == ["attempt", "refused"]


async def test_a_client_that_waits_is_told_of_the_refusal(run: Run) -> None:
    ran = await run(WRITES["raw write with an answer"])
    assert ran.outcome.stdout.strip() == "376"  # ECA_NOWTACCESS
    words = await run(f"{WRITES['raw write'].rpartition('send(23)')[0]}print(receive(11)[2])")
    assert "no approval to write" in words.outcome.stdout


async def test_a_monitor_sees_each_value_once(run: Run, records: Broker) -> None:
    source = """
import epics, time
seen = []
pv = epics.PV("T:OTHER", callback=lambda value, **more: seen.append(value), auto_monitor=True)
pv.wait_for_connection(10)
while not seen: time.sleep(0.01)
time.sleep(0.2)
print("ready", flush=True)
while len(seen) < 2: time.sleep(0.01)
time.sleep(0.2)
results = {"seen": seen}
"""
    ready = asyncio.Event()

    def heard(event: EngineEvent) -> None:
        if isinstance(event, OutputChunk) and "ready" in event.text:
            ready.set()

    before = await now(records, "T:OTHER")
    running = asyncio.create_task(run(source, on_event=heard))
    await asyncio.wait({running, asyncio.ensure_future(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
    await records.connector.write("T:OTHER", before + 1)
    ran = await running
    assert ran.outcome.results["seen"] == [before, before + 1]
    assert {reading.value for reading in ran.session.reads if reading.channel == "T:OTHER"} == {before, before + 1}


async def test_a_name_that_nobody_knows_is_not_found(run: Run) -> None:
    ran = await run("import epics\nresults = {'found': epics.PV('T:NONE').wait_for_connection(1)}")
    assert ran.outcome.results["found"] is False


DYING = f"""
CHANNEL = 'T:NUMBER'
{RAW}
print("ready", flush=True)
assert near.recv(1000) == b""
while "results" not in globals():
    try:
        socket.create_connection(("127.0.0.1", 5064), 10).close()
    except ConnectionRefusedError as error:
        results = {{"after": type(error).__name__}}
    except ConnectionResetError:  # it was on its way
        pass
"""


async def test_a_gateway_that_dies_fails_its_run_and_no_other(run: Run, engine: Engine) -> None:
    pool: Any = engine.gateways  # type: ignore[attr-defined]
    ready = asyncio.Event()

    def heard(event: EngineEvent) -> None:
        if isinstance(event, OutputChunk) and "ready" in event.text:
            ready.set()

    running = asyncio.create_task(run(DYING, on_event=heard))
    await asyncio.wait({running, asyncio.ensure_future(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
    (used,) = [gateway for gateway in pool._running if gateway not in pool._ready.values()]
    os.kill(used._running._process.pid, signal.SIGKILL)
    ran = await running
    assert ran.outcome.results["after"] == "ConnectionRefusedError"
    assert "Channel Access: the gateway of this run failed" in " ".join(ran.outcome.notes)
    again = await run("import epics\nresults = {'value': epics.caget('T:NUMBER')}")
    assert again.outcome.results["value"] == 1.5


GARBAGE = """
import os, socket
for size in (1, 16, 100, 70_000):
    near = socket.create_connection(("127.0.0.1", 5064))
    near.sendall(os.urandom(size))
    near.close()
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(os.urandom(min(size, 1400)), ("127.0.0.1", 5064))
crowd = [socket.create_connection(("127.0.0.1", 5064)) for _ in range(60)]
for near in crowd:
    near.sendall(b"\\0\\x12\\xff\\xff\\0\\0\\0\\0" + b"\\0" * 8 + b"\\x7f\\xff\\xff\\xff\\0\\0\\0\\1")  # 2 GB to come
for near in crowd:
    near.close()
import epics
results = {"value": epics.caget("T:NUMBER", timeout=20)}
"""


async def test_what_is_no_channel_access_harms_nobody(run: Run) -> None:
    ran = await run(GARBAGE)
    assert ran.outcome.results["value"] == 1.5
    assert not ran.attempts
    assert ran.outcome.notes == ("Channel Access: used through the gateway",)


async def test_the_code_has_no_other_way_to_the_control_system(run: Run, ioc: Any) -> None:
    source = f"""
import socket
found = {{}}
for port in ({ioc.port}, 5065, 5076):
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
        found[port] = "answers"
    except OSError as error:
        found[port] = type(error).__name__
results = {{"found": list(found.values())}}
"""
    assert (await run(source)).outcome.results["found"] == ["ConnectionRefusedError"] * 3
