"""Files by their names: which hold secrets, which are run by others later, which lie outside the working folder."""

from __future__ import annotations

import re

from osprey_executor.analysis.values import HOLE, UNKNOWN, Ref, Value, is_text, joined, spelling
from osprey_executor.models import Severity
from osprey_executor.text import one_line

SENSITIVE = re.compile(
    r"/etc/(shadow|gshadow|passwd|sudoers|ssh/(?!sshd?_config|moduli)|ssl/private|krb5|group\b|crontab|cron\.)|/proc/(self|\d+|\*|\udfff|\{[^}]*\}|%[sd])/(environ|mem|maps)"
    r"|/var/(log/auth|spool/cron|lib/(docker|postgresql|mysql))|/root\b|/dev/(k?mem|sd[a-z]|nvme|port\b)|/boot/"
    r"|\.(ssh|gnupg|aws|azure|kube|docker|netrc|pgpass|npmrc|pypirc|git-credentials|bash_history|zsh_history|env)(?![\w.])"
    r"|\.config/gcloud|\bid_(rsa|dsa|ecdsa|ed25519)\b|authorized_keys|known_hosts|\bkeytab\b|\.(pem|p12|pfx|keytab|kdbx)(?!\w)"
    r"|(credentials?|secrets?|passwords?|passwd|api_?keys?|tokens?|private_?key)(\.[a-z]{2,5}\b|$|[\"'])|login\.keychain"
    r"|169\.254\.169\.254|metadata\.google\.internal|\.(gitconfig|boto|s3cfg|vault-token|htpasswd|python_history)(?!\w)"
    r"|(Login Data|cookies\.sqlite|logins\.json|key[34]\.db|Cookies)",
    re.IGNORECASE | re.MULTILINE,
)
"""What stands in the names of files of keys, passwords, accounts, and of the raw memory and disks of a computer."""
_LONG = 4000
_SPACED = re.compile(r"[/\\]Login Data")
_A_FILE = re.compile(
    r"(?i)^(id_(rsa|dsa|ecdsa|ed25519)|authorized_keys|known_hosts|cookies)$"
    r"|\.(?!(credentials?|secrets?|tokens?|passwd|cookies|keytab)\b)[a-z][a-z0-9]{1,5}\W*$|\w\.keytab\b|keychain|\.254\b"
)
"""What makes a word without a slash the name of a file."""
_TELLS_SECRETS = re.compile(r"(?i)^file:|169\.254\.169\.254|metadata\.google\.internal")
_HINTS = (
    *(
        "_history",
        "gcloud",
        "known_hosts",
        "credential",
        "secret",
        "passw",
        "token",
        "private",
        "login data",
        "cookies",
    ),
    *("logins.json", "169.254.169", "metadata.google", "gitconfig", ".boto", "s3cfg", "vault-"),
)
_STEMS = {
    "key": ("authorized_keys", "keytab", "api_key", "apikey", "keychain", "key3.db", "key4.db"),
    "id_": ("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"),
}
"""More of them, by what they have in common."""
_MARKED_HINTS = re.compile(
    r"[/.](?:etc|proc|var/|root|dev/|boot|ssh|gnupg|aws|azure|kube|docker|netrc|pgpass|npmrc|pypirc|env|pem|p12|pfx|kdbx)"
)
"""The rest of the hints: one search for them takes half of the time of one for each."""
_OUTSIDE = re.compile(r"(/(?!tmp/|dev/null|dev/shm)|~|[A-Za-z]:[\\/]|\\\\|(\./)?\.\./)")

_STARTS_UP = re.compile(
    r"(^|[/~\udfff*])\.(bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|zshenv|zprofile|cshrc|tcshrc|login|xinitrc"
    r"|xsession|xprofile)$|/etc/(cron|crontab|init\.d|profile|rc\.local|systemd/|ld\.so\.preload|bash\.bashrc)|spool/cron"
    r"|systemd/(user|system)/|\bautostart/|Launch(Agents|Daemons)/|config/fish/|(site|user)customize\.py$"
    r"|(site|dist)-packages/[^/]*\.pth$|(^|/)\.ssh/(rc|environment)$"
)
"""What stands in the names of files that a computer runs by itself: at a login, at its start, or by the clock."""
_A_START_UP_FILE = "a start-up file"
_LETS_IN = "which lets someone log in"
_REMOTE = re.compile(r"(?i)(https?|ftps?|sftp|s3|gs|gcs|az|abfss?|wss?|rtsp|hdfs|webhdfs|smb|opendap|tcp)://")
_MOST_NAMES = 3
"""Of the files that one call changes: as many are told by name."""
_SINKS = tuple(f"/dev/{name}" for name in ("null", "shm", "std", "fd", "full", "zero"))


def may_name_secrets(source: str) -> bool:
    """Return whether a source may name a file of secrets: a quick look that spares most programs a slow one."""
    lower = source.lower()
    if any(stem in lower and any(hint in lower for hint in hints) for stem, hints in _STEMS.items()):
        return True
    return any(hint in lower for hint in _HINTS) or _MARKED_HINTS.search(lower) is not None


def is_sensitive(name: str) -> bool:
    """Return whether a file of this name is likely to hold what should not be told."""
    if len(name) >= _LONG or SENSITIVE.search(name) is None:
        return False
    if _SPACED.search(name):
        return True
    return any(SENSITIVE.search(word) and _is_place(word) for word in name.split())


def _is_place(word: str) -> bool:
    """Return whether a word is spelled as the name of a file: `token` is none, `~/token` and `token.json` are."""
    if "://" in word:
        return _TELLS_SECRETS.search(word) is not None
    return "/" in word or "\\" in word or word[0] in ".~" or _A_FILE.search(word) is not None


def is_outside(name: str) -> bool:
    """Return whether a name leads out of the working folder."""
    return _OUTSIDE.match(name) is not None


def is_device(name: str) -> bool:
    """Return whether a name is that of a device, a serial line for instance, and no mere sink."""
    return name.startswith("/dev/") and not name.startswith(_SINKS)


def is_remote(name: str) -> bool:
    """Return whether a name leads to another computer."""
    return _REMOTE.match(name) is not None


def starts_up(name: str) -> bool:
    """Return whether a file of this name is run later, by the computer and not by the program."""
    return _STARTS_UP.search(name[:4000]) is not None


def severity_of(message: str) -> Severity:
    """Return how much a message about a changed file matters: what is run later does what the program did not show."""
    return Severity.WARNING if message.endswith((_A_START_UP_FILE, _LETS_IN)) else Severity.INFO


_HELD = (
    (re.compile(r"/proc/[^/]*/maps\b"), "the layout of the memory of a process is"),
    (re.compile(r"/(proc/[^/]*/mem|dev/(k?mem|port))\b"), "the raw memory of a process or computer is"),
    (re.compile(r"/dev/(sd[a-z]|nvme)|/boot/"), "the disks or the start of the computer are"),
    (re.compile(r"/etc/(passwd|group|sudoers)|/var/log/auth"), "accounts of the computer are"),
)
"""What is where such names lead to."""


def what_lies_at(name: str) -> str:
    """Return what lies at a sensitive place: memory, disks, accounts, or keys and passwords."""
    return next((held for pattern, held in _HELD if pattern.search(name)), "keys, passwords or other secrets may lie")


def told(name: str) -> str:
    """Return the name of a file that is changed, and what a person should know of its place."""
    shown = one_line(name.replace(HOLE, "*"), 80)
    if starts_up(name):
        return f"{shown}, {_A_START_UP_FILE}"
    if name.endswith("authorized_keys"):
        return f"{shown}, {_LETS_IN}"
    return f"{shown}, outside the working folder" if is_outside(name) else shown


def path_of(value: Value) -> Value:
    """Return the names of files that a value may be, those of `Path` objects too."""
    found: list[Value] = []
    for atom in value:
        if isinstance(atom, Ref) and atom.path.startswith("pathlib."):
            found.append(atom.channels or UNKNOWN)
        else:
            found.append((atom,) if is_text(atom) else UNKNOWN)
    return joined(found) if found else UNKNOWN


def told_of(value: Value, *, one: bool = False) -> str:
    """Return what `told` says of the files that a value may be, of the worst at last; empty: nothing is known.

    `one`: it is one of them, nobody knows which; else it is all of them, by turns.
    """
    texts = (spelling(atom) if is_text(atom) else "" for atom in path_of(value))
    names = sorted({name: None for name in texts if name.replace(HOLE, "")}, key=_harm)
    if not names:
        return ""
    others = [one_line(name.replace(HOLE, "*"), 80) for name in names[:-1]]
    if len(others) > _MOST_NAMES:
        others[_MOST_NAMES - 1 :] = [f"{len(others) - _MOST_NAMES + 1} others"]
    return f"{', '.join(others)} {'or' if one else 'and'} {told(names[-1])}" if others else told(names[-1])


def _harm(name: str) -> int:
    """Return how much it matters that a file is changed."""
    return 2 * (starts_up(name) or name.endswith("authorized_keys")) + is_outside(name)
