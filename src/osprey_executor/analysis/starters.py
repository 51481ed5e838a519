"""Calls of libraries that start commands: how each hands them on."""

from __future__ import annotations

import ast
import shlex
from itertools import product

from osprey_executor.analysis import boxes
from osprey_executor.analysis.commands import ITSELF, called, command, is_shell, shell, unknown_command
from osprey_executor.analysis.dynamic import run_text
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import (
    HOLE,
    NOTHING,
    PLAIN,
    UNKNOWN,
    Atom,
    Box,
    Const,
    Func,
    Pattern,
    Ref,
    Value,
    is_text,
    spelling,
)
from osprey_executor.models import Effect, Severity

_MOST_COMMANDS = 16
_NO_SHELL = frozenset(("run", "call", "check_call", "check_output", "Popen", "spawn"))
"""Last names of what starts a program without a shell, unless it is told to take one."""
_OPEN_LINE = "runs a line of shell with text in it that is not seen here: such text can run any command"


def _container(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`client.containers.run("alpine", privileged=True, volumes={"/": ...})`."""
    privileged = any(not isinstance(atom, Const) or atom.value for atom in given.get("privileged") or NOTHING)
    mounted = [
        str(key)
        for atom in given.get("volumes") or NOTHING
        if isinstance(atom, Box)
        for key in (*atom.items, *_texts(atom))
    ]
    if privileged or any(one == "/" or one.startswith("/:") for one in mounted):
        told = "starts a container that may change the whole computer"
        m.find(node, "process/container", Effect.PROCESS, told, Severity.WARNING)
    if started := given.get(1, "command"):
        for atom in started:
            if is_text(atom):  # the words are split as a shell would, but no shell runs
                command(m, node, _split_words(spelling(atom)))
            else:
                run_command(m, node, (atom,))
    return None


def _texts(box: Box) -> list[str]:
    return [spelling(atom) for value in box.items.values() for atom in value if is_text(atom)]


def _words(value: Value) -> list[list[str]] | None:
    """Return the word lists that a value may be; None: unknown."""
    found: list[list[str]] = []
    for atom in value:
        if not isinstance(atom, Box) or atom.mapping:
            return None
        columns = [_spellings(item) for item in atom.items.values()]
        size = 1
        for column in columns:
            size *= len(column)
        if size > 64:
            columns = [column if len(column) == 1 else [HOLE] for column in columns]
        rest = [] if atom.exact and not atom.rest else [ITSELF if ITSELF in _spellings(atom.rest) else HOLE]
        found.extend([*row, *rest] for row in product(*columns))
    return found or None


def _spellings(value: Value) -> list[str]:
    shown: list[str] = []
    for atom in value or UNKNOWN:
        if isinstance(atom, Ref) and atom.path == "sys.executable":
            shown.append("python")
        elif isinstance(atom, Ref) and atom.path in ("builtins.__file__", "sys.argv"):
            shown.append(ITSELF)
        elif (isinstance(atom, Ref) and atom.path.startswith("pathlib.") and atom.channels) or (
            isinstance(atom, Ref) and atom.path == "shutil.which"
        ):
            shown.extend(spelling(one) for one in atom.channels)
        elif isinstance(atom, Box):
            shown.append(HOLE)
        else:
            shown.append(spelling(atom))
    return list(dict.fromkeys(shown))


def run_command(m: Machine, node: ast.AST, value: Value, *, by_shell: bool = True) -> None:
    """Note what starting `value`, a line of shell or a list of words, does; `by_shell`: a shell reads the line."""
    for atom in value or UNKNOWN:
        if is_text(atom):
            shell(m, node, spelling(atom))
            if by_shell and _is_open(atom):
                unknown_command(m, node, _OPEN_LINE)
            continue
        if isinstance(atom, Box) and _is_open_line(atom):
            unknown_command(m, node, _OPEN_LINE)
        lists = _words((atom,))
        if lists is None:
            unknown_command(m, node, "starts a program that is only known when the code runs")
        for words in lists or []:
            command(m, node, words)


def _is_open(atom: Atom) -> bool:
    """Return whether there is free text in a line that is not seen here."""
    return isinstance(atom, Pattern) and atom.kind != PLAIN and HOLE in atom.text


def _is_open_line(box: Box) -> bool:
    """Return whether a list is `["sh", "-c", line]` with free text in the line."""
    items = list(box.items.values())
    shells = bool(items) and any(is_shell(spelling(atom)) for atom in items[0])
    return shells and any(_is_open(atom) for value in items[2:3] for atom in value)


def _subprocess(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    told = given.get("shell")
    by_shell = called(node) not in _NO_SHELL if told is None else told != (Const(False),)
    run_command(m, node, given.get(0, "args", "cmd", "command") or UNKNOWN, by_shell=by_shell)
    for value in (given.get("input"), given.get("stdin")):
        for atom in value or NOTHING:
            if is_text(atom):
                shell(m, node, spelling(atom))
    return (Ref("subprocess.Popen", True),)


def _job(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`cron.new(command="...")`: what the clock starts does what it would do now."""
    told = "changes the commands that the computer starts by the clock, again and again"
    m.find(node, "file/scheduled", Effect.FILE_WRITE, told, Severity.WARNING)
    run_command(m, node, given.get(0, "command") or UNKNOWN)
    return (Ref("crontab.CronItem", True),)


def _task(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`@task def build(c): c.run("...")`: a function that gets what runs commands."""
    context = Arguments(((Ref("invoke.Context", True),),), complete=False)
    for atom in given.args[0] if given.args else NOTHING:
        if isinstance(atom, Func):
            m.call(node, (atom,), context)
            return (atom,)
    return (Ref("invoke.task"),)


def _bound(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`local["caput"]["X", 1]`: a program, and then its words, which something runs later."""
    owner, key = given.args
    before = [_plumbum(atom) for atom in owner if isinstance(atom, Ref)]
    made = [[*first, *words] for first in before for words in _words(key) or [[one] for one in _spellings(key)]]
    for words in made if any(before) else ():
        command(m, node, words)
    texts = [shlex.join(words) for words in made[:_MOST_COMMANDS]]
    return (Ref("plumbum.Command", True, tuple(Pattern(one) if HOLE in one else Const(one) for one in texts)),)


def _plumbum(ref: Ref) -> list[str]:
    """Return the words that a command of plumbum has so far; none of `local`."""
    if ref.path.startswith("plumbum.cmd."):
        return [ref.path.rpartition(".")[2]]
    return shlex.split(spelling(ref.channels[0])) if ref.path == "plumbum.Command" and ref.channels else []


def _run_bound(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    for atom in given.made_with or UNKNOWN:
        words = shlex.split(spelling(atom)) if is_text(atom) else [HOLE]
        command(m, node, [*words, *(_spellings(value)[0] for value in given.args)])
    return UNKNOWN


def _pip(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    for words in _words(given.get(0, "args") or UNKNOWN) or [[HOLE]]:
        command(m, node, ["pip", *words])
    return UNKNOWN


def _spread(start: int) -> Model:
    """`os.execlp(file, arg0, arg1, ...)`: the words are arguments of their own; the one at `start` is the program."""

    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        words: list[str] = []
        for place, value in enumerate(given.args):
            if place < start or (start >= 0 and place == start + 1 and _is_exec_l(node)):
                continue
            words.append(_spellings(value)[0])
        if not given.complete:
            words.append(HOLE)
        command(m, node, words or [HOLE])
        return UNKNOWN

    return model


def _is_exec_l(node: ast.AST) -> bool:
    return called(node).startswith(("execl", "spawnl"))


def _listed(program: int) -> Model:
    """`os.execvp(file, args)`: the second is a list whose first word repeats the program."""

    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        name = _spellings(given.args[program])[0] if len(given.args) > program else HOLE
        lists = _words(given.args[program + 1]) if len(given.args) > program + 1 else None
        for words in lists or [[HOLE, HOLE]]:
            command(m, node, [name, *(words[1:] or words)])
        return UNKNOWN

    return model


def _split_words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _split(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`shlex.split(text)`: the words of a command."""
    box = m.made.setdefault(("words", id(node)), Box())
    assert isinstance(box, Box)
    known = [spelling(atom) for atom in given.get(0, "s") or UNKNOWN if is_text(atom)]
    if len(known) != 1:
        box.exact = False
        box.rest = UNKNOWN
        return (box,)
    values: list[Value] = [(Pattern(word) if HOLE in word else Const(word),) for word in _split_words(known[0])[:500]]
    boxes.fill(m, box, values)
    return (box,)


def _named_command(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`sh.ls("-l")`: the name of the function is the program."""
    func = getattr(node, "func", None)
    name = str(getattr(func, "attr", getattr(func, "id", ""))).replace("_", "-")
    words = [_spellings(value)[0] for value in given.args]
    before = [spelling(one) for one in given.made_with if is_text(one)][:1]
    if name == "bake":  # `git = sh.git.bake("-C", folder)`, called later: with words, or as `git.fetch()`
        program = str(getattr(getattr(func, "value", None), "attr", "")) or HOLE
        return (Ref("sh.?", True, (Const(program),)),)
    command(m, node, [*before, name or HOLE, *words])
    return UNKNOWN


def _cell(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`get_ipython().run_cell("!ls")`: lines of Python, of shell, and of what IPython adds."""
    for atom in given.get(0, "raw_cell") or UNKNOWN:
        if not isinstance(atom, Const) or not isinstance(atom.value, str):
            run_text(m, node, UNKNOWN, "a cell")
            continue
        lines = atom.value.split("\n")
        for line in lines:
            if line.lstrip().startswith("!"):
                shell(m, node, line.lstrip().lstrip("!"))
            elif line.lstrip().startswith("%"):
                unknown_command(m, node, "runs a command of IPython, which can run any code")
        python = [line for line in lines if not line.lstrip().startswith(("!", "%"))]
        run_text(m, node, (Const("\n".join(python)),), "a cell")
    return UNKNOWN


def _sent(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    for atom in given.args[0] if given.args else NOTHING:
        if isinstance(atom, Const):
            shell(m, node, spelling(atom))
    return boxes.each(UNKNOWN)[0]


MODELS: dict[str, Model] = {
    "command": _subprocess,
    "command-of-job": _job,
    "task": _task,
    "command-bound": _bound,
    **dict.fromkeys((f"plumbum.Command{name}" for name in ("", ".run", ".popen", ".run_fg", ".run_bg")), _run_bound),
    **dict.fromkeys(("pip.main", "pip._internal.main", "pip._internal.cli.main.main", "pip._internal.main.main"), _pip),
    "command-words": _spread(0),
    "command-words-after-mode": _spread(1),
    "command-list": _listed(0),
    "command-list-after-mode": _listed(1),
    "command-named": _named_command,
    "cell": _cell,
    **{f"docker.{made}.containers.{name}": _container for made in ("?", "DockerClient") for name in ("run", "create")},
    "shlex.split": _split,
    "subprocess.Popen.communicate": _sent,
    "subprocess.Popen.stdin.write": _sent,
}
