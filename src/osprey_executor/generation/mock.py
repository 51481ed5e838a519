"""The scripted generator: no model, no network, the same program every time. For demos and tests, when named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from osprey_executor.errors import ConfigurationError
from osprey_executor.generation._scripts import CHANNEL, scripts
from osprey_executor.models import PythonExecutionRequest
from osprey_executor.text import one_line

_MOST_BYTES = 4 * 2**20
_KEYS = ("behavior", "channel", "script", "example")
_EXAMPLES = "osprey_executor.examples"


class MockCodeGenerator:
    """Gives scripted programs.

    `model_config` may hold `behavior` (one of `BEHAVIORS`, default success), `channel` for the behaviours that touch
    one, `script` (a file of Python), or `example` (a program that is shipped with this package).

    Raises:
        ConfigurationError: a key or a behaviour is unknown, or the script cannot be read.
    """

    def __init__(self, model_config: Mapping[str, Any] | None = None) -> None:
        settings = dict(model_config or {})
        for key in settings:
            if key not in _KEYS:
                raise ConfigurationError(f"{one_line(key)} is not a setting of the mock; known are {', '.join(_KEYS)}")
        if sum(key in settings for key in ("behavior", "script", "example")) > 1:
            raise ConfigurationError("the mock takes one of behavior, script and example")
        self._sequence: tuple[str, ...] = _configured(settings)
        self._error_aware = settings.get("behavior") == "error_aware"
        self._first = (self._sequence, self._error_aware)
        self.call_count = 0
        self.last_request: PythonExecutionRequest | None = None
        self.last_error_chain: list[str] = []

    async def generate_code(self, request: PythonExecutionRequest, error_chain: list[str]) -> str:
        """Return the next program of the script; the last one is repeated."""
        step = bool(error_chain) if self._error_aware else self.call_count
        self.call_count += 1
        self.last_request = request
        self.last_error_chain = list(error_chain)
        return self._sequence[min(int(step), len(self._sequence) - 1)]

    def set_code(self, code: str) -> None:
        """Give this program from now on."""
        self.set_code_sequence([code])

    def set_code_sequence(self, codes: Iterable[str]) -> None:
        """Give these programs from now on, one a call; the last one is repeated.

        Raises:
            ValueError: there is none.
        """
        sequence = tuple(codes)
        if not sequence:
            raise ValueError("a sequence of programs needs at least one")
        self._sequence, self._error_aware = sequence, False
        self.call_count = 0

    def reset(self) -> None:
        """Forget all calls and all code that was set, as if new."""
        self._sequence, self._error_aware = self._first
        self.call_count = 0
        self.last_request = None
        self.last_error_chain = []


def _configured(settings: Mapping[str, Any]) -> tuple[str, ...]:
    if "script" in settings:
        return (_script(Path(str(settings["script"])).expanduser()),)
    if "example" in settings:
        return (_example(str(settings["example"])),)
    known = scripts(str(settings.get("channel", CHANNEL)))
    behavior = str(settings.get("behavior", "success"))
    if behavior not in known:
        raise ConfigurationError(f"{one_line(behavior)} is not a behaviour of the mock; known are {', '.join(known)}")
    return known[behavior]


def _script(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise ConfigurationError(f"the script {path} is larger than 4 MiB")
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"the script {path} is not text in UTF-8") from None
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(
            f"the script {path} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None


def _example(name: str) -> str:
    try:
        folder = files(_EXAMPLES)
        shipped = sorted(item.name[:-3] for item in folder.iterdir() if re.fullmatch(r"[a-z]\w*\.py", item.name))
    except (ModuleNotFoundError, OSError):
        raise ConfigurationError("this installation ships no examples; set script to a file of your own") from None
    if name not in shipped:
        raise ConfigurationError(f"{one_line(name)} is not an example; shipped are {', '.join(shipped) or 'none'}")
    return (folder / f"{name}.py").read_text(encoding="utf-8")
