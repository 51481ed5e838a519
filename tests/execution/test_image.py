"""A process whose memory was moved into a file goes on as before, and nobody can write to that file."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from osprey_executor.execution.local import jail

HERE = Path(jail.__file__).parent.parent
KNOWN = platform.machine() in ("x86_64", "aarch64")  # elsewhere memory stays where it is

MOVES = """
import sys; sys.path.insert(0, sys.argv[1])
import errno, fcntl, gc, json, os
from jail import image

big = [str(number) * 3 for number in range(200_000)]
table = {text: number for number, text in enumerate(big)}
file = os.memfd_create("image", os.MFD_ALLOW_SEALING)
kept = os.dup(file)
moved = image.move_memory_into_file(file)
told = {"moved": moved}
gc.collect()
told["kept"] = all(table[text] == number for number, text in enumerate(big))
big.extend(bytes(1000) for _ in range(10_000))
del table
told["in_file"] = any("memfd:image" in line for line in open("/proc/self/maps"))
try:
    told["write"] = os.pwrite(kept, b"x", 0)
except OSError as error:
    told["write"] = errno.errorcode[error.errno]
child = os.fork()
if child == 0:
    os._exit(17 if sum(map(len, big)) == sum(len(str(number)) * 3 for number in range(200_000)) + 10**7 else 18)
told["child"] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps(told))
"""


def run(code: str) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-I", "-c", code, str(HERE)], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


WITH_LIBRARIES = MOVES.replace("move_memory_into_file(file)", "move_memory_into_file(file, libraries=True)")


@pytest.mark.parametrize("moves", [MOVES, WITH_LIBRARIES], ids=["memory", "libraries"])
def test_a_process_goes_on_after_the_move(moves: str) -> None:
    expected = {"moved": KNOWN, "kept": True, "in_file": KNOWN, "write": "EPERM" if KNOWN else 1, "child": 17}
    assert run(moves) == expected


def test_what_lies_side_by_side_becomes_one_mapping() -> None:
    look = 'lines = list(open("/proc/self/maps")); told = {"all": len(lines), "libc": sum("libc." in x for x in lines)}'
    apart, joined = (run(moves.replace("print(", f"{look}\nprint(")) for moves in (MOVES, WITH_LIBRARIES))
    assert apart["libc"]
    assert (joined["libc"] == 0, int(str(joined["all"])) < int(str(apart["all"])) / 2) == (KNOWN, KNOWN)


@pytest.mark.parametrize(
    "obstacle",
    ["image._MACHINES = ()", "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))"],
)
def test_where_it_cannot_be_done_nothing_changes(obstacle: str) -> None:
    told = run(MOVES.replace("moved = image", f"{obstacle}\nmoved = image"))
    assert told == {"moved": False, "kept": True, "in_file": False, "write": 1, "child": 17}
