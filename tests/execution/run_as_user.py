"""Runs a script as an ordinary user who can reach this interpreter and this package, or as root where others can.

As root, both may lie below a folder that no other user can enter. So in a mount namespace of its own, which nobody else
sees, such folders and /tmp are covered, what is needed is bound at its own path again, and then all power is given up,
unless the environment says STAY_ROOT.
"""

import os
import sys
from pathlib import Path

_USER = 54321
_EVERYBODY_ENTERS = 0o001


def main() -> None:
    script, source = Path(sys.argv[1]), Path(sys.argv[2])
    if os.geteuid() != 0:
        os.environ["PYTHONPATH"] = str(source)
        os.execv(sys.executable, [sys.executable, *sys.argv[1:2], *sys.argv[3:]])
    sys.path.insert(0, str(source))
    from osprey_executor.execution.local.jail import kernel

    code = script.read_text(encoding="utf-8")
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("", "/", kernel.MS_REC | kernel.MS_PRIVATE)
    needed = {Path(path).resolve() for path in (sys.base_prefix, sys.prefix, source)}
    covered = {Path("/tmp"), *(Path(*path.parts[:2]) for path in needed if not _reachable(path))}
    trees = {
        path: kernel.clone_tree(str(path), 0)
        for path in sorted(needed)
        if Path(*path.parts[:2]) in covered and not needed.intersection(path.parents)
    }
    for folder in covered:
        kernel.mount("tmpfs", str(folder), 0, "mode=1777")
    for path, tree in trees.items():
        path.mkdir(parents=True)
        kernel.attach_tree(tree, str(path))
    place = Path("/tmp/script.py")
    place.write_text(code, encoding="utf-8")
    if os.environ.get("STAY_ROOT") is None:
        os.setgroups([])
        os.setresgid(_USER, _USER, _USER)
        os.setresuid(_USER, _USER, _USER)
    os.chdir("/tmp")
    environment = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/tmp",
        "PYTHONPATH": str(source),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OSPREY_EXECUTOR_HOME": "/tmp/home",
    }
    os.execve(sys.executable, [sys.executable, str(place), *sys.argv[3:]], environment)


def _reachable(path: Path) -> bool:
    return all(folder.stat().st_mode & _EVERYBODY_ENTERS for folder in (path, *path.parents))


main()
