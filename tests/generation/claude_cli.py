"""The real CLI in tests of `claude_code`: a configuration for it, its layers taken away one by one, its processes."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.generation import ClaudeCodeGenerator
from osprey_executor.generation.claude_code import _conversation, generator
from osprey_executor.testing.scripted_provider import ScriptedProvider

KEY = "sk-ant-dummy-0123456789-abcdefghij"
PROGRAM = "results = {'mean': 2.0}\n"
ANSWER = f"Here it is.\n\n```python\n{PROGRAM}```\n"


def make_generator(folder: Path, server_url: str, **settings: Any) -> ClaudeCodeGenerator:
    """Return a generator that asks the server and has one library, `plotting`, with one script."""
    library = folder / "examples" / "orbits"
    library.mkdir(parents=True, exist_ok=True)
    (library / "plot_orbit.py").write_text("COLOUR = 'colour-of-our-orbits'\n")
    (folder / "claude_generator_config.yml").write_text(
        f"api_config: {{base_url: {server_url}, api_key: {KEY}, anthropic_model: claude-sonnet-4-5}}\n"
        "codebase_guidance:\n  plotting:\n    directories: [examples/orbits]\n    guidance: For plots of orbits.\n"
    )
    return ClaudeCodeGenerator({"timeout": 90, **settings}, folder=folder)


def without_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what keeps the model's tools in: lists of tools, scoped rules, the hook, and verbatim prompts."""
    command_of, options = generator.command_of, _conversation.ClaudeAgentOptions

    def loosened(*args: Any, **more: Any) -> Any:
        command = command_of(*args, **more)

        def line(control: int) -> list[str]:
            told = command.line(control)
            told[told.index("--tools") + 1] = "default"
            told[told.index("--allowedTools") + 1] = "Read,Grep,Glob,Bash,Write"
            return told

        return dataclasses.replace(command, line=line)

    monkeypatch.setattr(generator, "command_of", loosened)
    monkeypatch.setattr(_conversation, "ClaudeAgentOptions", lambda **_: options(skills=[]))


def without_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what keeps the CLI in."""
    monkeypatch.setattr(generator, "landlock_version", lambda: 0)


def said(server: ScriptedProvider) -> str:
    """Return all that was ever sent to the provider."""
    return json.dumps([dict(asked.body) for asked in server.requests])


def processes(with_text: str, place: str = "environ") -> list[int]:
    """Return the processes in whose environment (or `cmdline`) the text stands."""
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            if with_text.encode() in (folder / place).read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


Make = Callable[..., ClaudeCodeGenerator]
