"""Whether programs could use their gateways: one is knocked at from inside, with the first words of its protocol."""

from __future__ import annotations

from osprey_executor.config import Config
from osprey_executor.control import first_words, gateways_for
from osprey_executor.errors import PythonExecutorException
from osprey_executor.models import ControlSession, Gateway, Outcome, Probe, Program
from osprey_executor.pipeline.equipment import Equipment

# Nothing but the standard library, in the sandbox as in the gateway's answer: no client, no channel, no reading.
_KNOCK = """
import socket
results = {{}}
for kind, port, words in {doors!r}:
    try:
        with socket.create_connection(("127.0.0.1", port), 20) as door:
            door.settimeout(20)
            door.sendall(words)
            results[kind] = len(door.recv(8))
    except OSError as error:
        results[kind] = str(error)
"""


async def probe_gateways(config: Config, parts: Equipment, session: ControlSession) -> list[Probe]:
    """Return what each gateway answered; nothing where programs get none.

    Without a jail there is none either, and who knocked there would find whatever serves on this computer.
    """
    gateways = gateways_for(config.control_system)
    if gateways is None or parts.engine.isolation.level != "full" or config.execution.execution_method != "local":
        return []
    doors = [(one.kind, one.places[0].port, first_words(one.kind)) for one in gateways.kinds]
    try:
        outcome = await parts.engine.run(Program(code=_KNOCK.format(doors=doors)), control=session)
    except PythonExecutorException as error:
        return [_probe(one, False, f"no program could be run to try it: {error}") for one in gateways.kinds]
    return [_seen(one, outcome) for one in gateways.kinds]


def _seen(kind: Gateway, outcome: Outcome) -> Probe:
    answer = outcome.results.get(kind.kind)
    if isinstance(answer, int) and answer > 0:
        return _probe(kind, True, "it starts in its jail, and answers a program's first words")
    # A gateway that failed says why in a note of the run: a library that is missing, with the extra that brings it.
    why = [note for note in outcome.notes if note.startswith(f"{kind.title}:")]
    told = why or [f"a program that connects gets no answer ({answer or 'it is closed at once'})"]
    return _probe(kind, False, f"programs that speak {kind.title} themselves find no channel: {'; '.join(told)}")


def _probe(kind: Gateway, works: bool, detail: str) -> Probe:
    return Probe(name=f"{kind.title} gateway", outcome="ok" if works else "unavailable", detail=detail)
