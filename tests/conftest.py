"""The world of every test: a private state folder, EPICS on loopback, no keys, no proxies, no telemetry."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

_SECRET = re.compile(r"_(API_KEY|API_TOKEN|AUTH_TOKEN|ACCESS_TOKEN|API_BASE|BASE_URL)$|^(ANTHROPIC|AZURE|OPENAI)_")
_OUTSIDE = re.compile(r"_proxy$|^(LANGCHAIN|LANGSMITH|OTEL|EPICS|OSPREY_EXECUTOR)_", re.IGNORECASE)
# What would make rich and typer believe in a terminal, or in another width of it.
_TERMINAL = {"CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "LINES", "NO_COLOR", "PY_COLORS"}
_WORLD = {
    "EPICS_CA_ADDR_LIST": "127.0.0.1",
    "EPICS_CA_AUTO_ADDR_LIST": "NO",
    "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
    "EPICS_PVA_ADDR_LIST": "127.0.0.1",
    "EPICS_PVA_AUTO_ADDR_LIST": "NO",
    "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
    "LANGSMITH_TRACING": "false",
    "MPLBACKEND": "Agg",
}


def pytest_configure() -> None:
    """Lay the world before anything is collected: libca and langsmith read the environment once and keep it."""
    for name in list(os.environ):
        if _SECRET.search(name) or _OUTSIDE.search(name) or name in _TERMINAL:
            del os.environ[name]
    os.environ.update(_WORLD)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of this test, and no configuration of the user who runs it."""
    folder = tmp_path / "home"
    monkeypatch.setenv("OSPREY_EXECUTOR_HOME", str(folder))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    return folder
