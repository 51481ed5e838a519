"""What can go wrong between the service and a kernel has a name, leaves nothing, and the next run is fine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.execution.container.conftest import Open
from tests.execution.container.jupyter import Jupyter

from osprey_executor.errors import (
    ContainerConfigurationError,
    ContainerConnectivityError,
    EngineError,
    EngineUnavailableError,
)
from osprey_executor.execution import EngineEvent, OutputChunk, Program, open_engine
from osprey_executor.execution.container._ledger import Ledger
from osprey_executor.models import Limits, Outcome, RunStatus
from osprey_executor.testing.engine_conformance._session import Session

KILLED = """
import asyncio, json, sys
from pathlib import Path
from osprey_executor.execution import open_engine

async def main():
    async with open_engine("container", json.loads(sys.argv[1]), home=Path(sys.argv[2])) as engine:
        while not engine.pool.ready:
            await asyncio.sleep(0.05)
        print("up", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""
FINE = Program(code="results = {'a': 1}", limits=Limits(timeout=60))
LONG = Program(
    code="from osprey_executor import runtime\nruntime.publish({'step': 1})\nprint('up', flush=True)\n"
    "import time\ntime.sleep(600)\n",
    limits=Limits(timeout=120),
)


def living(marker: str) -> list[int]:
    """Return the processes of this machine that have `marker` in their environment or arguments."""
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and marker.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:  # ended meanwhile
            continue
    return found


async def until(true: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + 60
    while not await asyncio.to_thread(true):
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


async def struck(engine: Any, strike: Callable[[], Coroutine[Any, Any, None]], program: Program = LONG) -> Outcome:
    """Run a program and do something to it when it says that it is up."""
    up = asyncio.Event()

    def hear(event: EngineEvent) -> None:
        if isinstance(event, OutputChunk):
            up.set()

    run = asyncio.create_task(engine.run(program, on_event=hear))
    said = asyncio.create_task(up.wait())
    await asyncio.wait({run, said}, return_when=asyncio.FIRST_COMPLETED)
    said.cancel()
    if not run.done():
        await strike()
    return await run


def told(outcome: Outcome) -> str:
    assert outcome.error is not None
    return f"{outcome.error.type}: {outcome.error.message}"


async def test_a_wrong_token_is_told(gateway: Jupyter, opened: Open) -> None:
    with pytest.raises(ContainerConfigurationError, match=r"refuses the token.*execution\.container\.token"):
        async with opened(gateway, token="wrong"):
            pass
    with pytest.raises(ContainerConfigurationError, match="refuses a request without a token"):
        async with opened(gateway, token=None):
            pass


def certificate(path: Path) -> Path:
    """Write a certificate for loopback, and its key, into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")]), datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(*form) + made.sign(key, hashes.SHA256()).public_bytes(form[0]))
    return path


async def test_a_server_behind_tls_below_a_path_that_wants_a_header(tmp_path: Path, home: Path) -> None:
    both = certificate(tmp_path / "both.pem")
    options = [f"--ServerApp.certfile={both}", f"--ServerApp.keyfile={both}", "--ServerApp.base_url=/user/anna/"]
    jupyter = Jupyter("server", tmp_path / "tls", options, path="/user/anna", certificate=both)
    try:
        tls = {"use_https": True, "base_url": "/user/anna/"}
        # The token comes as one of a proxy's own headers.
        header = {"token": None, "headers": {"Authorization": f"token {jupyter.token}"}}
        async with open_engine("container", jupyter.config(**tls, **header, ca_file=both), home=home) as engine:
            assert (await engine.run(FINE)).results == {"a": 1}
        with pytest.raises(ContainerConnectivityError, match="CERTIFICATE_VERIFY_FAILED"):
            async with open_engine("container", jupyter.config(**tls), home=home):
                pass
    finally:
        jupyter.close()


async def test_nobody_at_that_place_is_told(gateway: Jupyter, opened: Open) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ContainerConnectivityError, match=r"no Jupyter server answers.*jupyter_host"):
            async with opened(gateway, jupyter_port=unused.getsockname()[1]):
                pass
    with pytest.raises(ContainerConnectivityError, match="no Jupyter server answers"):
        async with opened(gateway, jupyter_host="nowhere.invalid"):
            pass
    with pytest.raises(ContainerConfigurationError, match="is no Jupyter server"):
        async with opened(gateway, base_url="/elsewhere"):
            pass


async def test_a_gateway_that_starts_no_kernel_for_this_user_is_told_in_its_words(home: Path) -> None:
    """As Enterprise Gateway does; it hears for whom the kernel would be, and for how long we wait."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                sizes = (line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                length = int(next(sizes, b"0"))
                asked.append(await reader.readexactly(length))
                refused = head.startswith(b"POST")
                body = b"User 'root' is not authorized" if refused else b'{"kernelspecs": {}}'
                status = b"403 Forbidden" if refused else b"200 OK"
                writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        place = {"jupyter_host": "127.0.0.1", "jupyter_port": server.sockets[0].getsockname()[1]}
        config = {"container": {**place, "kernel_user": "root", "warm_kernels": 0, "patience": 60}}
        async with open_engine("container", config, home=home) as engine:
            with pytest.raises(ContainerConfigurationError, match=r"User 'root' is not authorized.*kernel_user"):
                await engine.run(FINE)
    assert json.loads(asked[-1]) == {"env": {"KERNEL_LAUNCH_TIMEOUT": "60", "KERNEL_USERNAME": "root"}}


async def test_a_kernel_that_the_server_does_not_have_is_told(gateway: Jupyter, opened: Open) -> None:
    with pytest.raises(ContainerConfigurationError, match=r"has no kernel 'julia'.*python3"):
        async with opened(gateway, kernel_name="julia"):
            pass


@pytest.mark.parametrize("asked", [{"isolation": "restricted"}, {"network": ["127.0.0.1:80"]}, {"data_folders": ["/"]}])
async def test_what_the_engine_cannot_give_is_refused(gateway: Jupyter, home: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(EngineUnavailableError, match=f"cannot give execution.{next(iter(asked))}"):
        async with open_engine("container", {**gateway.config(), **asked}, home=home):
            pass


async def test_a_killed_kernel_is_told_apart_from_failed_code(gateway: Jupyter, opened: Open) -> None:
    """As the kernel of the machine does when it has no memory left."""
    async with opened(gateway) as engine:

        async def kill() -> None:
            for process in gateway.kernel_processes():
                os.kill(process, signal.SIGKILL)

        outcome = await struck(engine, kill)
        assert (outcome.status, outcome.partial) == (RunStatus.FAILED, True)
        assert "KernelDied" in told(outcome)
        assert "probably out of memory" in told(outcome)
        assert (outcome.stdout, outcome.results) == ("up\n", {"step": 1})
        assert (await engine.run(FINE)).results == {"a": 1}
    await asyncio.to_thread(gateway.wait_for_no_kernel)
    await until(lambda: not living(str(gateway.folder / "osprey-kernel")))


async def test_a_program_that_kills_its_monitor_ends_with_all_its_children(gateway: Jupyter, opened: Open) -> None:
    marker = uuid4().hex
    code = """
import os, signal, subprocess, sys
for _ in range(3):
    subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)", context.marker],
                     start_new_session=True)
print("up", flush=True)
os.kill(os.getppid(), signal.SIGKILL)
"""
    async with opened(gateway) as engine:
        with pytest.raises(EngineError, match="the monitor of the program was ended"):
            await engine.run(Program(code=code, context={"marker": marker}, limits=Limits(timeout=60)))
        assert not living(marker)
        assert (await engine.run(FINE)).results == {"a": 1}


async def test_the_list_of_fonts_is_lent(gateway: Jupyter, opened: Open) -> None:
    async with opened(gateway) as engine:
        code = "import os\nresults = {'seen': os.listdir(os.environ['MPLCONFIGDIR'])}"
        assert "fontlist-v0.json" in (await engine.run(Program(code=code))).results["seen"]


async def test_a_program_killed_from_outside_was_probably_out_of_memory(gateway: Jupyter, opened: Open) -> None:
    async with opened(gateway) as engine:
        outcome = await engine.run(Program(code="import os\nos.kill(os.getpid(), 9)"))
        assert "ProcessKilled" in told(outcome)
        assert "probably out of memory" in told(outcome)
        outcome = await engine.run(Program(code="x = b'x' * (300 << 20)", limits=Limits(timeout=60, memory=64 << 20)))
        assert "limits.memory" in told(outcome) or "MemoryError" in told(outcome)


async def test_a_server_that_is_killed_leaves_an_unknown_outcome_and_no_process(
    tmp_path: Path, home: Path, opened: Open
) -> None:
    first = Jupyter("gateway", tmp_path / "first")
    try:
        async with opened(first, reconnect=1) as engine:

            async def kill() -> None:
                first.kill()

            outcome = await struck(engine, kill)
            assert outcome.status is RunStatus.OUTCOME_UNKNOWN
            assert "OutcomeUnknownError" in told(outcome)
            assert "was lost while the program ran" in told(outcome)
            assert (outcome.stdout, outcome.results, outcome.partial) == ("up\n", {"step": 1}, True)
            with pytest.raises(ContainerConnectivityError):
                await engine.run(FINE)
        # The kernels see that their server is gone, and with a kernel goes its program.
        await until(lambda: not living(str(first.folder)))
        assert list((home / "kernels").iterdir())
    finally:
        first.close()


async def test_kernels_of_a_service_that_was_killed_are_removed(gateway: Jupyter, home: Path, opened: Open) -> None:
    """The service writes a kernel down before it uses it; here a file that nobody holds does so."""
    url = f"http://{gateway.host}:{gateway.port}"
    left = gateway._client.post("/api/kernels", json={}).raise_for_status().json()["id"]
    gone = Ledger(home / "kernels", url)
    gone.add("0" * 8 + "-0000-4000-8000-" + "0" * 12)
    gone.add(left)
    other = Ledger(home / "kernels", "http://elsewhere:1")
    other.add(left)
    os.close(gone._file)
    os.close(other._file)
    assert left in gateway.kernels()
    async with opened(gateway):
        assert left not in gateway.kernels()
        assert not gone._path.exists()
        assert other._path.exists()
    await asyncio.to_thread(gateway.wait_for_no_kernel)


async def test_a_service_that_is_killed_leaves_its_kernels_to_the_next(
    gateway: Jupyter, home: Path, opened: Open
) -> None:
    service = subprocess.Popen(
        [sys.executable, "-c", KILLED, json.dumps(gateway.config(warm_kernels=1)), str(home)], stdout=subprocess.PIPE
    )
    try:
        assert service.stdout is not None
        assert await asyncio.to_thread(service.stdout.readline) == b"up\n"
    finally:
        service.kill()
        service.communicate()
    [left] = gateway.kernels()
    async with opened(gateway):
        assert left not in gateway.kernels()
    await asyncio.to_thread(gateway.wait_for_no_kernel)


async def test_a_request_after_a_time_out_works_at_once(gateway: Jupyter, opened: Open) -> None:
    async with opened(gateway) as engine:
        code = "import time\nwhile True:\n    try:\n        time.sleep(9)\n    except BaseException: pass"
        outcome = await engine.run(Program(code=code, limits=Limits(timeout=0.5)))
        assert outcome.status is RunStatus.TIMED_OUT
        assert (await engine.run(FINE)).results == {"a": 1}


async def test_nobody_answers_input(gateway: Jupyter, opened: Open) -> None:
    async with opened(gateway) as engine:
        outcome = await engine.run(Program(code="name = input('who? ')"))
        assert "EOFError" in told(outcome)


class Wire:
    """Between service and server: carries bytes, until it is cut."""

    def __init__(self, port: int, slow: float = 0.0) -> None:
        self._target, self._writers, self._slow = port, set[asyncio.StreamWriter](), slow
        self.port = 0
        self.cuts = 0

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._writers) // 2

    def cut(self) -> None:
        """Break every connection in the middle."""
        self.cuts += 1
        for writer in self._writers:
            writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, far_writer}

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while piece := await source.read(8192 if self._slow else 65536):
                    await asyncio.sleep(self._slow)
                    target.write(piece)
                    await target.drain()
            except OSError:
                pass
            finally:
                target.close()

        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
        self._writers -= {writer, far_writer}


@asynccontextmanager
async def wire(port: int, slow: float = 0.0) -> AsyncGenerator[Wire]:
    made = Wire(port, slow)
    server = await asyncio.start_server(made.carry, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.cut()


@pytest.mark.parametrize("kind", ["gateway", "server"])
async def test_a_cut_websocket_is_resumed_and_nothing_is_lost(
    request: pytest.FixtureRequest, opened: Open, kind: str
) -> None:
    jupyter: Jupyter = request.getfixturevalue(kind)
    code = """
from osprey_executor import runtime
for number in range(40):
    print(number, "x" * 3000)
    runtime.write_channel("CURRENT", number)
open("left.bin", "wb").write(b"y" * 3_000_000)
results = {"sum": sum(range(40))}
"""
    session = Session()
    async with wire(jupyter.port) as between, opened(jupyter, jupyter_port=between.port) as engine:
        seen = 0

        def hear(event: EngineEvent) -> None:
            nonlocal seen
            seen += 1
            if isinstance(event, OutputChunk) and between.cuts < 3 and seen % 5 == 0:
                between.cut()

        program = Program(code=code, limits=Limits(timeout=100))
        outcome = await engine.run(program, control=session, on_event=hear)
        assert between.cuts == 3
        assert outcome.status is RunStatus.SUCCEEDED, outcome.error
        assert outcome.results == {"sum": 780}
        assert outcome.stdout == "".join(f"{number} {'x' * 3000}\n" for number in range(40))
        assert [write.value for write in session.writes] == [str(number) for number in range(40)]
        assert [path.stat().st_size for path in outcome.artifacts] == [3_000_000]


async def test_a_kernel_that_is_cut_off_before_it_is_ready_is_replaced(gateway: Jupyter, opened: Open) -> None:
    async with wire(gateway.port) as between, opened(gateway, jupyter_port=between.port) as engine:
        before = set(gateway.kernels())
        running = asyncio.create_task(engine.run(FINE))
        await until(lambda: bool(set(gateway.kernels()) - before))
        await until(lambda: between.connections > 1 or running.done())
        between.cut()
        assert (await running).results == {"a": 1}
    await asyncio.to_thread(gateway.wait_for_no_kernel)


async def test_a_slow_network_only_takes_longer(gateway: Jupyter, opened: Open) -> None:
    """Every 8 KiB take 20 ms, each way."""
    code = "print('x' * 100_000)\nopen('left.bin', 'wb').write(b'y' * 100_000)\nresults = {'a': list(range(1000))}"
    async with wire(gateway.port, slow=0.02) as between, opened(gateway, jupyter_port=between.port) as engine:
        outcome = await engine.run(Program(code=code, limits=Limits(timeout=100)))
        assert outcome.status is RunStatus.SUCCEEDED, outcome.error
        assert (len(outcome.stdout), outcome.results["a"][-1]) == (100_001, 999)
        assert [path.stat().st_size for path in outcome.artifacts] == [100_000]


@pytest.mark.timeout(400)
async def test_many_runs_at_once_each_get_their_own(gateway: Jupyter, opened: Open) -> None:
    """More than there may be kernels: the others wait."""
    async with opened(gateway, max_kernels=8) as engine:
        programs = [Program(code=f"print({number})\nresults = {{'n': {number}}}") for number in range(50)]
        outcomes = await asyncio.gather(*(engine.run(program) for program in programs))
        assert [outcome.results for outcome in outcomes] == [{"n": number} for number in range(50)]
        assert [outcome.stdout for outcome in outcomes] == [f"{number}\n" for number in range(50)]
    await asyncio.to_thread(gateway.wait_for_no_kernel)
