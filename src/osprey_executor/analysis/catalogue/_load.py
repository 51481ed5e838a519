"""Where catalogues come from: the files of this package, installed packages, and files of the site."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from importlib.metadata import EntryPoint, entry_points
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

from osprey_executor.analysis.catalogue._catalogue import Catalogue
from osprey_executor.analysis.catalogue._compile import compiled
from osprey_executor.errors import ConfigurationError
from osprey_executor.text import one_line

GROUP = "osprey_executor.catalogues"
_Library = tuple[str, Mapping[str, Any]]


def empty_catalogue() -> Catalogue:
    """Return a catalogue that knows nothing."""
    return Catalogue()


@cache
def builtin_catalogue() -> Catalogue:
    """Return the catalogue that this package ships."""
    return compiled(_shipped())


@cache
def extended_catalogue(files: tuple[Path, ...] = ()) -> Catalogue:
    """Return the catalogue of this package with what installed packages and the site's own files add.

    Raises:
        ConfigurationError: one of them cannot be read, or holds something else than a catalogue.
    """
    plugged = [_plugged(found) for found in sorted(entry_points(group=GROUP), key=lambda found: found.name)]
    own = [_read(file.stem, file, f"analysis.catalogue: {file}") for file in files]
    if not plugged and not own:
        return builtin_catalogue()
    try:
        return compiled([*_shipped(), *plugged, *own])
    except ValueError as error:
        raise ConfigurationError(f"a catalogue of effects cannot be used: {one_line(str(error), 500)}") from error


def _shipped() -> Iterator[_Library]:
    folder = resources.files("osprey_executor.analysis.catalogue") / "data"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".toml")), key=lambda item: item.name)
    return ((item.name.removesuffix(".toml"), tomllib.loads(item.read_text("utf-8"))) for item in files)


def _plugged(found: EntryPoint) -> _Library:
    told = f"the catalogue {one_line(found.name, 60)} of the entry points {GROUP}"
    try:
        loaded: Any = found.load()
        loaded = loaded() if callable(loaded) else loaded
    except Exception as error:  # a stranger's module raises what it likes
        raise ConfigurationError(
            f"{told} cannot be loaded: {one_line(f'{type(error).__name__}: {error}', 300)}"
        ) from error
    if isinstance(loaded, Mapping):
        return found.name, cast("Mapping[str, Any]", loaded)
    if isinstance(loaded, Path | Traversable):
        return _read(found.name, loaded, told)
    raise ConfigurationError(f"{told} is neither a mapping nor the path of a TOML file")


def _read(name: str, file: Path | Traversable, told: str) -> _Library:
    try:
        return name, tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{told} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{told} is not TOML: {one_line(str(error), 300)}") from error


def shipped_names() -> Sequence[str]:
    """Return the names of the libraries that this package knows."""
    return [name for name, _ in _shipped()]
