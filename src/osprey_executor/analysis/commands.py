"""Commands of the shell: what is started, and whether it writes to channels or runs code that nobody has seen."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Sequence
from itertools import pairwise

from osprey_executor.analysis.catalogue import Rule
from osprey_executor.analysis.dynamic import run_text
from osprey_executor.analysis.files import file_write
from osprey_executor.analysis.machine import Machine
from osprey_executor.analysis.places import is_outside, starts_up
from osprey_executor.analysis.places import told as told_place
from osprey_executor.analysis.record import channel_names
from osprey_executor.analysis.spending import wait
from osprey_executor.analysis.told import deletes_data
from osprey_executor.analysis.values import (
    HOLE,
    Const,
    Pattern,
)
from osprey_executor.models import Effect, Severity

_WRAPPERS = frozenset(
    [
        "sudo",
        "doas",
        "env",
        "xargs",
        "timeout",
        "nohup",
        "nice",
        "time",
        "stdbuf",
        "watch",
        "exec",
        "command",
        "eval",
        "setsid",
        "ionice",
        "chroot",
        "unshare",
        "nsenter",
        "capsh",
        "setpriv",
        "strace",
        "ltrace",
        "script",
        "parallel",
        "find",
        "ssh",
        "docker",
        "podman",
        "srun",
        "su",
        "runuser",
        "flock",
        "taskset",
        "builtin",
        "conda",
        "pixi",
        "uv",
        "pkexec",
    ]
)
_OTHER_USERS = frozenset(["sudo", "doas", "su", "pkexec", "runuser"])
"""Wrappers that run a command with the rights of another user, most often of the administrator."""
_SHELLS = frozenset(["sh", "bash", "zsh", "dash", "ksh", "fish", "csh", "tcsh", "cmd.exe", "powershell", "pwsh"])
_PYTHONS = re.compile(r"python[0-9.]*|pypy[0-9.]*|ipython[0-9.]*")
_INTERPRETERS = frozenset(
    [
        "perl",
        "ruby",
        "node",
        "lua",
        "php",
        "julia",
        "Rscript",
        "expect",
        "tclsh",
        "gdb",
        "awk",
        "make",
        "nc",
        "ncat",
        "socat",
        "telnet",
    ]
)
_HARMLESS = frozenset(
    [
        "echo",
        "printf",
        "grep",
        "man",
        "which",
        "ls",
        "cat",
        "head",
        "tail",
        "type",
        "whereis",
        "apropos",
        "wc",
        "sort",
        "true",
        "false",
    ]
)
_DEFINERS = frozenset(["alias", "function", "source", ".", "trap", "enable", "hash"])
"""Words of a shell after which another word stands for a command."""
_DELETING = (("find", "-delete"), ("git", "clean"), ("rsync", "--delete"), ("rsync", "--remove-source-files"))
"""Commands and the words that make them delete."""
_FETCHERS = frozenset(("conda", "pixi", "uv", "docker", "podman"))
_FETCHES = frozenset(
    (
        *(
            "install",
            "create",
            "update",
            "upgrade",
            "pull",
            "push",
            "run",
            "login",
            "add",
            "sync",
            "pip",
            "search",
            "env",
        ),
        *("build", "tool", "init", "download"),
    )
)
"""Words with which those commands reach the network."""
_INSTALLERS = frozenset(
    (
        *("pip", "pip3", "pipx", "conda", "mamba", "micromamba", "uv", "pixi", "poetry", "easy_install", "npm", "yarn"),
        *("apt", "apt-get", "yum", "dnf", "zypper", "apk", "pacman", "snap", "brew", "cargo", "gem", "go"),
    )
)
_INSTALLS = frozenset(("install", "add", "-S", "-Sy", "-Syu", "sync", "upgrade", "dist-upgrade", "update", "create"))
"""Words with which those commands put packages on the computer."""
_WHOLE_COMPUTER = re.compile(r"--privileged(=true)?|--pid=host|(-v|--volume=?)?/:\S*|--mount=.*")
_ROOT_MOUNT = re.compile(r"(source|src)=/(,|$)")
_ABOUT = frozenset(("-h", "-V", "--help", "--version", "-help", "-version"))
"""First words with which a command only tells about itself."""
ITSELF = "__file__"
_FORK_BOMB = re.compile(r"([\w:.]{1,40})\s*\(\)\s*\{\s*\1\s*\|\s*\1")
_ENDLESS = re.compile(r"\b(while\s+(true|:|1|\[\s*1\s*\])\s*;|for\s*\(\(\s*;\s*;\s*\)\))")
_VALUED = frozenset(("-w", "-p", "-r", "-F", "-M", "--timeout", "--priority", "--provider", "--request"))
"""Options of the tools that write channels after which a word is theirs, and no channel."""
_INTO_FILE = re.compile(r"(?<![0-9&>])>{1,2}\s*([^\s&>|;]+)")
_ELSEWHERE = re.compile(r"[\w.@-]+:|rsync://")
"""How a place on another computer is named, as `host:folder`."""
_SPLIT = re.compile(r"\|\||&&|[;|&\n]|\$\(|`|\(|\)")
_QUOTED = re.compile(
    r"'[^']*'|\\.|\"(?:[^\"\\]|\\.)*\"|(?:(?<=[\s;&|()])|^)#[^\n]*|(\|\||&&|[;|&\n]|\$\(|`|\(|\))",
    re.DOTALL | re.MULTILINE,
)
"""What quotes or comments out other text in a line of shell, or ends a command."""
_INSIDE = re.compile(r"\$\(([^()]*)\)|`([^`]*)`")
"""What a shell runs inside of double quotes."""


def command(m: Machine, node: ast.AST, words: Sequence[str]) -> None:
    """Note what a command of known words does; unknown parts are holes."""
    words = [word for word in words if word]
    while words and re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*=.*", words[0]):
        words = words[1:]
    if not words:
        return
    first = words[0].rpartition("/")[2]
    rule = m.catalogue.command(words)
    if first in _INSTALLERS and not _INSTALLS.isdisjoint(words[1:4]):
        told = f"installs packages with the command {first}"
        m.find(node, "file/packages", Effect.FILE_WRITE, told, Severity.WARNING)
    if (first, True) in ((name, word in words) for name, word in _DELETING):
        told = f"deletes files with the command {first}"
        m.find(node, "file/delete-command", Effect.FILE_DELETE, told, Severity.WARNING)
    if any(deletes_data(word) for word in words[1:]):
        told = f"deletes data of a database with the command {first}"
        m.find(node, "file/delete-data", Effect.FILE_DELETE, told, Severity.WARNING)
    if first == "rsync" and any(_ELSEWHERE.match(word) for word in words[1:]):
        m.find(node, "network/command", Effect.NETWORK, f"reaches the network with the command {first}")
    if first == "sleep":
        wait(m, node, max(map(_seconds, words[1:2]), default=0))
    if rule is not None:
        channels = [word for before, word in pairwise(words) if not word.startswith("-") and before not in _VALUED]
        if not rule.reads.isdisjoint(words) or not _ABOUT.isdisjoint(words[1:2]):
            _process(m, node, f"starts the program {first}, which only tells something")
        elif rule.effect is Effect.CONTROL_WRITE:
            _written(m, node, rule, channels)
        else:
            message = rule.about() + _places_told(rule, words[1:])
            m.find(node, rule.id, rule.effect, message, rule.severity, ask=rule.ask)
            m.find_also(node, rule)
            if rule.effect is not Effect.CONTROL_READ:
                _process(m, node, f"starts the program {first}")
        if first in _WRAPPERS:
            _wrapper(m, node, first, words[1:])
        return
    if HOLE in first or "$" in first or first in _DEFINERS:
        unknown_command(m, node, "starts a program that is only known when the code runs")
    elif first in _SHELLS:
        _shell(m, node, first, words[1:])
    elif _PYTHONS.fullmatch(first):
        _python(m, node, words[1:])
    elif first in _WRAPPERS:
        _wrapper(m, node, first, words[1:])
    elif first in _INTERPRETERS:
        unknown_command(m, node, f"starts {first}, which can run any code")
    elif first not in _HARMLESS and ("./" in words[0][:2] or first.endswith((".sh", ".py"))):
        unknown_command(m, node, f"starts {first}, whose content is not seen here")
    else:
        does = "replaces itself by" if _replaces(node) else "starts"
        _process(m, node, f"{does} the program {first}")


def _places_told(rule: Rule, words: Sequence[str]) -> str:
    """Return which of the files lies outside that a command changes or deletes: the last, the target of most."""
    if rule.effect not in (Effect.FILE_WRITE, Effect.FILE_DELETE):
        return ""
    found = [word for word in words if is_outside(word) or starts_up(word)]
    return f": {told_place(found[-1])}" if found else ""


def is_shell(name: str) -> bool:
    """Return whether a program is a shell, which can be given a line with `-c`."""
    return name.rpartition("/")[2] in _SHELLS


def called(node: ast.AST) -> str:
    func = getattr(node, "func", None)
    return str(getattr(func, "attr", getattr(func, "id", "")))


def _replaces(node: ast.AST) -> bool:
    """Return whether a call puts a program in the place of this one: `os.execv`."""
    return called(node).startswith("exec")


def _seconds(word: str) -> float:
    """Return how long `sleep` takes: `5`, `2.5h`, `infinity`."""
    if word in ("inf", "infinity"):
        return 1e15
    known = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{0,9})?)([smhd]?)", word)
    return float(known[1]) * {"m": 60, "h": 3600, "d": 86400}.get(known[2], 1) if known else 0


def _written(m: Machine, node: ast.AST, rule: Rule, channels: list[str]) -> None:
    line = m.where(node)[0]
    name = (
        channel_names((Pattern(channels[0]) if HOLE in channels[0] else Const(channels[0]),))[0] if channels else None
    )
    value = channels[1].replace(HOLE, "*") if len(channels) > 1 else None
    m.write(name, value, line)
    m.find(
        node,
        rule.id,
        Effect.CONTROL_WRITE,
        rule.about([name] if name else ()),
        Severity.WARNING,
        ask=True,
    )


def unknown_command(m: Machine, node: ast.AST, message: str) -> None:
    m.find(node, "opaque/command", Effect.OPAQUE, _by_the_clock(node, message), Severity.WARNING, ask=True)
    _process(m, node, "starts another program")


def _process(m: Machine, node: ast.AST, message: str) -> None:
    m.find(node, "process/command", Effect.PROCESS, _by_the_clock(node, message))


def _by_the_clock(node: ast.AST, message: str) -> str:
    """Return a message about what starts, where it is not this program that starts it: `cron.new(command=...)`."""
    return message.replace("starts", "lets the clock start", 1) if called(node) == "new" else message


def _shell(m: Machine, node: ast.AST, name: str, words: Sequence[str]) -> None:
    for place, word in enumerate(words):
        if re.fullmatch(r"-[a-z]*c", word) and place + 1 < len(words):
            shell(m, node, words[place + 1])
            return
    if any(word in ("--version", "--help") for word in words):
        return
    if all(word.startswith("-") for word in words):
        unknown_command(m, node, f"starts the shell {name}, which runs whatever it is given")
    else:
        unknown_command(m, node, f"starts the shell {name} with a script that is not seen here")


def _python(m: Machine, node: ast.AST, words: Sequence[str]) -> None:
    for place, word in enumerate(words):
        if word == "-c" and place + 1 < len(words):
            text = words[place + 1]
            run_text(m, node, (Pattern(text) if HOLE in text else Const(text),), "python -c")
            _process(m, node, "starts another Python")
            return
        if word == "-m" and place + 1 < len(words):
            _module(m, node, words[place + 1], words[place + 2 :])
            return
        if word in ("--version", "-V", "--help"):
            _process(m, node, "asks another Python for its version")
            return
        if not word.startswith("-"):
            written = m.files.get(word)
            if word == ITSELF and _replaces(node):
                unknown_command(
                    m, node, "replaces itself by a new start of itself, with arguments that may do anything"
                )
                return
            if word == ITSELF:
                told = "starts itself again, and so more and more of it"
                m.find(node, "resource/many-processes", Effect.RESOURCE, told, Severity.WARNING)
            if written is not None:
                run_text(m, node, written, f"the script {word}")
            else:
                script = word.replace(HOLE, "*") if word.strip(HOLE) else "a script of a name that is not known here"
                unknown_command(m, node, f"starts Python with {script}, whose code is not seen here")
            return
    unknown_command(m, node, "starts Python with code that is not seen here")


def _module(m: Machine, node: ast.AST, name: str, words: Sequence[str]) -> None:
    """`python -m pip install x`: what is known of the module, as a library or as a program."""
    if name.partition(".")[0] in m.catalogue.control:
        unknown_command(m, node, f"starts the module {name} of a control-system library")
    rule = m.catalogue.rule(f"{name}.__main__")
    if rule is not None and rule.effect is not None:
        m.find(node, rule.id, rule.effect, rule.about(), rule.severity, ask=rule.ask)
        m.find_also(node, rule)
    if m.catalogue.command([name, *words]) is not None or name in _INSTALLERS:
        command(m, node, [name, *words])
    _process(m, node, f"starts the module {name}")


def _wrapper(m: Machine, node: ast.AST, name: str, words: Sequence[str]) -> None:
    if name == "env" and not words:
        told = "prints all variables of the environment with the command env"
        m.find(node, "secret/environment", Effect.SECRET, told, Severity.WARNING)
    if name in _OTHER_USERS:
        told = f"takes the rights of another user with the command {name}"
        m.find(node, "process/privilege", Effect.PROCESS, told, Severity.WARNING)
    if name == "ssh" or (name in _FETCHERS and not _FETCHES.isdisjoint(words)):
        m.find(node, "network/command", Effect.NETWORK, f"reaches the network with the command {name}")
    if name in ("docker", "podman") and any(map(_is_whole_computer, words)):
        told = f"starts a container that may change the whole computer, with the command {name}"
        m.find(node, "process/container", Effect.PROCESS, told, Severity.WARNING)
    for place, word in enumerate(words):
        if (":" in word and " " not in word) or (name in _FETCHERS and word in _FETCHES):
            continue  # `-v /:/host` and `conda install` are no commands of their own
        base = word.rpartition("/")[2]
        if base in m.catalogue.programs or base in _SHELLS or _PYTHONS.fullmatch(base):
            command(m, node, words[place:])
            return
        if " " in word and any(program in word for program in m.catalogue.programs):
            shell(m, node, word)
            return
    if any(HOLE in word for word in words) or name in ("ssh", "eval", "parallel", "srun"):
        unknown_command(m, node, f"starts {name} with a command that is not wholly known")
    else:
        _process(m, node, f"starts the program {name}")


def _is_whole_computer(word: str) -> bool:
    return _WHOLE_COMPUTER.fullmatch(word) is not None and (
        "mount=" not in word or _ROOT_MOUNT.search(word) is not None
    )


def shell(m: Machine, node: ast.AST, text: str) -> None:
    """Note what a line of shell does."""
    if not text.strip():
        return
    if not text.replace(HOLE, "").strip():
        unknown_command(m, node, "runs a command that is only known when the program runs")
        return
    if _FORK_BOMB.search(text) or _ENDLESS.search(text):
        told = "runs a line of shell that has no end"
        m.find(node, "resource/endless-loop", Effect.RESOURCE, told, Severity.WARNING)
    if "/dev/tcp/" in text or "/dev/udp/" in text:
        m.find(node, "network/command", Effect.NETWORK, "reaches the network with a device of the shell")
    for name in _INTO_FILE.findall(text):
        if not name.startswith("/dev/"):
            file_write(m, node, f"writes {told_place(name)}")
    for part in _commands_of(text):
        try:
            words = shlex.split(part, comments=True)
        except ValueError:
            words = part.split()
        command(m, node, [word for word in words if word not in ("then", "do", "done", "if", "while", "!", "{", "}")])


def _commands_of(text: str) -> list[str]:
    """Return the commands of a line of shell; what stands in quotes ends none."""
    if "<<" in text:  # the text after it is no shell, so its quotes say nothing
        return _SPLIT.split(text)
    parts: list[str] = []
    more: list[str] = []
    start = 0
    for found in _QUOTED.finditer(text):
        if found[1]:
            parts.append(text[start : found.start()])
            start = found.end()
        elif found[0][0] == '"':
            more.extend(one or other for one, other in _INSIDE.findall(found[0]))
    return [*parts, text[start:], *more]
