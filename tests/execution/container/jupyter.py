"""Real Jupyter servers for the tests: a Kernel Gateway and a Jupyter Server, each a process on loopback."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

_UP = 60.0
"""Seconds that a server may take to start on a busy machine."""


class Jupyter:
    """One server, its kernels, and what a configuration says to reach it."""

    def __init__(
        self,
        kind: str,
        folder: Path,
        extra: Sequence[str] = (),
        *,
        host: str = "127.0.0.1",
        path: str = "",
        certificate: Path | None = None,
    ) -> None:
        """Start it; `kind` is `gateway` or `server`. With a certificate, whose file has the key too, it speaks TLS."""
        self.token, self.host, self.port = secrets.token_hex(8), host, _free_port()
        self.kind = kind
        folder.mkdir(parents=True, exist_ok=True)
        names = ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("JUPYTER")}
        environment |= {name: str(folder / name) for name in names} | {"TMPDIR": str(folder)}
        environment["MPLCONFIGDIR"] = str(folder / "fonts")
        self.folder = folder
        (folder / "fonts").mkdir()
        (folder / "fonts" / "fontlist-v0.json").write_text("{}")
        common = ["--ip=127.0.0.1", f"--port={self.port}"]
        if kind == "gateway":
            # The list of kernels shows the tests that none is left.
            own = [f"--KernelGatewayApp.auth_token={self.token}", "--JupyterWebsocketPersonality.list_kernels=True"]
            command = [sys.executable, "-m", "kernel_gateway", *common, *own]
        else:
            own = [f"--IdentityProvider.token={self.token}", "--no-browser", f"--ServerApp.root_dir={folder}"]
            command = [sys.executable, "-m", "jupyter_server", *common, *own, "--allow-root"]
        self._log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [*command, *extra],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self._client = httpx.Client(
            base_url=f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}{path}",
            verify=ssl.create_default_context(cafile=certificate) if certificate else True,
            headers={"Authorization": f"token {self.token}"},
            timeout=30,
            trust_env=False,
        )
        self._wait()

    def config(self, **more: Any) -> dict[str, Any]:
        """Return the execution section for this server."""
        reach = {"jupyter_host": self.host, "jupyter_port": self.port, "token": self.token}
        return {"execution_method": "container", "container": {**reach, "warm_kernels": 0, "patience": 120, **more}}

    def kernels(self) -> list[str]:
        """Return the ids of the kernels that there are."""
        return [kernel["id"] for kernel in self._client.get("/api/kernels").raise_for_status().json()]

    def wait_for_no_kernel(self) -> None:
        """Wait until no kernel is left."""
        until = time.monotonic() + 60
        while kernels := self.kernels():
            assert time.monotonic() < until, kernels
            time.sleep(0.05)

    def kernel_processes(self) -> list[int]:
        """Return the process ids of the kernels."""
        found: list[int] = []
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == (
                    self.process.pid
                ):
                    found.append(int(folder.name))
            except OSError:  # ended meanwhile
                continue
        return found

    def kill(self) -> None:
        """Kill the server at once; its kernels see that and end themselves."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it and all its kernels."""
        self._client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()

    def _wait(self) -> None:
        until = time.monotonic() + _UP
        while time.monotonic() < until and self.process.poll() is None:
            try:
                self._client.get("/api/kernelspecs").raise_for_status()
                return
            except httpx.HTTPError:
                time.sleep(0.1)
        self.close()
        raise AssertionError((self.folder / "log").read_text())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
