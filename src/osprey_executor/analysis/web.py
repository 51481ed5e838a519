"""Requests that change something on a web server: some gateways take them as writes to channels."""

from __future__ import annotations

import ast
import re

from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import HOLE, UNKNOWN, Ref, Value, is_text, only_const, spelling
from osprey_executor.models import Effect, Severity
from osprey_executor.text import one_line

_CONTROL_WORDS = re.compile(
    r"(?<![a-z])(pvs?|channels?|ca(put|get)|setpoints?|epics|tango|opc(ua)?|plc|devices?|motors?|actuators?)(?![a-z])"
)
_CHANGING = frozenset(("put", "post", "patch", "delete"))


def _changing(name: str) -> Model:
    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        method, place = name, 0
        if name == "request":
            known = only_const(given.get(0, "method") or UNKNOWN)
            method, place = (str(known.value).lower() if known is not None else "put"), 1
        for atom in given.get(place, "url") or UNKNOWN:
            url = spelling(atom) if is_text(atom) else ""
            if method in _CHANGING and _CONTROL_WORDS.search(url.lower()):
                m.find(
                    node,
                    "opaque/web-gateway",
                    Effect.OPAQUE,
                    f"sends {method.upper()} to {url.replace(HOLE, '*')}, which may be a gateway to channels",
                    Severity.WARNING,
                    ask=True,
                )
        shown = method if method in (*_CHANGING, "get") else "request"
        m.find(node, f"network/web-{shown}", Effect.NETWORK, f"sends a web request ({one_line(method.upper(), 20)})")
        return (Ref("requests.Response", True),)

    return model


def _urlopen(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    method = "post" if given.get(1, "data") is not None else "get"
    known = only_const(given.get("method") or UNKNOWN)
    if known is not None:
        method = str(known.value).lower()
    return _changing(method)(m, node, given)


MODELS: dict[str, Model] = {
    **{f"web-{name}": _changing(name) for name in (*sorted(_CHANGING), "request")},
    "web-urlopen": _urlopen,
    "web-urllib-request": _urlopen,
}
