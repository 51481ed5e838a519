"""A configuration file of a test, loaded without the environment of whoever runs the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from osprey_executor.config import Config, load_config

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Writes text to config.yml and loads it with the given variables."""

    def loaded(text: str | bytes, **environ: str) -> Config:
        path = tmp_path / "config.yml"
        path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        return load_config(path, environ=environ)

    return loaded
