"""The worker runs a program byte for byte, as Python runs a script."""

from __future__ import annotations

import pytest


async def test_results_come_back(run):
    ran = await run("results = {'answer': 42, 'parts': (1, 2.5, None), 'odd': float('nan')}\nprint('hello')\n")
    assert (ran.code, ran.report.finished, ran.report.error, ran.report.violation) == (0, True, None, None)
    assert ran.report.started
    assert ran.report.has_results
    assert ran.report.results["answer"] == 42
    assert ran.report.results["parts"] == (1, 2.5, None)
    assert ran.stdout == "hello\n"


async def test_no_results_is_told_apart_from_empty_results(run):
    assert not (await run("x = 1\n")).report.has_results
    assert (await run("results = {}\n")).report.has_results


async def test_results_that_are_not_a_dict_fail(run):
    ran = await run("results = [1, 2]\n")
    assert ran.code == 1
    assert ran.report.error.type == "ResultsError"
    assert "list" in ran.report.error.message


@pytest.mark.parametrize(
    "code",
    [
        "from __future__ import annotations\nresults = {'ok': True}\n",
        "text = '''a\n  b\n\tc'''\nresults = {'ok': text == 'a\\n  b\\n\\tc'}\n",
        "if __name__ == '__main__':\n    results = {'ok': True}\n",
        "results = {'ok': True}\nimport sys\nsys.exit(0)\n",
        "results = {'ok': True}\nexit()\n",
        "results = {'ok': True}\nraise SystemExit\n",
        "import json, os, sys, socket, struct, threading\nfrom pathlib import Path\n"
        "json = Path = print = open = os = dict = str = None\nimport builtins\nresults = {'ok': True}\n",
        "import builtins\nresults = {'ok': True}\nbuiltins.open = builtins.print = builtins.repr = None\n",
        "import sys\nresults = {'ok': sys.modules['__main__'].__dict__ is globals() and sys.argv == [__file__]}\n",
        "# -*- coding: latin-1 -*-\nresults = {'ok': '\xe4' == chr(228)}\n".encode("latin-1"),
        "\ufeffresults = {'ok': '\u00e4\U0001f600' == chr(228) + chr(0x1f600)}\n",
        "import pickle\nclass A: pass\nresults = {'ok': isinstance(pickle.loads(pickle.dumps(A())), A)}\n",
        "import dataclasses, typing\n@dataclasses.dataclass\nclass A:\n    x: int = 1\n"
        "results = {'ok': typing.get_type_hints(A) == {'x': int}}\n",
        "import multiprocessing as mp\ndef f(x): return x * x\n"
        "with mp.get_context('fork').Pool(2) as pool: results = {'ok': pool.map(f, [1, 2]) == [1, 4]}\n",
        "import multiprocessing as mp\ndef f(x): return x * x\nif __name__ == '__main__':\n"
        "    with mp.get_context('spawn').Pool(1) as pool: results = {'ok': pool.map(f, [1, 2]) == [1, 4]}\n",
        "import sys\nsys.setrecursionlimit(60)\nresults = {'ok': True}\n",
        "try:\n    input()\nexcept EOFError:\n    results = {'ok': True}\n",
        "results = {'ok': True}\n" + "x = 'filler'\n" * 80_000,
        "import asyncio\nasync def f(): return True\nresults = {'ok': asyncio.run(f())}\n",
        "results = {'ok': sorted(k for k in globals() if not k.startswith('__')) == ['context']}\n",
        "import sys\nx = sys.modules.pop('__main__')\nresults = {'ok': True}\n",
        "import gc\ngc.disable()\nimport os\nresults = {'ok': 'OSPREY_RUNTIME_FD' not in os.environ}\n",
    ],
)
async def test_program_succeeds(run, code):
    ran = await run(code)
    assert ran.stderr == ""
    assert ran.report.error is None
    assert ran.report.results == {"ok": True}
    assert ran.code == 0


async def test_exit_codes(run):
    ran = await run("import sys\nsys.exit(3)\n")
    assert (ran.code, ran.report.error.type, ran.report.error.line) == (3, "SystemExit", 2)
    assert "exit code 3" in ran.report.error.message
    ran = await run("import sys\nsys.exit('no beam')\n")
    assert (ran.code, ran.report.error.message, ran.stderr) == (1, "no beam", "no beam\n")
    ran = await run("import sys\nsys.exit(256)\n")
    assert ran.code == 1, "an exit code that the system cuts to 0 must not look like success"


async def test_error_is_reported_with_its_line_and_trimmed(run):
    ran = await run("import json\n\ndef f():\n    json.loads('{')\n\nf()\n")
    error = ran.report.error
    assert (ran.code, error.type, error.line) == (1, "JSONDecodeError", 4)
    assert "json.loads('{')" in error.traceback
    assert "worker.py" not in error.traceback
    assert "decoder.py" not in error.traceback
    assert "worker.py" not in ran.stderr
    assert "decoder.py" in ran.stderr, "standard error shows what Python shows"


async def test_results_up_to_a_failure_are_kept(run):
    ran = await run("results = {'half': 1}\n1 / 0\n")
    assert ran.report.error.type == "ZeroDivisionError"
    assert ran.report.results == {"half": 1}


@pytest.mark.parametrize(
    ("code", "kind", "line"),
    [
        ("x = 1\ny = = 2\n", "SyntaxError", 2),
        (b"x = '\xff'\n", "SyntaxError", None),
        ("def f():\n  return 1\n    x\n", "IndentationError", 3),
        ("def f(): return f()\nf()\n", "RecursionError", 1),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt", 1),
        ("class E(Exception):\n    def __str__(self): raise self\nraise E\n", "E", 3),
        (
            "class E(Exception):\n    __class__ = property(lambda s: 1 / 0)\n    def __repr__(self): 1 / 0\nraise E\n",
            "E",
            4,
        ),
        ("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('outer') from e\n", "ValueError", 4),
        ("x = '\\ud800'\nraise ValueError(x)\n", "ValueError", 2),
        ("import sys\nsys.excepthook = lambda *a: 1 / 0\nraise ValueError('x')\n", "ValueError", 3),
        ("import sys\nsys.stderr = sys.stdout = None\nraise ValueError('x')\n", "ValueError", 3),
        ("x = 1\x00\n", "SyntaxError", None),
        ("(" * 10_000, "SyntaxError", None),
    ],
)
async def test_failures_have_their_type(run, code, kind, line):
    ran = await run(code)
    assert ran.report.finished
    assert (
        ran.report.error.type in (kind, "MemoryError", "ValueError") if line is None else ran.report.error.type == kind
    )
    assert line is None or ran.report.error.line == line
    assert ran.code == 1


async def test_threads_and_atexit_end_before_the_program_does(run):
    ran = await run(
        "import atexit, threading, time, sys\n"
        "results = {}\n"
        "def slow():\n    time.sleep(0.3)\n    results['late'] = 1\n    sys.exit(5)\n"
        "threading.Thread(target=slow).start()\n"
        "atexit.register(lambda: print('bye', end=''))\n"
    )
    assert ran.report.results == {"late": 1}
    assert ran.stdout == "bye"
    assert ran.code == 0


async def test_a_thread_pool_that_nobody_shut_down(run):
    ran = await run(
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(2)\n"
        "results = {'x': pool.submit(lambda: 7).result()}\n"
    )
    assert (ran.code, ran.report.results) == (0, {"x": 7})


async def test_a_forked_child_that_falls_off_the_end_says_nothing(run):
    ran = await run(
        "import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\nresults = {'parent': bool(pid)}\nprint(results)\n"
    )
    assert ran.report.results == {"parent": True}
    assert ran.report.violation is None
    assert "False" in ran.stdout


async def test_context_by_attribute_and_by_item(run):
    ran = await run(
        "from osprey_executor.runtime import context as same\n"
        "import osprey.runtime, osprey_executor.runtime as there\n"
        "results = {'a': context.beam.energy, 'b': context['beam']['names'][0].x, 'c': 'beam' in context,\n"
        "  'd': list(context.keys()), 'e': type(context.to_dict()['beam']).__name__, 'f': same is context,\n"
        "  'g': osprey.runtime is there, 'h': context.beam['keys'], 'i': [k for k in context], 'j': context.z}\n"
        "try:\n    context.nothing\nexcept AttributeError as e:\n    results['k'] = str(e)\n",
        context={"beam": {"energy": 1.9, "names": [{"x": 1}], "keys": 5}, "z": (1, {"y": 2})},
    )
    assert ran.report.error is None
    expected = [1.9, 1, True, ["beam", "z"], "dict", True, True, 5, ["beam", "z"], (1, {"y": 2})]
    assert list(ran.report.results.values())[:10] == expected
    assert "'nothing'" in ran.report.results["k"]
    assert "beam, z" in ran.report.results["k"]


async def test_osprey_runtime_is_found_beside_an_installed_osprey(run, tmp_path):
    package = tmp_path / "lib" / "osprey"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("installed = True\n")
    (package / "other.py").write_text("value = 7\n")
    ran = await run(
        "import osprey, osprey.other\nfrom osprey.runtime import read_channel\nimport osprey_executor.runtime as ours\n"
        "results = {'installed': osprey.installed, 'other': osprey.other.value,\n"
        "  'same': osprey.runtime is ours, 'name': ours.__spec__.name}\n"
    )
    assert ran.report.error is None
    assert ran.report.results == {"installed": True, "other": 7, "same": True, "name": "osprey_executor.runtime"}


async def test_modules_that_the_program_writes_can_be_imported(run):
    ran = await run("open('helper.py', 'w').write('x = 5')\nimport helper\nresults = {'x': helper.x}\n")
    assert ran.report.results == {"x": 5}


async def test_output_arrives_though_the_program_is_killed(run):
    ran = await run("import os\nprint('partial')\nos.kill(os.getpid(), 9)\n")
    assert ran.stdout == "partial\n"


async def test_output_of_c_libraries_is_flushed(run):
    ran = await run("import ctypes\nctypes.CDLL(None).printf(b'from C')\n")
    assert ran.stdout == "from C"


async def test_text_that_cannot_be_written_is_escaped(run):
    ran = await run("print('\\ud800 \u00e4')\n", env={"LANG": "C", "LC_ALL": "C"})
    assert (ran.code, ran.stdout) == (0, "\\ud800 \u00e4\n")


async def test_a_context_that_this_python_cannot_hold_is_told(run, tmp_path):
    """The guest's Python need not have pandas, though the service has."""
    import pandas as pd

    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "pandas.py").write_text("raise ImportError\n")
    ran = await run("results = {}\n", context={"table": pd.DataFrame({"a": [1]})})
    assert ran.code == 1
    assert "needs pandas" in ran.report.error.message


async def test_tracebacks_are_of_the_program_alone(run):
    code = (
        "from osprey_executor.runtime import read_channel, ControlSystemError\n"
        "import json\n"
        "def look():\n"
        "    try:\n"
        "        read_channel(' ')\n"
        "    except Exception:\n"
        "        json.loads('{')\n"
        "look()\n"
    )
    ran = await run(code)
    assert ran.code == 1
    for text in (ran.stderr, ran.report.error.traceback):
        assert "read_channel(' ')" in text
        assert "json.loads('{')" in text
        assert "runtime.py" not in text
        assert "channel.py" not in text
    # What else is on the way is the program's own affair.
    assert "json/decoder.py" in ran.stderr
