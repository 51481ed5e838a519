"""How the CLI is started: its flags, its whole environment, and what it may touch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from osprey_executor.generation.claude_code import _confine
from osprey_executor.generation.claude_code._scratch import Scratch
from osprey_executor.generation.claude_code._settings import Settings

if TYPE_CHECKING:
    from osprey_executor.generation.claude_code._relay import Relay

# As a module and not as a script, its byte code is kept.
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from _confine import main; main()"
_TOOLS = ("Read", "Grep", "Glob")
_RETRIES = 2
_SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/dev/urandom", "/etc/ld.so.cache", "/etc/localtime")


@dataclass(frozen=True)
class Command:
    """A process that is not started yet."""

    line: Callable[[int], list[str]]
    """Its arguments, by the descriptor whose other end ends it."""
    environment: Mapping[str, str]


def command_of(settings: Settings, cli: Path, place: Scratch, relay: Relay, system: str, *, landlock: bool) -> Command:
    """Return how to start `cli` in `place`. No secret stands in the command line, which everybody can read."""
    (place.top / "system").write_text(system, encoding="utf-8")

    def line(control: int) -> list[str]:
        arguments = _confine.confined(
            [str(cli.resolve()), *_flags(settings, place)],
            control,
            landlock=landlock,
            readable=[*_SYSTEM, str(cli.resolve()), str(place.work), str(place.top / "system")],
            writable=[*(str(path) for path in (place.home, place.config, place.tmp)), "/dev/null"],
            ports=[relay.port],
        )
        return [sys.executable, "-I", "-S", "-c", _START, str(Path(_confine.__file__).parent), *arguments]

    return Command(line, _environment(settings, place, relay))


def _flags(settings: Settings, place: Scratch) -> tuple[str, ...]:
    tools = [tool for tool in _TOOLS if any(tool in phase.tools for _, phase in settings.phases)]
    return (
        *("--output-format", "stream-json", "--input-format", "stream-json", "--verbose"),
        *("--model", settings.model.model_id, "--system-prompt-file", str(place.top / "system")),
        # Else it keeps the conversation on the disk.
        *(() if settings.block.keep_scratch else ("--no-session-persistence",)),
        # What exists, what of that is allowed, and that nothing else is asked for: each is needed.
        *("--tools", ",".join(tools)),
        *(("--allowedTools", ",".join(f"{tool}(./**)" for tool in tools)) if tools else ()),
        *("--permission-mode", "dontAsk", "--strict-mcp-config", "--setting-sources="),
        *("--max-turns", str(settings.max_turns), "--max-budget-usd", f"{max(settings.max_budget_usd, 1e-6):.6f}"),
    )


def _environment(settings: Settings, place: Scratch, relay: Relay) -> dict[str, str]:
    """Return all of it: what is not here is not there, whatever the service has."""
    model = settings.model
    environment = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(place.home),
        "TMPDIR": str(place.tmp),
        "CLAUDE_CONFIG_DIR": str(place.config),
        "ANTHROPIC_BASE_URL": relay.url,
        "ANTHROPIC_API_KEY": relay.token,
        "ANTHROPIC_SMALL_FAST_MODEL": settings.small_model or model.model_id,
        "CLAUDE_CODE_ENTRYPOINT": "sdk-py",
        "CLAUDE_CODE_MAX_RETRIES": str(_RETRIES),
        # The time of the whole conversation is kept outside; a try must not end later than that.
        "API_TIMEOUT_MS": str(int(model.timeout * 1000)),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_NON_ESSENTIAL_MODEL_CALLS": "1",
    }
    if model.max_tokens:
        environment["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] = str(model.max_tokens)
    return environment
