"""Ways to write, each to a channel of its own, so that machine and journal tell which one got where."""

from __future__ import annotations

from .elsewhere import ELSEWHERE
from .libraries import LIBRARIES
from .links import LINKS
from .protocols import PROTOCOLS
from .spellings import SPELLINGS

GROUPS: dict[str, dict[str, str]] = {**LIBRARIES, **SPELLINGS, **PROTOCOLS, **ELSEWHERE, **LINKS}
"""Those of one group are tried by one program."""

NOWHERE = {
    *(name for group in ELSEWHERE.values() for name in group),
    "descriptors asked of whoever is at the other end",
    "descriptors taken from process 1",
    "memory of process 1",
    "process 1 traced",
    "descriptors of other processes opened",
    "sockets by name",
    "a service of one's own, with the approval forged",
}
"""These reach neither a gateway nor the broker as a write."""

COMMANDS = {"a PVAccess process request, raw", "alarms acknowledged, raw"}
"""These ask for something else than a new value, which no layer but the gateway knows."""

NO_VALUE = {
    *("an array for a number, raw", "a text for a number, raw", "more than was sent, raw", "a filter, raw"),
    *("UDP writes", "frames of a gateway on every descriptor", "an operation that there is not"),
}
"""These are wrong in themselves: an IOC may refuse them, too."""

NAMES = [name for group in GROUPS.values() for name in group]


def channel_of(name: str) -> str:
    """Return the channel that an attack is to write."""
    return f"K:{NAMES.index(name)}"


def program(group: str, port: int, addresses: list[str]) -> str:
    """Return the program that tries a group, one after the other, whatever becomes of each."""
    attacks = [(name, channel_of(name), source) for name, source in GROUPS[group].items()]
    return f"""
for name, channel, source in {attacks!r}:
    world = {{"__name__": "attack", "CHANNEL": channel, "PORT": {port}, "ADDRESSES": {addresses!r}}}
    try:
        exec(compile(source, name, "exec"), world)
        told = "ended"
    except BaseException as error:
        told = f"{{type(error).__name__}}: {{str(error)[:200]}}"
    print(f"{{name}}: {{told}}: {{world.get('seen', '')}}", flush=True)
results = {{}}
"""
