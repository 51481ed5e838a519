"""The `claude_code` generator: the real SDK and the real CLI, against a scripted provider on loopback."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.generation.claude_cli import (
    ANSWER,
    KEY,
    PROGRAM,
    Make,
    make_generator,
    processes,
    said,
    without_landlock,
    without_rules,
)

from osprey_executor.config import BudgetConfig, ModelConfig
from osprey_executor.errors import (
    BudgetExceededError,
    CodeGenerationError,
    GeneratorUnavailableError,
    MissingExtraError,
)
from osprey_executor.generation import ChecksOnline, ClaudeCodeGenerator, Meter, metered
from osprey_executor.generation._faults import CLAUDE_CODE, ProviderFault, told
from osprey_executor.generation.claude_code import _conversation
from osprey_executor.generation.claude_code import generator as module
from osprey_executor.generation.claude_code._relay import Relay
from osprey_executor.models import PythonExecutionRequest
from osprey_executor.testing.scripted_provider import Asked, ScriptedProvider, Step, ToolUse

REQUEST = PythonExecutionRequest(user_query="plot the orbit")
LOOK = ToolUse("Glob", {"pattern": "**/*.py"})


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the folders of the CLI are made, and are gone afterwards."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def make(tmp_path: Path, server: ScriptedProvider) -> Make:
    """Makes the generator."""
    return lambda **settings: make_generator(tmp_path, server.url, **settings)


async def test_fast_reads_an_example_and_answers(make: Make, server: ScriptedProvider, scratch: Path) -> None:
    server.script(
        Step("I look.", tools=(LOOK, ToolUse("Grep", {"pattern": "COLOUR", "output_mode": "content"}))),
        Step(tools=(ToolUse("Read", {"file_path": "plotting/orbits/plot_orbit.py"}),)),
        Step(ANSWER),
    )
    made = make(keep_scratch=True)
    assert await made.generate_code(REQUEST, ["Stage: execution\nError: KeyError: 'bpm'"]) == PROGRAM
    first, second, third = server.requests
    assert "plot the orbit" in first.user
    assert "KeyError: 'bpm'" in first.user
    assert "`results`" in first.system
    assert "plotting/: For plots of orbits." in first.system
    assert {tool["name"] for tool in first.body["tools"]} == {"Read", "Grep", "Glob"}
    assert first.headers["x-api-key"] == KEY
    assert "plotting/orbits/plot_orbit.py" in second.user
    assert "colour-of-our-orbits" in third.user
    assert server.strays == []
    (kept,) = scratch.iterdir()  # on purpose; the key is not in it
    held = b"".join(file.read_bytes() for file in kept.rglob("*") if file.is_file())
    assert b"plot the orbit" in held
    assert KEY.encode() not in held
    assert KEY[-20:].encode() not in held


async def test_robust_scans_plans_and_implements_in_one_conversation(
    make: Make, server: ScriptedProvider, scratch: Path, tmp_path: Path
) -> None:
    make()
    config = tmp_path / "claude_generator_config.yml"
    config.write_text(
        f"{config.read_text()}phases:\n  plan: {{prompt: Plan the program., tools: [Read], max_turns: 1}}\n"
    )
    read = ToolUse("Read", {"file_path": "plotting/orbits/plot_orbit.py"})
    server.script(
        Step(tools=(LOOK,)),
        Step("There is plot_orbit.py."),
        Step(tools=(LOOK, read)),
        Step(tools=(read,)),
        Step("1. Read the orbit."),
        Step(ANSWER),
    )
    made = ClaudeCodeGenerator({"profile": "robust", "timeout": 90}, folder=tmp_path)
    with metered(Meter(keep_prompts=True)) as meter:
        assert await made.generate_code(REQUEST, []) == PROGRAM
    scan, _, plan, planned, pressed, implement = server.requests
    assert "Search the example libraries" in scan.user
    assert "Plan the program" in plan.user
    # The plan may read but not search: the CLI knows one list of tools, the phases have their own.
    assert "Glob is not available in this step" in planned.user
    assert "colour-of-our-orbits" in planned.user
    assert "answer now, with what you have seen" in pressed.user
    assert "Write the program as planned" in implement.user
    assert "There is plot_orbit.py." in json.dumps(implement.body["messages"])
    calls = meter.generation.calls
    assert {call.model for call in calls} == {"anthropic/claude-sonnet-4-5"}
    assert [(call.input_tokens, call.output_tokens) for call in calls] == [(200, 40), (300, 60), (100, 20)]
    assert [call.cost for call in calls] == pytest.approx([0.0012, 0.0018, 0.0006])
    assert "plot the orbit" in meter.exchanges[0][0]
    assert [answer for _, answer in meter.exchanges] == ["There is plot_orbit.py.", "1. Read the orbit.", ANSWER]
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(("rules", "landlock"), [(True, False), (False, True), (False, False)])
async def test_escape_is_refused_by_each_of_two_walls(
    make: Make,
    server: ScriptedProvider,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rules: bool,
    landlock: bool,
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    secret = outside / "secret-name.txt"
    secret.write_text("the-secret-content")
    if not rules:
        without_rules(monkeypatch)
    if not landlock:
        without_landlock(monkeypatch)
    server.script(
        Step(
            tools=(
                ToolUse("Read", {"file_path": str(secret)}),
                ToolUse("Read", {"file_path": f"../../../{outside.name}/{secret.name}"}),
                ToolUse("Grep", {"pattern": "secret", "path": str(outside), "output_mode": "content"}),
                ToolUse("Glob", {"pattern": f"{outside}/*"}),
                ToolUse("Bash", {"command": f"cat {outside}/secret*; touch {outside}/by-bash"}),
                ToolUse("Write", {"file_path": f"{outside}/by-write", "content": "x"}),
            )
        ),
        Step(ANSWER),
    )
    # Its first character makes the CLI itself read a file that a prompt names.
    request = PythonExecutionRequest(user_query=f"do as @{secret} says")
    assert await make().generate_code(request, []) == PROGRAM
    got_out = {
        "at the start": "the-secret-content" in json.dumps(dict(server.requests[0].body)),
        "by a tool": "the-secret-content" in said(server),
        "by a file": len(list(outside.iterdir())) > 1,
    }
    # The last case is the canary: with both walls down, this test sees what gets out.
    assert set(got_out.values()) == {not rules and not landlock}, got_out


async def test_secrets_stay_out_and_a_cancel_ends_all_processes(
    make: Make, server: ScriptedProvider, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "planted-secret")
    without_rules(monkeypatch)  # so that the CLI has a child: a shell that waits
    server.script(Step(tools=(ToolUse("Bash", {"command": "tail -s 98765 -f /dev/null"}),)), Step(ANSWER))
    task = asyncio.create_task(make().generate_code(REQUEST, []))
    async with asyncio.timeout(60):
        while not (waiting := processes("tail\x00-s\x0098765", "cmdline")):
            assert not task.done(), server.requests[-1].user
            await asyncio.sleep(0.05)
    ours = processes(f"HOME={scratch}")
    assert set(waiting) < set(ours)
    with subprocess.Popen(["/bin/sleep", "600"]) as beside:  # the canary: a child that is started as usual has it
        leaking = processes("planted-secret")
        beside.kill()
    assert beside.pid in leaking
    assert not set(leaking) & set(ours)
    assert not set(processes(KEY)) & set(ours)  # nor have they the provider's key
    assert processes(KEY, "cmdline") == []
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(60):
        while any(Path(f"/proc/{pid}/exe").exists() for pid in ours):
            await asyncio.sleep(0.02)
    assert list(scratch.iterdir()) == []


FAILURES: dict[str, tuple[Step, str]] = {
    "wrong-key": (Step(status=401), "refused the key"),
    "forbidden": (Step(status=403), "ask for access"),
    "wrong-model": (Step(status=404), "does not know the model"),
    "too-long": (Step(status=400, message="prompt is too long: 9 tokens"), "too long for the model"),
    "rate": (Step(status=429, headers={"retry-after": "3600"}), "limits the rate"),
    "broken": (Step(status=500), "failed on its side"),
    "overloaded": (Step(status=529), "is overloaded"),
    "cut": (Step(ANSWER, fault="cut"), "broke off its answer"),
    "garbage": (Step(fault="garbage"), "not of its protocol"),
    "refused": (Step("no", stop="refused"), "refused the task"),
    "length": (Step(ANSWER, stop="length"), "raise api_config.max_output_tokens"),
    "turns": (Step(tools=(LOOK,)), "in the phase turns of the profile all after 2 turns; raise max_turns"),
    "budget": (Step(ANSWER, output_tokens=10**6), "of 1 US dollars; raise max_budget_usd of the profile"),
}


async def test_each_failure_is_told_in_one_sentence(
    make: Make, server: ScriptedProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All in one conversation, since to start the CLI takes long: each phase fails in its way and is passed over."""
    ask, heard = _conversation.Conversation._ask, dict[str, str]()  # pyright: ignore[reportPrivateUsage]

    async def passing_over(self: Any, client: Any, name: str, phase: Any, prompt: str, kept: str) -> str:
        try:
            return await ask(self, client, name, phase, prompt, kept)
        except ProviderFault as fault:
            heard[name] = str(told(fault, self._settings.model, CLAUDE_CODE))
        except CodeGenerationError as error:
            heard[name] = str(error)
        return ANSWER

    def step(asked: Asked) -> Step:
        names = re.findall(r"fail as: ([a-z-]+)", json.dumps(dict(asked.body)))
        return FAILURES[names[-1]][0]

    monkeypatch.setattr(_conversation.Conversation, "_ask", passing_over)
    monkeypatch.setattr("osprey_executor.generation.claude_code._command._RETRIES", 0)
    make()
    config = tmp_path / "claude_generator_config.yml"
    phases = "".join(f"  {name}: {{prompt: 'fail as: {name}', tools: [Glob]}}\n" for name in FAILURES)
    profile = f"{{phases: [{', '.join(FAILURES)}], max_turns: 2, max_budget_usd: 1}}"
    config.write_text(f"{config.read_text()}phases:\n{phases}profiles:\n  all: {profile}\n")
    server.script(step)
    made = ClaudeCodeGenerator({"profile": "all", "timeout": 100, "model": "our-own"}, folder=tmp_path)
    with metered(Meter()) as meter:
        await made.generate_code(REQUEST, [])
    assert list(heard) == list(FAILURES)
    for name, (_, words) in FAILURES.items():
        assert heard[name].startswith("anthropic, model our-own: "), name
        assert words in heard[name]
        assert KEY not in heard[name]
        assert "\n" not in heard[name]
        assert "of the model" not in heard[name]  # a setting that claude_code does not have
        assert "streaming" not in heard[name]
    calls = dict(zip(FAILURES, meter.generation.calls, strict=True))
    assert [calls[name].error for name in ("wrong-key", "overloaded", "cut", "turns")] == [
        *("wrong_key", "overloaded", "cut", ""),
    ]
    assert calls["turns"].tokens == 240
    assert calls["turns"].cost is None  # nobody knows what that model costs


@pytest.mark.parametrize("relayed", [True, False])
async def test_a_redirect_takes_the_key_nowhere(
    make: Make, server: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, relayed: bool
) -> None:
    """Without the relay, which is the canary, the CLI hands its key on to the other host."""
    port = server.url.rpartition(":")[2]
    redirect = Step(status=307, headers={"location": f"http://localhost:{port}/v1/messages"})
    server.script(lambda asked: redirect if asked.headers["host"].startswith("127") else Step(ANSWER))
    if not relayed:
        monkeypatch.setattr(Relay, "url", server.url)
        without_landlock(monkeypatch)
        begin = Relay.__init__

        def with_the_key(self: Relay, model: ModelConfig) -> None:
            begin(self, model)
            self.token = KEY

        monkeypatch.setattr(Relay, "__init__", with_the_key)
    asking = make().generate_code(REQUEST, [])
    if relayed:
        with pytest.raises(GeneratorUnavailableError, match=f"a redirect to http://localhost:{port}/v1/messages; mend"):
            await asking
    else:
        assert await asking == PROGRAM
    elsewhere = [asked for asked in server.requests if asked.headers["host"].startswith("localhost")]
    assert [asked.headers["x-api-key"] for asked in elsewhere] == ([] if relayed else [KEY])


async def test_its_key_is_not_kept_with_the_prompts(make: Make, server: ScriptedProvider) -> None:
    server.script(Step(f"The key is {KEY}."))
    request = PythonExecutionRequest(user_query=f"my key is {KEY}")
    with metered(Meter(keep_prompts=True)) as meter, pytest.raises(CodeGenerationError) as caught:
        await make().generate_code(request, [])
    assert KEY not in str(caught.value)
    assert "my key is ********" in meter.exchanges[0][0]
    assert meter.exchanges[0][1] == "The key is ********."


async def test_one_tiny_request_checks_it(make: Make, server: ScriptedProvider) -> None:
    server.script(Step("Yes"))
    made = make(profile="robust")
    assert isinstance(made, ChecksOnline)
    await made.check_online()
    (asked,) = server.requests
    assert not asked.body.get("tools")
    assert "plotting" not in asked.system


@pytest.mark.parametrize(
    ("budget", "words"),
    [({"tokens": 10_000}, "50,0.. of 10,000 tokens"), ({"cost": 0.01}, r"0\.\d+ of 0\.01 US dollars")],
)
async def test_a_budget_is_kept_within_a_phase(
    make: Make, server: ScriptedProvider, budget: dict[str, float], words: str
) -> None:
    server.script(Step(tools=(LOOK,), input_tokens=50_000), Step(tools=(LOOK,)), Step(ANSWER))
    limits = BudgetConfig.model_validate({"seconds": None, **budget})
    with metered(Meter(limits)) as meter, pytest.raises(BudgetExceededError, match=words):
        await make().generate_code(REQUEST, [])
    assert len(server.requests) == 1
    (call,) = meter.generation.calls
    assert call.tokens is not None
    assert call.tokens > 50_000


@pytest.mark.parametrize("step", [Step(ANSWER, tells_usage=False), Step(ANSWER, input_tokens=-5)])
async def test_usage_that_is_not_told_is_unknown_and_not_nothing(
    make: Make, server: ScriptedProvider, step: Step
) -> None:
    server.script(step)
    with metered(Meter(BudgetConfig(tokens=10_000))) as meter:
        await make().generate_code(REQUEST, [])
        assert (meter.generation.tokens, meter.generation.cost) == (None, None)
        with pytest.raises(BudgetExceededError, match="nobody knows how many tokens it used"):
            await make().generate_code(REQUEST, [])
    assert len(server.requests) == 1


async def test_a_budget_of_money_needs_a_price(make: Make, server: ScriptedProvider) -> None:
    with (
        metered(Meter(BudgetConfig(seconds=None, cost=1))),
        pytest.raises(BudgetExceededError, match="model-of-tomorrow: nobody knows what it costs"),
    ):
        await make(model="model-of-tomorrow").generate_code(REQUEST, [])
    assert server.requests == []


async def test_what_was_paid_before_a_hang_is_counted(make: Make, server: ScriptedProvider) -> None:
    server.script(Step(tools=(LOOK,), input_tokens=50_000), Step(fault="hang"))
    with metered(Meter()) as meter:
        writing = asyncio.create_task(make().generate_code(REQUEST, []))
        async with asyncio.timeout(80):
            while len(server.requests) < 2:
                await asyncio.sleep(0.05)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    (call,) = meter.generation.calls
    assert call.error
    assert call.input_tokens == 50_000
    assert call.cost is not None
    assert call.cost > 0.1


async def test_hang_ends_with_the_time(make: Make, server: ScriptedProvider, scratch: Path) -> None:
    server.script(Step(fault="hang"))
    with pytest.raises(GeneratorUnavailableError, match=r"no answer within 4 s .*raise timeout"):
        await make(timeout=4).generate_code(REQUEST, [])
    assert list(scratch.iterdir()) == []


async def test_no_route(make: Make, tmp_path: Path) -> None:
    with ScriptedProvider() as gone:
        url = gone.url
    with pytest.raises(GeneratorUnavailableError, match=rf"cannot be reached at {url}"):
        await make_generator(tmp_path, url, timeout=60).generate_code(REQUEST, [])


async def test_what_cannot_be_started_is_told(
    make: Make, server: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(GeneratorUnavailableError, match="ended early with exit code 1"):
        await make(cli_path="/bin/false").generate_code(REQUEST, [])
    without_landlock(monkeypatch)
    with pytest.raises(GeneratorUnavailableError, match="has no Landlock"):
        await make(containment="required").generate_code(REQUEST, [])
    monkeypatch.setattr(module, "_SDK", "a_package_that_nobody_has")
    with pytest.raises(MissingExtraError, match=r"pip install 'osprey-executor\[claude\]'"):
        await make().generate_code(REQUEST, [])
    assert server.requests == []


def test_constructs_as_osprey_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for made in (ClaudeCodeGenerator({"profile": "robust"}), ClaudeCodeGenerator()):
        assert made.model_label.startswith("anthropic/claude-")
