"""No sandbox: a process with limits and a scrubbed environment, only where the configuration says `none`."""

from __future__ import annotations

import asyncio
import contextlib
import marshal
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from osprey_executor.execution.local import jail
from osprey_executor.execution.local._enforcement import PLAIN
from osprey_executor.execution.local._environment import code_environment
from osprey_executor.execution.local._interpreter import Interpreter
from osprey_executor.execution.local._limits import resource_limits
from osprey_executor.execution.local._sandbox import Ending, Job, LaunchError

_START = "import sys; sys.path.insert(0, sys.argv[1]); from jail.plain import main; main()"
_ROOM = str(Path(jail.__file__).parent.parent)
_KIB = 1 if sys.platform == "darwin" else 1024


class PlainSandbox:
    """Starts each job as a plain process."""

    level = "none"
    enforced = PLAIN
    mechanisms = ("scrubbed environment", "rlimits of each process", "process group ended as a whole")
    code_path: Path | None = None
    private_user = False

    def __init__(self, interpreter: Interpreter, library: Path) -> None:
        """Prepare; `library` is the folder of the guest library."""
        self._interpreter = interpreter
        self.library = str(library)

    def start_quickly(self, job: Job) -> None:
        """There is no quicker way."""

    def start(self, job: Job) -> PlainProcess:
        """Start `job`.

        Raises:
            LaunchError: a process could not be started.
        """
        root = job.files.root
        try:
            for name in ("out", "home", "home/.matplotlib", "tmp"):
                (root / name).mkdir()
            for name, source in job.files.inputs.items():
                if source.parent != root / "inputs":
                    (root / "inputs" / name).symlink_to(source)
            (root / "out" / "inputs").symlink_to("../inputs")
            return PlainProcess(self._interpreter, job, self.library)
        except OSError as error:
            raise LaunchError(f"the interpreter {self._interpreter.executable} cannot be started: {error}") from error


class PlainProcess:
    """One process and its group."""

    def __init__(self, interpreter: Interpreter, job: Job, library: str) -> None:
        """Start it."""
        root, executable = job.files.root, str(interpreter.executable)
        environment = code_environment(interpreter.executable, library=library, home=str(root / "home"))
        environment["TMPDIR"] = str(root / "tmp")
        self._ours, theirs = socket.socketpair() if job.script is None else (None, None)
        if theirs is not None:
            environment["OSPREY_RUNTIME_FD"] = str(theirs.fileno())
        told = {
            "executable": executable,
            "argv": [executable, *job.arguments(library)],
            "environment": environment,
            "rlimits": resource_limits(job.limits, own_processes=False),
        }
        self._ordered = False
        self._folder = os.open(root / "out", os.O_RDONLY | os.O_DIRECTORY)
        reading, writing = os.pipe()
        try:
            os.write(writing, marshal.dumps(told))
            os.close(writing)
            inherited = [reading, *([theirs.fileno()] if theirs else [])]
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START, _ROOM, str(reading)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={},
                cwd=root / "out",
                pass_fds=inherited,
                start_new_session=True,
            )
        except OSError:
            os.close(self._folder)
            if self._ours is not None:
                self._ours.close()
            raise
        finally:
            os.close(reading)
            if theirs is not None:
                theirs.close()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.stdout, self.stderr = self._process.stdout.fileno(), self._process.stderr.fileno()
        for descriptor in (self.stdout, self.stderr):
            os.set_blocking(descriptor, False)
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        # A thread of its own: those of the loop are few, and a run may take an hour.
        threading.Thread(target=self._wait, args=(asyncio.get_running_loop(),), daemon=True).start()

    def take_runtime(self) -> socket.socket:
        """Return our end of the link."""
        assert self._ours is not None
        ours, self._ours = self._ours, None
        return ours

    def end(self) -> None:
        """Kill the process group."""
        if not self._ending.done():
            self._ordered = True
            self._kill()

    async def ended(self) -> Ending:
        """Wait for the process; what is left of its group is ended too."""
        return await asyncio.shield(self._ending)

    def folder(self) -> int | None:
        """Return the working folder."""
        return self._folder

    @property
    def held(self) -> Mapping[str, str]:
        """No control group keeps any limit."""
        return {}

    def notes(self) -> tuple[str, ...]:
        """Nobody sees what the code does in the network."""
        return ()

    def forget(self) -> None:
        """Nothing listens in the event loop."""

    @property
    def closes_at_once(self) -> bool:
        """Whether `close` takes no time."""
        return True

    def close(self) -> None:
        """Let go of the descriptors."""
        if self._ours is not None:
            self._ours.close()
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        # The group is ended while its leader still holds the number, so that nobody else can have it.
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self._kill()
        _, status, usage = os.wait4(self._process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        ending = Ending(
            None if self._ordered and code == -signal.SIGKILL else code,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            max_memory=usage.ru_maxrss * _KIB,
        )
        with contextlib.suppress(RuntimeError):  # the loop was closed over our heads
            loop.call_soon_threadsafe(self._ending.set_result, ending)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
