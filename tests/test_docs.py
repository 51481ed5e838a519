"""Every example in the README and the documentation runs: pages as notebooks, from the first block to the last."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from markdown_it import MarkdownIt

from osprey_executor.config import load_config
from osprey_executor.control import LimitsFile

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += [page for page in sorted((ROOT / "docs").rglob("*.md")) if not {"decisions", "_build"} & set(page.parts)]
# Commands that a page may show and that other tests, or CI itself, run.
RUN_ELSEWHERE = re.compile(r"make (setup|demo|test)|\. \.venv/bin/activate|\.venv/bin/pytest .*")
RUN_HERE = re.compile(r"(echo .* \| |[A-Z_]+=[\w-]+ )?osprey-executor .*|pytest .*|mkdir -p [\w/]+")
EXIT_CODE = "echo $?"
RUN_ID = r"\d{8}-\d{6}-[0-9a-f]{4}|\bn-[0-9a-f]{8}"
"""Of a run or a note."""
DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True)
class Example:
    """A block of a page, with the word of the comment before it: `file: NAME`, `not run: REASON`, or nothing."""

    page: Path
    line: int
    language: str
    text: str
    note: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is found by its name, as where the environment is activated."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def examples(page: Path) -> list[Example]:
    """Return the blocks of a page in order."""
    found: list[Example] = []
    note = ""
    for token in MarkdownIt("commonmark").parse(page.read_text()):
        if token.type == "fence":
            assert token.map
            found.append(Example(page, token.map[0] + 1, token.info.strip(), token.content, note))
        if token.level == 0:
            comment = re.fullmatch(r"<!--\s*(.*?)\s*-->\s*", token.content) if token.type == "html_block" else None
            note = comment[1] if comment else ""
    return found


class Reader:
    """Somebody who reads one page from top to bottom and does what it says, in one folder."""

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        self.folder = folder
        self.runner = runner
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.output = ""
        self.told: dict[str, str] = {}

    def follow(self, example: Example) -> None:
        """Do what a block says.

        Raises:
            AssertionError: it does not do what the page promises.
        """
        if example.note.startswith("not run:"):
            return
        match example.language:
            case "yaml":
                self.write(example, "config.yml")
                file = self.folder / self.name_of(example, "config.yml")
                if file.name.startswith("limits"):
                    assert LimitsFile(file).now().report.problem is None, example.where
                else:
                    load_config(file)
            case "toml" | "text" if example.note.startswith("file:"):
                self.write(example, "")
            case "python" if example.note.startswith("file:"):
                self.write(example, "")
            case "python":
                self.python(example)
            case "console":
                self.console(example)
            case "json":
                json.loads(example.text)
                if example.note.startswith("file:"):
                    self.write(example, "")
            case "toml" | "text" | "":
                return
            case directive:
                assert directive.startswith("{"), f"{example.where}: nobody runs {directive!r} blocks; use console"

    @staticmethod
    def name_of(example: Example, default: str) -> str:
        return example.note.removeprefix("file:").strip() or default

    def write(self, example: Example, default: str) -> None:
        (self.folder / self.name_of(example, default)).write_text(example.text)

    def python(self, example: Example) -> None:
        """Execute a block as a notebook does: names live on, and `await` works; tracebacks name the page."""
        source = "\n" * example.line + example.text
        code: CodeType = compile(source, example.where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if not code.co_flags & inspect.CO_COROUTINE:
            exec(code, self.names)
            return

        async def block() -> None:
            await eval(code, self.names)

        self.runner.run(block())

    def console(self, example: Example) -> None:
        """Run each command; compare what it printed, in order, and its exit code."""
        for command, expected in commands(example):
            if RUN_ELSEWHERE.fullmatch(command):
                continue
            assert RUN_HERE.fullmatch(command), f"{example.where}: not a command that this test runs: {command}"
            assert_exit = 0
            if expected and expected[-1].startswith(EXIT_CODE):
                assert_exit = int(expected.pop().removeprefix(EXIT_CODE))
            done = subprocess.run(
                ["sh", "-c", self.real(command)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=100,
                check=False,
            )
            self.output = done.stdout
            assert done.returncode == assert_exit, f"{example.where}: {command}\n{done.stdout}"
            self.compare(example, command, expected)

    def real(self, command: str) -> str:
        """Return a command with the ids of this reader's runs for those of the page."""
        digests = DIGEST.findall(self.output)
        if digests:
            self.told["DIGEST"] = digests[-1]
        for shown, real in self.told.items():
            command = command.replace(shown, real)
        return command

    def compare(self, example: Example, command: str, expected: list[str]) -> None:
        """Find the printed lines in order; remember the real id of a run for the page's."""
        rest = " ".join(self.output.split())
        for line in expected:
            if line.strip() == "...":
                continue
            wanted = ".*?".join(re.escape(" ".join(part.split())) for part in line.split("..."))
            shown = re.search(RUN_ID, line)
            if shown:
                wanted = wanted.replace(re.escape(shown[0]), re.escape(self.told.get(shown[0], "")) or f"({RUN_ID})")
            found = re.search(wanted, rest)
            assert found, f"{example.where}: {command}\nprinted no {line!r} at its place:\n{self.output}"
            if shown and found.groups():
                self.told[shown[0]] = found[1]
            rest = rest[found.end() :]


def commands(example: Example) -> list[tuple[str, list[str]]]:
    """Return each command of a console block with the lines that it prints; the last one may be its exit code."""
    found: list[tuple[str, list[str]]] = []
    asked_code = False
    for line in example.text.splitlines():
        if line == f"$ {EXIT_CODE}":
            asked_code = True
        elif line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        elif asked_code:
            found[-1][1].append(f"{EXIT_CODE} {line}")
            asked_code = False
        elif line.strip():
            found[-1][1].append(line)
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "page", [page for page in PAGES if examples(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_examples_of(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(re.findall(r"\$\{(\w+)\}", page.read_text())) - {"NAME"}:
        monkeypatch.setenv(name, "not-a-real-key")
    monkeypatch.setenv("COLUMNS", "120")
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)  # Python finds the files of the folder that it is started in
    with asyncio.Runner() as runner:
        reader = Reader(folder, runner)
        for example in examples(page):
            reader.follow(example)


def test_an_example_that_breaks_its_promise_is_noticed(tmp_path: Path) -> None:
    page = ROOT / "README.md"
    with asyncio.Runner() as runner:
        reader = Reader(tmp_path, runner)
        with pytest.raises(ZeroDivisionError):
            reader.follow(Example(page, 1, "python", "1 / 0", ""))
        with pytest.raises(AssertionError, match="printed no"):
            reader.follow(Example(page, 1, "console", "$ osprey-executor --version\nno such line\n", ""))
        with pytest.raises(AssertionError, match="not a command"):
            reader.follow(Example(page, 1, "console", "$ rm -rf somewhere\n", ""))


def test_links_inside_the_repository_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"
