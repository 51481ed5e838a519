"""Runs a script as an ordinary user who can reach this interpreter and this package, or as root where others can.

As root, the interpreter may lie below a folder that no other user can enter. So in a mount namespace of its own, which
nobody else sees, what is needed is bound to a place that everybody can reach, and then all power is given up, unless
the environment says STAY_ROOT.
"""

import os
import sys
import sysconfig
from pathlib import Path

_USER = 54321


def main() -> None:
    script, source = Path(sys.argv[1]), Path(sys.argv[2])
    if os.geteuid() != 0:
        os.environ["PYTHONPATH"] = str(source)
        os.execv(sys.executable, [sys.executable, *sys.argv[1:2], *sys.argv[3:]])
    sys.path.insert(0, str(source))
    from osprey_executor.execution.local.jail import kernel

    packages = Path(sysconfig.get_path("purelib"))
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("", "/", kernel.MS_REC | kernel.MS_PRIVATE)
    trees = {
        name: kernel.clone_tree(str(path), 0)
        for name, path in (("python", Path(sys.base_prefix)), ("packages", packages), ("source", source))
    }
    code = script.read_text(encoding="utf-8")
    kernel.mount("tmpfs", "/tmp", 0, "mode=1777")
    place = Path("/tmp/reachable")
    for name, tree in trees.items():
        (place / name).mkdir(parents=True)
        kernel.attach_tree(tree, str(place / name))
    (place / "script.py").write_text(code, encoding="utf-8")
    if os.environ.get("STAY_ROOT") is None:
        os.setgroups([])
        os.setresgid(_USER, _USER, _USER)
        os.setresuid(_USER, _USER, _USER)
    os.chdir("/tmp")
    executable = place / "python" / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    environment = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/tmp",
        "PYTHONPATH": f"{place / 'source'}:{place / 'packages'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OSPREY_EXECUTOR_HOME": "/tmp/home",
    }
    os.execve(executable, [str(executable), str(place / "script.py"), *sys.argv[3:]], environment)


main()
