"""Which file is the configuration, and where the service keeps its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from osprey_executor.errors import ConfigurationError

CONFIG_VARIABLE = "OSPREY_EXECUTOR_CONFIG"
HOME_VARIABLE = "OSPREY_EXECUTOR_HOME"
_APP = "osprey-executor"


@dataclass(frozen=True)
class Place:
    """A place where a configuration is looked for, in order."""

    told: str
    """As the user knows it: `--config`, `./config.yml`."""
    path: Path
    demanded: bool = False
    """Named by the user, so that its absence is an error."""

    @property
    def exists(self) -> bool:
        """Whether there is something; where that cannot be seen, reading it will tell why."""
        try:
            return self.path.exists()
        except (OSError, ValueError):
            return True


def places(path: Path | None, environ: Mapping[str, str]) -> tuple[Place, ...]:
    """Return the places to look in; the first one with a file wins, and a demanded one is the only one."""
    if path is not None:
        return (Place("--config", absolute(path), demanded=True),)
    named = environ.get(CONFIG_VARIABLE, "").strip()
    if named:
        return (Place(f"${CONFIG_VARIABLE}", absolute(Path(named)), demanded=True),)
    return (
        Place("./config.yml", Path.cwd() / "config.yml"),
        Place("the user's configuration folder", user_config_file()),
    )


def winner(candidates: tuple[Place, ...]) -> Place | None:
    """Return the place that has the configuration.

    Raises:
        ConfigurationError: a file that the user named in the environment is not there.
    """
    for place in candidates:
        if place.exists:
            return place
        if place.demanded:
            named = f"{place.told} names {place.path}, which does not exist"
            raise ConfigurationError(f"{named}; write one with `osprey-executor config init` or name another file")
    return None


def user_config_file() -> Path:
    """Return the file in the user's configuration folder, whether it exists or not."""
    return platformdirs.user_config_path(_APP, appauthor=False) / "config.yml"


def state_path(environ: Mapping[str, str]) -> Path:
    """Return the folder for runs, approvals and their index."""
    named = environ.get(HOME_VARIABLE, "").strip()
    return absolute(Path(named)) if named else platformdirs.user_state_path(_APP, appauthor=False)


def absolute(path: Path) -> Path:
    """Return a path that means the same from every working folder."""
    try:
        return Path.cwd() / path.expanduser()
    except RuntimeError:
        raise ConfigurationError(f"{path}: there is no such home folder; write the whole path") from None
