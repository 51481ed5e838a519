"""The container of a state folder: built, started, looked at, ended."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from osprey_executor.errors import ConfigurationError, EngineUnavailableError
from osprey_executor.execution.container.own._client import EngineName, Reached, container_engine
from osprey_executor.execution.container.own._hardened import FOLDER, hardened
from osprey_executor.execution.container.own._image import PATH, Recipe
from osprey_executor.execution.container.own._record import (
    ContainerLimits,
    Record,
    forget,
    make_folder,
    read_record,
    shut_folder,
    write_record,
)
from osprey_executor.models import Probe
from osprey_executor.text import one_line

IMAGE = "localhost/osprey-executor-kernels"
_TAG = "latest"
_UNCHECKED = "{image}-unchecked-{process}"
"""Name of an image until it is known to do."""
_MIB = 1 << 20
_SMALL = ContainerLimits(memory=128 * _MIB, processes=64, tmp=16 * _MIB)
"""Of a container in which limits are tried: cheap to pass."""
_UP = 120.0
_CHECK = "import sys; import ipykernel, jupyter_server; assert sys.version_info >= (3, 9), sys.version"


class OwnContainer:
    """At most one for each state folder. Its methods block."""

    def __init__(self, home: Path, engine: EngineName | None = None) -> None:
        """Look after the container of the state folder `home`, by docker or podman; None: whichever answers."""
        self.home = home.absolute()
        self._engine: EngineName | None = engine
        self._name = f"osprey-executor-{hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]}"

    def build(
        self,
        *,
        base: str | None = None,
        root: Path | None = None,
        python: Path | None = None,
        packages: Iterable[str] = (),
        image: str | None = None,
    ) -> str:
        """Make the image and return its id.

        Args:
            base: an image that is there and has Python, jupyter-server and ipykernel: it gets the name `image`.
            root: a tar archive of a file system that has them.
            python: without both, the Python or environment of this machine that is copied; None: the running one.
            packages: what is copied of it beside what programs usually need.
            image: name of what is made; None: the usual one.

        Raises:
            ConfigurationError: what it should be made from lacks something.
            EngineUnavailableError: there is no docker or podman, or it failed.
        """
        image = image or IMAGE
        recipe = Recipe(python, packages) if base is None and root is None else None
        with container_engine(self._engine) as engine:
            images = engine.client.images
            before = {one.id for one in images.list(image)}
            if base is not None:
                made = _found(engine, base, "pull or load it first")
            elif root is not None:
                with root.open("rb") as stream:
                    made = _imported(engine.client, stream, image)
            else:
                assert recipe is not None
                made = _piped(recipe.write, lambda stream: _imported(engine.client, stream, image))
            options = {**hardened(ContainerLimits(), "hardening", ""), "command": [_CHECK]}
            try:
                _output(engine.client, made.id, options)
                made.tag(image, _TAG)
            except (engine.errors.APIError, _Ended) as error:
                raise ConfigurationError(
                    f"{image} cannot be made of that: it needs a python3 on its PATH with jupyter-server and ipykernel "
                    f"({one_line(str(error)[-300:], 300)})"
                ) from error
            finally:
                if base is None:
                    images.remove(_unchecked(image))
            for old in before - {made.id}:
                # One that a container still has goes with the next one.
                with contextlib.suppress(engine.errors.APIError):
                    if not images.get(old).tags:
                        images.remove(old)
            return str(made.id)

    def up(self, limits: ContainerLimits, image: str | None = None) -> Record:
        """Start the container; whoever uses it proves it first.

        Raises:
            ConfigurationError: there is one already, or no such image.
            EngineUnavailableError: there is no docker or podman, or what it starts is not hardened.
            StorageError: it cannot be recorded.
        """
        with container_engine(self._engine) as engine:
            client = engine.client
            made = _found(engine, image or IMAGE, "`osprey-executor container build` makes it")
            if (there := _container(client, self._name)) is not None:
                if there.status == "running":
                    raise ConfigurationError(
                        f"the container {self._name} is up already: `osprey-executor container down` ends it"
                    )
                there.remove(force=True)
            if off := [probe for probe in _tried(client, made.id) if probe.outcome == "failed"]:
                told = "; ".join(f"{probe.name}: {probe.detail}" for probe in off)
                raise EngineUnavailableError(f"what {engine.name} starts here is not hardened: {told}")
            folder = make_folder(self.home, self._name)
            record = Record(name=self._name, engine=engine.name, image=made.id, folder=folder, limits=limits)
            try:
                options = hardened(limits, "boot", FOLDER, folder)
                started = client.containers.run(made.id, name=self._name, detach=True, **options)
                _wait(started, record.socket)
                shut_folder(folder)
                write_record(self.home, record)
            except BaseException:
                self._remove(client)
                raise
            return record

    def down(self) -> bool:
        """End the container, with every program in it; return whether there was one."""
        record: Record | None = None
        try:
            record = read_record(self.home)
        finally:
            with container_engine(self._engine or (record.engine if record is not None else None)) as engine:
                there = self._remove(engine.client)
        return there or record is not None

    def status(self) -> tuple[Record | None, str]:
        """Return what was written down, and what docker or podman says of it: `running`, `exited`, `absent`..."""
        record = read_record(self.home)
        with container_engine(record.engine if record is not None else self._engine) as engine:
            there = _container(engine.client, self._name)
            return record, "absent" if there is None else str(there.status)

    def probe(self) -> list[Probe]:
        """Try every hardening and limit in a small container of the same image, with no other purpose.

        Raises:
            EngineUnavailableError: there is no docker or podman.
        """
        record = read_record(self.home)
        with container_engine(record.engine if record is not None else self._engine) as engine:
            return _tried(engine.client, record.image if record is not None else IMAGE)

    def _remove(self, client: Any) -> bool:
        there = _container(client, self._name)
        if there is not None:
            there.remove(force=True)
        forget(self.home)
        return there is not None


def _container(client: Any, name: str) -> Any:
    return next((one for one in client.containers.list(all=True, filters={"name": name}) if one.name == name), None)


def _found(engine: Reached, image: str, remedy: str) -> Any:
    try:
        return engine.client.images.get(image)
    except engine.errors.ImageNotFound as error:
        raise ConfigurationError(f"{engine.name} has no image {one_line(image, 100)}: {remedy}") from error


def _imported(client: Any, stream: IO[bytes], image: str) -> Any:
    name = _unchecked(image)
    # Not the stream itself: its length would be sent beside the mark of a body of unknown length.
    pieces = iter(lambda: stream.read(_MIB), b"")
    client.api.import_image_from_stream(pieces, repository=name, tag=_TAG, changes=[f"ENV PATH={PATH}"])
    return client.images.get(name)


def _unchecked(image: str) -> str:
    return _UNCHECKED.format(image=image, process=os.getpid())


def _piped(write: Callable[[IO[bytes]], None], read: Callable[[IO[bytes]], Any]) -> Any:
    """Return what `read` makes of what `write` writes, with no copy on a disk."""
    failed: list[Exception] = []
    reading, writing = os.pipe()

    def work() -> None:
        try:
            with os.fdopen(writing, "wb", buffering=_MIB) as stream:
                write(stream)
        except Exception as error:
            failed.append(error)

    writer = threading.Thread(target=work)
    writer.start()
    try:
        with os.fdopen(reading, "rb") as stream:
            made = read(stream)
    finally:
        writer.join()
        if failed and not isinstance(failed[0], BrokenPipeError):
            raise failed[0]
    return made


class _Ended(EngineUnavailableError):
    """What was run in a container has failed."""


def _output(client: Any, image: str, options: dict[str, Any]) -> bytes:
    """Return what a container prints that is there for nothing else, and gone afterwards, whatever happens."""
    made = client.containers.create(image, **options)
    try:
        made.start()
        code = made.wait()["StatusCode"]
        if code:
            said = made.logs().decode(errors="replace").strip()
            raise _Ended(f"what was run in a container has ended with {code}: {one_line(said[-500:], 500)}")
        return made.logs(stderr=False)
    finally:
        made.remove(force=True)


def trial() -> dict[str, Any]:
    """Return with which options a small container tries everything and prints what it saw, as JSON."""
    options = hardened(_SMALL, "hardening", json.dumps({**_SMALL.model_dump(), "trial": True}))
    options["command"][0] += "\nimport sys\nprint(told(json.loads(sys.argv[1])))\n"
    return options


def _tried(client: Any, image: str) -> list[Probe]:
    said = _output(client, image, trial())
    return [Probe.model_validate(one) for one in json.loads(said)]


def _wait(started: Any, socket: Path) -> None:
    until = time.monotonic() + _UP
    while not socket.exists():
        started.reload()
        if started.status in ("exited", "stopped", "dead") or time.monotonic() > until:
            said = one_line(started.logs().decode(errors="replace").strip()[-500:], 500)
            raise EngineUnavailableError(f"the Jupyter server in the container does not start: {said}")
        time.sleep(0.05)
