"""The registry of Windows: keys that are opened and changed, and those by which programs start by themselves."""

from __future__ import annotations

import ast
import re

from osprey_executor.analysis import texts
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import HOLE, NOTHING, Const, Ref, Value, is_text, spelling
from osprey_executor.models import Effect, Severity
from osprey_executor.text import one_line

_STARTS_UP = re.compile(
    r"CurrentVersion\\+(Run|RunOnce|RunOnceEx|RunServices(Once)?|Policies\\+Explorer\\+Run|Winlogon|Windows"
    r"|Image File Execution Options)\b|CurrentControlSet\d*\\+Services\b|ControlSet\d+\\+Services\b|Active Setup\\"
    r"|User Shell Folders\b|Command Processor\b|Session Manager\b",
    re.IGNORECASE,
)
"""What stands in the names of keys whose programs start at a login, at the start of the computer, or with others."""

_OF_VALUES = frozenset(("SetValueEx", "DeleteValue"))
"""Functions whose second argument names a value and no key below."""


def _opened(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`OpenKey(HKEY_CURRENT_USER, "Software")`: a key below one that may be opened already."""
    return (Ref("winreg.key", True, _below(given)),)


def _below(given: Arguments) -> Value:
    key = _key(given)
    more = tuple(atom for atom in given.get(1, "sub_key") or NOTHING if is_text(atom) and spelling(atom))
    return texts.concat(texts.concat(key, (Const("\\"),)), more) if key and more else more or key


def _key(given: Arguments) -> Value:
    return tuple(name for atom in given.get(0, "key") or NOTHING if isinstance(atom, Ref) for name in atom.channels)


def _changed(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    func = getattr(node, "func", None)
    name = str(getattr(func, "attr", getattr(func, "id", "")))
    key = _key(given) if name in _OF_VALUES else _below(given)
    names = [spelling(atom).replace(HOLE, "*") for atom in key]
    if starting := next((one for one in names if _STARTS_UP.search(one)), ""):
        deletes = "the computer then no longer starts" if name.startswith("Delete") else "the computer then starts"
        place = one_line(starting, 80)
        told = f"changes the registry with {name}: {place}, a start-up place: {deletes} a program by itself"
        m.find(node, "file/starts-up", Effect.FILE_WRITE, told, Severity.WARNING)
    else:
        told = f"changes the registry with {name}" + (f": {one_line(names[0], 80)}" if names else "")
        m.find(node, "file/registry", Effect.FILE_WRITE, told, Severity.WARNING)
    return (Ref("winreg.key", True, key),)


MODELS: dict[str, Model] = {"registry-key": _opened, "registry-change": _changed}
