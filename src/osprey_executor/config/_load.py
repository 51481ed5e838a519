"""Loading: find the file, read it, build the types."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

from osprey_executor.config._build import build
from osprey_executor.config._config import Config
from osprey_executor.config._search import absolute, places, state_path, winner
from osprey_executor.config._yaml import Document, read_document


def load_config(path: Path | None = None, *, environ: Mapping[str, str] | None = None) -> Config:
    """Load the configuration: `path`, else `$OSPREY_EXECUTOR_CONFIG`, `./config.yml`, the user's folder, or defaults.

    Raises:
        ConfigurationError: the file cannot be read or used; the message names file, line and remedy.
    """
    variables = os.environ if environ is None else environ
    place = winner(places(path, variables))
    if place is None:
        return Config()
    return Config.of(build(read_document(place.path), place.path.parent, variables), place.path)


def config_from(value: Config | Path | str | Mapping[str, Any] | None) -> Config:
    """Return a configuration from whatever a caller has: itself, a file, plain data as in the file, or None to search.

    Raises:
        ConfigurationError: see `load_config`.
    """
    if isinstance(value, Config):
        return value
    if value is None:
        return load_config()
    if isinstance(value, Path | str):
        return load_config(absolute(Path(value)))
    data = cast("dict[str, Any]", _plain(deepcopy(dict(value))))
    return Config.of(build(Document("configuration", data), None, os.environ), None)


def state_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Return the state folder: `$OSPREY_EXECUTOR_HOME`, else the one of the platform. It need not exist yet."""
    return state_path(os.environ if environ is None else environ)


def _plain(value: Any) -> Any:
    """Return data as YAML would give it: text keys, lists, paths as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("list[Any]", value)]
    return str(value) if isinstance(value, Path) else value
