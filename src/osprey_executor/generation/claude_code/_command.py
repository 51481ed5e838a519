"""How the CLI is started: its flags, its whole environment, and what it may touch."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from osprey_executor.generation.claude_code import _confine
from osprey_executor.generation.claude_code._scratch import Scratch
from osprey_executor.generation.claude_code._settings import Settings

# As a module and not as a script, its byte code is kept.
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from _confine import main; main()"
_TOOLS = ("Read", "Grep", "Glob")
_RETRIES = 2
_DNS = 53
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")
_CERTIFICATES = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR")
_SYSTEM = (
    *("/usr", "/bin", "/lib", "/lib64", "/dev/urandom"),
    *("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/ld.so.cache", "/etc/localtime"),
    *("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"),
)
# Where distributions keep what /etc/resolv.conf links to.
_RESOLVERS = ("/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf")


@dataclass(frozen=True)
class Command:
    """A process that is not started yet."""

    line: Callable[[int], list[str]]
    """Its arguments, by the descriptor whose other end ends it."""
    environment: Mapping[str, str]


def command_of(settings: Settings, cli: Path, place: Scratch, system: str, *, landlock: bool) -> Command:
    """Return how to start `cli` in `place`. No secret stands in the command line, which everybody can read."""
    environment = _environment(settings, place)
    (place.top / "system").write_text(system, encoding="utf-8")
    may_read = [*(environment[name] for name in _CERTIFICATES if name in environment), str(cli.resolve())]

    def line(control: int) -> list[str]:
        arguments = _confine.confined(
            [str(cli.resolve()), *_flags(settings, place)],
            control,
            landlock=landlock,
            readable=[*_SYSTEM, *_RESOLVERS, *may_read, str(place.work), str(place.top / "system")],
            writable=[*(str(path) for path in (place.home, place.config, place.tmp)), "/dev/null"],
            ports=_ports(settings, environment),
        )
        return [sys.executable, "-I", "-S", "-c", _START, str(Path(_confine.__file__).parent), *arguments]

    return Command(line, environment)


def _flags(settings: Settings, place: Scratch) -> tuple[str, ...]:
    tools = [tool for tool in _TOOLS if any(tool in phase.tools for _, phase in settings.phases)]
    return (
        *("--output-format", "stream-json", "--input-format", "stream-json", "--verbose"),
        *("--model", settings.model.model_id, "--system-prompt-file", str(place.top / "system")),
        # What exists, what of that is allowed, and that nothing else is asked for: each is needed.
        *("--tools", ",".join(tools)),
        *(("--allowedTools", ",".join(f"{tool}(./**)" for tool in tools)) if tools else ()),
        *("--permission-mode", "dontAsk", "--strict-mcp-config", "--setting-sources="),
        *("--max-turns", str(settings.max_turns), "--max-budget-usd", f"{max(settings.max_budget_usd, 1e-6):.6f}"),
    )


def _environment(settings: Settings, place: Scratch) -> dict[str, str]:
    """Return all of it: what is not here is not there, whatever the service has."""
    model = settings.model
    key = model.api_key.get_secret_value() if model.api_key else ""
    passed = {name: os.environ[name] for name in (*_PROXIES, *_CERTIFICATES) if os.environ.get(name)}
    environment = {
        **passed,
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(place.home),
        "TMPDIR": str(place.tmp),
        "CLAUDE_CONFIG_DIR": str(place.config),
        "ANTHROPIC_BASE_URL": model.base_url or "",
        "ANTHROPIC_SMALL_FAST_MODEL": settings.small_model or model.model_id,
        # Anthropic takes a key in a header of its own, gateways take a bearer.
        ("ANTHROPIC_API_KEY" if model.provider == "anthropic" else "ANTHROPIC_AUTH_TOKEN"): key,
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


def _ports(settings: Settings, environment: Mapping[str, str]) -> list[int]:
    """Return the ports of provider and proxies, and that of names."""
    urls = [settings.model.base_url or "", *(environment.get(name, "") for name in _PROXIES)]
    ports = {_DNS}
    for url in urls:
        parts = urlsplit(url)
        if parts.hostname:
            ports.add(parts.port or (443 if parts.scheme == "https" else 80))
    return sorted(ports)
