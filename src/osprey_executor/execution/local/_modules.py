"""Which modules an interpreter finds besides its standard library: read from its folders, nothing is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from osprey_executor.execution.local._interpreter import Interpreter

_MOST_ENTRIES = 20_000


def modules_of(interpreter: Interpreter) -> frozenset[str] | None:
    """Return the names of top-level modules; None where they cannot be told."""
    first, *others = interpreter.prefixes
    prefixes = [first, *others] if not (first / "pyvenv.cfg").is_file() or _sees_system(first) else [first]
    folders = [folder for prefix in prefixes for folder in _folders(prefix)]
    try:
        found = {name for folder in folders for name in _names(folder)}
    except OSError:
        return None
    return frozenset(found) if folders else None


def _folders(prefix: Path) -> Iterator[Path]:
    for pattern in ("lib*/python3*/site-packages", "lib*/python3*/dist-packages", "local/lib/python3*/dist-packages"):
        yield from prefix.glob(pattern)


def _sees_system(prefix: Path) -> bool:
    try:
        text = (prefix / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(
        key.strip() == "include-system-site-packages" and value.strip().lower() == "true"
        for key, _, value in (line.partition("=") for line in text.splitlines())
    )


def _names(folder: Path, depth: int = 0) -> Iterator[str]:
    for count, entry in enumerate(folder.iterdir()):
        if count >= _MOST_ENTRIES:
            raise OSError(f"{folder} holds too much")
        stem, dot, kind = entry.name.partition(".")
        if not dot or kind == "py" or kind.endswith(("so", "pyd")):
            yield stem
        elif entry.name.endswith((".dist-info", ".egg-info")):
            # What an editable install imports from elsewhere is known by the name of its distribution only.
            yield entry.name.partition("-")[0].lower()
            yield from _told(entry / "top_level.txt")
        elif entry.suffix == ".pth" and not depth:
            for line in _told(entry):
                if Path(line).is_dir():
                    yield from _names(Path(line), depth + 1)


def _told(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line.strip() for line in lines if line.strip() and not line.startswith(("#", "import"))]
