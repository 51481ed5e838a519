"""A Jupyter kernel: started for one program, or warm."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _measure import Cost, NotMeasured, Subject

_PATIENCE = 60.0


@contextmanager
def jupyter(folder: Path, trivial: str, ready: str) -> Iterator[dict[str, Subject]]:
    """Return a kernel that starts for `trivial`, one that starts for `ready`, and one that is warm.

    Args:
        folder: for what Jupyter and IPython keep of a user.
        trivial: a program.
        ready: a program with large imports.

    Raises:
        NotMeasured: Jupyter is not installed here.
    """
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        os.environ[name] = str(folder / name.lower())
    os.environ["MPLBACKEND"] = "Agg"
    try:
        # Deferred: it reads the folders of the environment, and need not be installed.
        from jupyter_client.manager import KernelManager, start_new_kernel
    except ImportError as error:
        raise NotMeasured(f"{error.name} is not installed; make setup installs it") from None

    def cold(code: str) -> Cost:
        manager = KernelManager()
        begun = time.perf_counter()
        manager.start_kernel(cwd=str(folder), stderr=subprocess.DEVNULL)  # it warns of TCP on loopback
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=_PATIENCE)
            _execute(client, code)
            return Cost(time.perf_counter() - begun, 0.0)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)

    def warm() -> Cost:
        begun = time.perf_counter()
        _execute(kernel, trivial)
        return Cost(time.perf_counter() - begun, 0.0)

    manager, kernel = start_new_kernel(startup_timeout=_PATIENCE, cwd=str(folder), stderr=subprocess.DEVNULL)
    try:
        yield {
            "Jupyter kernel, cold": lambda: cold(trivial),
            "Jupyter kernel, cold, three imports": lambda: cold(ready),
            "Jupyter kernel, warm (state of the last run kept)": warm,
        }
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)


def _execute(client: Any, code: str) -> None:
    reply = client.execute_interactive(code, output_hook=lambda message: None, allow_stdin=False, timeout=_PATIENCE)
    if reply["content"]["status"] != "ok":
        raise RuntimeError(f"the kernel did not run the program: {reply['content']}")
