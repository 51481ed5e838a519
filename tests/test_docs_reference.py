"""The reference pages list what is there: every key with its default, every exit code, command, error, and no other."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.main import get_command

from osprey_executor import PythonExecutorService, errors
from osprey_executor.config import Config, ModelConfig
from osprey_executor.interfaces.cli.app import app
from osprey_executor.interfaces.cli.exits import Exit
from osprey_executor.interfaces.web.app import create_app
from osprey_executor.interfaces.web.identify import Doorkeeper
from osprey_executor.models import show_size

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
# How the page says what Python says otherwise.
SAID = {
    "None": "none",
    "False": "false",
    "True": "true",
    "()": "none",
    "{}": "",
    "86400.0": "86400",
    "600.0": "600",
    "180.0": "180",
    "1800.0": "1800",
    "60.0": "60",
    "28800.0": "28800",
    "300.0": "300",
    "30.0": "30",
}
SAID_BY_KEY = {
    "execution.limits.cpu_time": "four times the wall time",
    "models.<name>.base_url": "the provider's",
    "models.<name>.temperature": "the provider's",
    "models.<name>.max_tokens": "the provider's",
}


def rows(page: Path) -> list[list[str]]:
    """Return the cells of every table row of a page."""
    lines = re.findall(r"^\| (.*) \|$", page.read_text(), re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]


def keys(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every key below a section with its default as the page says it."""
    for name, field in model.model_fields.items():
        key = f"{path}{name}"
        kinds = [field.annotation, *get_args(field.annotation)]
        inner = next((kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, BaseModel)), None)
        if key == "models":
            yield from keys(ModelConfig, "models.<name>.")
        elif inner is not None:
            yield from keys(inner, f"{key}.")
        else:
            yield key, SAID_BY_KEY.get(key, said(key, field.get_default(call_default_factory=True)))


def said(key: str, default: Any) -> str:
    """Return a default as the page says it."""
    if default is PydanticUndefined:
        return ""
    if isinstance(default, int) and default >= 2**20 and ".limits." in key:
        return show_size(default)
    if isinstance(default, tuple) and default:
        return ", ".join(f"`{item}`" for item in default)
    if isinstance(default, str):
        return f"`{default}`"
    return SAID.get(str(default), str(default))


def test_every_key_and_its_default() -> None:
    listed = {row[0].strip("`"): row[1] for row in rows(REFERENCE / "configuration.md") if row[0].startswith("`")}
    assert listed == {key: default for key, default in keys(Config) if "." in key}


def test_every_exit_code() -> None:
    for page in (REFERENCE / "cli.md", ROOT / "README.md"):
        listed = [int(row[0]) for row in rows(page) if row[0].isdigit()]
        assert listed == [code.value for code in Exit], page.name


def test_every_command() -> None:
    listed = [re.match(r"`osprey-executor ([\w-]+)", row[0]) for row in rows(REFERENCE / "cli.md")]
    assert {match[1] for match in listed if match} == set(get_command(app).commands)


def test_every_error_is_in_the_tree() -> None:
    classes = [
        name
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.PythonExecutorException)
    ]
    assert [name for name in classes if name not in str(errors.__doc__)] == []


def test_every_request_over_rest() -> None:
    service = PythonExecutorService.from_config({})
    paths = create_app(service, Doorkeeper(service.identity())).openapi()["paths"]
    there = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/api/v1/")
    }
    listed = [re.match(r"`((?:GET|POST) /\S+)`", row[0]) for row in rows(REFERENCE / "rest.md")]
    assert {match[1] for match in listed if match} == there
