"""Clients of controllers and instruments: which host on the network they reach."""

from __future__ import annotations

import ast
import re

from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import HOLE, UNKNOWN, Value, is_text, spelling
from osprey_executor.models import Confidence, Effect
from osprey_executor.text import one_line

_WORDS = ("host", "hostname", "ip_address", "address", "url", "endpoint", "path", "resource_name")
_HOST = re.compile(r"[\w.:/%@\[\]*-]{1,200}")
_VISA_HOST = re.compile(r"(?:TCPIP|VICP|HISLIP)\d*::([^:]+)", re.IGNORECASE)


def _reaches(m: Machine, node: ast.AST, hosts: list[str]) -> None:
    named = sorted({one_line(host, 80) for host in hosts})
    known = f": {named[0]}" if len(named) == 1 else f": {named[0]} or one of {len(named) - 1} others" if named else ""
    told = f"reaches the network with {_called(node)}{known}"
    m.find(node, "network/host", Effect.NETWORK, told, confidence=Confidence.CERTAIN)


def _texts(value: Value) -> list[str]:
    return [spelling(atom).replace(HOLE, "*") for atom in value if is_text(atom)]


def _host(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`ModbusTcpClient("10.0.0.1", port=502)`: a client that is made, or told to connect."""
    places = (2, "ip_address") if _called(node) == "Connection" else (0, *_WORDS)  # pyads names a network first
    held = given.get(*places) or given.get(0) or UNKNOWN
    _reaches(m, node, [host for host in _texts(held) if _HOST.fullmatch(host) and host.strip("*")])
    return None


def _visa(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`open_resource("TCPIP::10.0.0.1::INSTR")`; other addresses, as `GPIB0::5::INSTR`, need no network."""
    known = [found[1] for text in _texts(given.get(0, "resource_name") or UNKNOWN) if (found := _VISA_HOST.match(text))]
    if known:
        _reaches(m, node, known)
    return None


def _called(node: ast.AST) -> str:
    func = getattr(node, "func", None)
    return str(getattr(func, "attr", getattr(func, "id", "")))


MODELS: dict[str, Model] = {"host": _host, "visa-host": _visa}
