"""Child processes of connectors: started with a scrubbed environment, in a session of their own, ended with us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping

# What an interpreter and its libraries need; no credentials, and nothing of EPICS but what the connector sets.
_KEPT = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH"}) | {
    "PYTHONDONTWRITEBYTECODE",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "MPLCONFIGDIR",
}
_PATIENCE = 5.0
_LAST_WORDS_SECONDS = 0.5
_TAIL = 4000


class Child:
    """One running child. It ends by itself when its standard input ends, also when this process is killed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._tail = b""
        self._drain = asyncio.create_task(self._keep_tail())

    @classmethod
    async def start(
        cls, module: str, *arguments: str, environment: Mapping[str, str], stdin: int = asyncio.subprocess.PIPE
    ) -> Child:
        """Start `python -m module` with `environment` and the few general variables of this process.

        Raises:
            OSError: the process cannot be made.
        """
        kept = {name: value for name, value in os.environ.items() if name in _KEPT}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            module,
            *arguments,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment},
            # An interrupt typed at the terminal is for us; we then end the child in order.
            start_new_session=True,
        )
        return cls(process)

    @property
    def last_words(self) -> str:
        """The last line that it wrote to standard error; complete once it was stopped."""
        return (self._tail.decode(errors="replace").strip().splitlines() or [""])[-1]

    async def stop(self) -> None:
        """End it: first by the end of its standard input, then by force."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), _PATIENCE)
        except TimeoutError:
            self._kill()
            await self.process.wait()
        except asyncio.CancelledError:
            self._kill()
            raise
        finally:
            await asyncio.wait([self._drain], timeout=_LAST_WORDS_SECONDS)
            self._drain.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._drain

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def _keep_tail(self) -> None:
        if self.process.stderr is None:
            return
        while piece := await self.process.stderr.read(4096):
            self._tail = (self._tail + piece)[-_TAIL:]
