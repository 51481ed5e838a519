"""The scripted provider serves real clients: the providers' SDKs (see also test_basic.py) and the Claude Code CLI."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import claude_agent_sdk
import pytest

from osprey_executor.testing.scripted_provider import Asked, ScriptedProvider, Step, ToolUse

CLI = Path(claude_agent_sdk.__file__).parent / "_bundled" / "claude"


def test_the_real_cli_uses_a_tool_and_answers(server: ScriptedProvider, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "gains.py").write_text("GAIN = 0.25\n")
    server.script(Step("Let me look.", (ToolUse("Read", {"file_path": str(work / "gains.py")}),)), Step("It is 0.25."))
    done = subprocess.run(
        [
            *(CLI, "-p", "which gain?", "--output-format", "json", "--model", "claude-sonnet-5", "--tools", "Read"),
            *("--allowedTools", "Read(./**)", "--system-prompt", "Be brief.", "--setting-sources", ""),
        ],
        cwd=work,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "CLAUDE_CONFIG_DIR": str(tmp_path / "config"),
            "ANTHROPIC_BASE_URL": server.url,
            "ANTHROPIC_API_KEY": "sk-scripted",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["result"] == "It is 0.25."
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (200, 40)
    first, second = server.requests
    assert first.model == "claude-sonnet-5"
    assert "Be brief." in first.system
    assert "GAIN = 0.25" in second.text


async def test_tools_and_usage_reach_the_sdk_of_openai(server: ScriptedProvider) -> None:
    from openai import AsyncOpenAI

    server.script(Step(tools=(ToolUse("look", {"at": "x"}),), cached_tokens=7))
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="k") as client:
        asked: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        whole = await client.chat.completions.create(**asked)
        streamed = [part async for part in await client.chat.completions.create(**asked, stream=True)]
    (call,) = whole.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("look", {"at": "x"})
    assert streamed[1].choices[0].delta.tool_calls[0].function.name == "look"
    assert whole.usage == streamed[-1].usage
    assert (whole.usage.prompt_tokens, whole.usage.prompt_tokens_details.cached_tokens) == (107, 7)


def test_a_step_may_be_made_of_the_request(server: ScriptedProvider) -> None:
    def echo(asked: Asked) -> Step:
        return Step(f"{asked.model}: {asked.user}")

    server.script(echo)
    body = {"model": "m", "messages": [{"role": "user", "content": "one"}]}
    answer = post(f"{server.url}/v1/chat/completions", body)
    assert answer["choices"][0]["message"]["content"] == "m: one"
    assert server.requests[0].headers["content-type"] == "application/json"


def test_what_asks_no_model_is_told_apart(server: ScriptedProvider) -> None:
    assert post(f"{server.url}/v1/messages/count_tokens", {"messages": []})["input_tokens"] > 0
    with pytest.raises(urllib.error.HTTPError, match="404"):
        post(f"{server.url}/v2/elsewhere", {})
    assert server.requests == []
    assert server.strays == ["POST /v1/messages/count_tokens", "POST /v2/elsewhere"]


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found
