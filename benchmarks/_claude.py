"""What `claude_code` adds to the Claude Code that it drives, against a scripted provider that answers at once."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from _measure import Cost, interleave
from _report import Line, cost

from osprey_executor import PythonExecutionRequest
from osprey_executor.generation import ClaudeCodeGenerator
from osprey_executor.testing.scripted_provider import ScriptedProvider, Step

_BASE, _OURS = "Claude Code by itself", "claude_code"


def claude(rounds: int) -> list[Line]:
    """Measure one answer of the CLI as a script would start it, and of the generator, with examples and both walls."""
    import claude_agent_sdk  # its first import is part of no request

    cli = Path(claude_agent_sdk.__file__).parent / "_bundled" / "claude"
    with ScriptedProvider() as provider, tempfile.TemporaryDirectory(prefix="bench-claude-") as folder:
        provider.script(Step("```python\nresults = {}\n```"))
        examples = Path(folder) / "examples"
        examples.mkdir()
        for number in range(100):
            (examples / f"script_{number}.py").write_text("import numpy as np\n" * 100)
        (Path(folder) / "claude_generator_config.yml").write_text(
            f"api_config: {{base_url: {provider.url}, api_key: none}}\n"
            "codebase_guidance: {scripts: {directories: [examples]}}\n"
        )
        generator = ClaudeCodeGenerator({"model": "any"}, folder=Path(folder))
        request = PythonExecutionRequest(user_query="what is the answer?")
        subjects = {
            _BASE: _timed(lambda: _by_itself(cli, provider.url)),
            _OURS: _timed(lambda: asyncio.run(generator.generate_code(request, []))),
        }
        costs = interleave(subjects, rounds)
    return [
        *cost("claude", costs, baseline=_BASE),
        Line("claude", "added to that", _added(costs, "wall"), "ms", goal=100.0),
        Line("claude", "added to that (CPU)", _added(costs, "cpu"), "ms"),
    ]


def _added(costs: Mapping[str, Sequence[Cost]], clock: str) -> float:
    """Return milliseconds, round by round: a busy moment hits both, and is large against what is looked for."""
    pairs = zip(costs[_OURS], costs[_BASE], strict=True)
    return statistics.median(getattr(ours, clock) - getattr(base, clock) for ours, base in pairs) * 1e3


def _timed(call: Callable[[], object]) -> Callable[[], Cost]:
    def run() -> Cost:
        wall, before = time.perf_counter(), os.times()
        call()
        after = os.times()
        used = sum(after[:4]) - sum(before[:4])
        return Cost(time.perf_counter() - wall, used)

    return run


def _by_itself(cli: Path, url: str) -> None:
    """Start it, ask it, and end it as soon as it has answered."""
    message = {"type": "user", "message": {"role": "user", "content": "what is the answer?"}}
    flags = ("--output-format", "stream-json", "--input-format", "stream-json", "--verbose", "--system-prompt", "x")
    tools = ("--tools", "Read,Grep,Glob", "--permission-mode", "dontAsk", "--setting-sources=", "--strict-mcp-config")
    with tempfile.TemporaryDirectory(prefix="bench-claude-") as home:
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": home,
            "CLAUDE_CONFIG_DIR": home,
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "none",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
        with subprocess.Popen(
            [cli, *flags, *tools, "--model", "any"],
            env=environment,
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdin
            assert process.stdout
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            answered = any(b'"type":"result"' in line for line in process.stdout)
            process.kill()
        if not answered:
            raise RuntimeError("Claude Code ended without an answer")
