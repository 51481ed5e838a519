"""One server of each kind for all tests of a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.execution.container.jupyter import Jupyter
from tests.execution.container.own import IMAGE, Own, build

from osprey_executor.execution import Engine, open_engine
from osprey_executor.execution.container.own._client import container_engine


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """A Kernel Gateway."""
    server = Jupyter("gateway", tmp_path_factory.mktemp("gateway"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """A Jupyter Server."""
    server = Jupyter("server", tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """The image of the containers of our own, by its id."""
    yield build()
    with container_engine() as engine:
        engine.client.images.remove(IMAGE)


@pytest.fixture(scope="session")
def own(image: str) -> Iterator[Own]:
    """A container of our own."""
    container = Own()
    yield container
    container.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder."""
    return tmp_path / "home"


Open = Callable[..., AbstractAsyncContextManager[Engine]]


@pytest.fixture
def opened(home: Path) -> Open:
    """Open an engine on a server."""

    def open_it(jupyter: Jupyter, **more: Any) -> AbstractAsyncContextManager[Engine]:
        return open_engine("container", jupyter.config(**more), home=home)

    return open_it
