"""The Osprey framework's Python service with its `local` execution, in an environment and a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _install import names, size
from _measure import Cost, NotMeasured, Subject
from _report import Line

REQUIREMENTS = ("osprey-framework==0.9.10", "pydantic-ai<2")
_SUBJECT = "Osprey 0.9.10, local, request to result, warm"
_DRIVER = Path(__file__).with_name("osprey_driver.py")
_STAMP = ".installed"
# Nothing listens there: whatever would leave this machine is refused at once.
_NOWHERE = "http://127.0.0.1:9"
_PATIENCE = 300.0
"""Seconds for one request; the first one also imports the framework."""
_GONE = '{"error": "its process ended, or gave no answer in time"}'
_ADDRESS = re.compile(r"\b(?:https?|file)://\S+")


@contextmanager
def osprey(environment: Path, folder: Path, code: str) -> Iterator[dict[str, Subject]]:
    """Install Osprey if it is missing, start its service, and return a subject that sends one request.

    Its mock generator gives `code`; nothing asks a model.

    Raises:
        NotMeasured: it could not be installed, or its service does not run.
    """
    _install(environment)
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [environment / "bin" / "python", _DRIVER, folder],
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def ask(message: dict[str, str]) -> dict[str, Any]:
        assert process.stdin
        assert process.stdout
        clock = threading.Timer(_PATIENCE, process.kill)
        clock.start()
        try:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
            told: dict[str, Any] = json.loads(process.stdout.readline() or _GONE)
        except OSError as error:
            told = {"error": f"its process is gone: {error}"}
        finally:
            clock.cancel()
        return told

    def request() -> Cost:
        told = ask({})
        if "error" in told:
            raise RuntimeError(f"Osprey: {told['error']}")
        return Cost(told["seconds"], 0.0)

    try:
        told = ask({"code": code})
        if "error" in told:
            raise NotMeasured(f"installed, but its service does not run: {' '.join(str(told['error']).split())[-300:]}")
        yield {_SUBJECT: request}
    finally:
        assert process.stdin
        assert process.stdout
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def footprint(environment: Path) -> list[Line]:
    """Return how much was installed for it, if it was."""
    found = list((environment / "lib").glob("python3*/site-packages")) if (environment / _STAMP).exists() else []
    return [
        line
        for packages in found
        for line in (
            Line("peers", f"install of {REQUIREMENTS[0]}", len(names(packages)), "packages"),
            Line("peers", f"size of {REQUIREMENTS[0]}", size(packages) / 1e6, "MB"),
        )
    ]


def _install(environment: Path) -> None:
    wanted = "\n".join([*REQUIREMENTS, sys.version])
    stamp = environment / _STAMP
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"installing {' and '.join(REQUIREMENTS)}, which takes some minutes ...", file=sys.stderr)
    for arguments in (
        [sys.executable, "-m", "venv", "--clear", environment],
        [environment / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "-q", *REQUIREMENTS],
    ):
        done = subprocess.run(
            [str(part) for part in arguments], capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr[-300:]]
            raise NotMeasured(f"could not be installed: {_ADDRESS.sub('...', ' '.join(said[-2:]))[:400]}")
    stamp.write_text(wanted)


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"), _NOWHERE)
    own = {"HOME": str(folder), "CONFIG_FILE": str(folder / "config.yml"), "OSPREY_QUIET": "1"}
    return {**kept, **proxies, **own, "LANGSMITH_TRACING": "false"}
