"""The gates: plain mistakes are found where they are, and what is right passes."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.analysis import Gates, analyze
from osprey_executor.models import FindingKind, Severity, Verdict

DONE = "results = {'a': 1}\n"


def errors(code: str, **gates: object) -> list[tuple[str, int]]:
    report = analyze(code, gates=Gates(**gates))  # type: ignore[arg-type]
    return [(one.rule, one.line) for one in report.flaws if one.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("code", "rule", "line"),
    [
        (DONE + "print(undefined)\n", "quality/name", 2),
        (DONE + "def f():\n    return x + 1\n    x = 2\n", "quality/name", 3),
        (DONE + "print('%s %s' % (1,))\n", "quality/statement", 2),
        (DONE + "return 5\n", "quality/statement", 2),
        (DONE + "while True:\n    x = 1\n", "quality/endless-loop", 2),
        (
            DONE + "import epics\npv = epics.PV('A')\nwhile True:\n    print(pv.get())\n",
            "quality/endless-loop",
            4,
        ),
        (
            "from osprey_executor.runtime import write_channel\nwrite_channel(channel='A', value=1)\n" + DONE,
            "quality/runtime-argument",
            2,
        ),
        ("from osprey.runtime import read_channel\nx = read_channel('A', 3)\n" + DONE, "quality/runtime-argument", 2),
        ("from osprey_executor import runtime\nruntime.progress()\n" + DONE, "quality/runtime-argument", 2),
    ],
)
def test_a_mistake_is_found_in_its_line(code: str, rule: str, line: int):
    assert (rule, line) in errors(code)


@pytest.mark.parametrize(
    "code",
    [
        "results = context.ORBIT.x\n",
        "from numpy import *\nresults = {'m': mean([1])}\n",
        "import time\nwhile True:\n    time.sleep(1)\n" + DONE,
        "n = 0\nwhile True:\n    n += 1\n    if n > 5:\n        break\n" + DONE,
        "import queue\nq = queue.Queue()\ndef work():\n    while True:\n        q.get()\n" + DONE,
        "def f():\n    while True:\n        return 1\n" + DONE,
        "from osprey_executor.runtime import *\nwrite_channel(name='A', value=1)\nprogress(0.5)\n" + DONE,
        "args = ('A', 1)\nfrom osprey_executor.runtime import write_channel\nwrite_channel(*args)\n" + DONE,
        "exec('y = 1')\nprint(y)\n" + DONE,
        "try:\n    unicode\nexcept NameError:\n    unicode = str\n" + DONE,
    ],
)
def test_what_is_right_passes(code: str):
    assert errors(code) == []


def test_modules_that_the_environment_lacks():
    gates = {"modules": frozenset(["numpy"]), "standard": frozenset(["os"])}
    code = "import os, numpy.linalg\nfrom osprey_executor import runtime\nimport pandas as pd\n" + DONE
    assert errors(code, **gates) == [("quality/missing-module", 3)]
    assert errors("try:\n    import cupy\nexcept ImportError:\n    cupy = None\n" + DONE, **gates) == []
    assert errors("open('own.py', 'w').write('x = 1')\nimport own\n" + DONE, **gates) == []
    assert errors("import pandas\n" + DONE) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("results = {'mean': 1, 'peak': 2}", []),
        ("results = {'mean': 1}", ["quality/missing-key"]),
        ("results = {}\nresults['mean'] = 1\nresults.update(peak=3)", []),
        ("results = dict(mean=1)", ["quality/missing-key"]),
        ("results = {k: 1 for k in names}", []),
        ("results = {**other, 'mean': 1}", []),
        ("results = compute()", []),
        ("results = {}\nfill(results)", []),
        ("x = 1", ["quality/no-results"]),
        ("def main():\n    global results\n    results = {'mean': 1, 'peak': 1}\nmain()", []),
        ("from osprey_executor.runtime import publish\npublish({'mean': 1})", []),
    ],
)
def test_results_and_their_keys(code: str, found: list[str]):
    names = "names, other = context.NAMES, context.OTHER\ncompute = fill = print\n"
    assert [rule for rule, _ in errors(names + code, expected=("mean", "peak"))] == found


def test_without_expectations_no_results_is_a_warning():
    (flaw,) = analyze("x = 1\n", gates=Gates()).flaws
    assert (flaw.rule, flaw.severity, flaw.kind) == ("quality/no-results", Severity.WARNING, FindingKind.QUALITY)


def test_flaws_do_not_change_the_verdict_and_need_gates():
    assert analyze("print(undefined)").flaws == ()
    report = analyze("print(undefined)\n" + DONE, gates=Gates())
    assert (report.verdict, len(report.flaws)) == (Verdict.ALLOW, 1)
    assert analyze("import epics\nepics.caput('A', undefined)", gates=Gates()).verdict is Verdict.ASK


def test_gates_end_where_their_own_comparisons_would_not() -> None:
    arm = " def f(): pass\n" * 7000
    report = analyze(f"if a:\n{arm}else:\n{arm}", gates=Gates())
    assert report.verdict is Verdict.ASK
    assert "more time or memory" in report.reason


GATES = {"expected": ("a",), "modules": frozenset(["numpy", "matplotlib"]), "standard": sys.stdlib_module_names}


ROWS: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "flaws.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: repr(row["code"][-40:]))
def test_honest_ways_pass_all_gates_and_what_cannot_work_is_sent_back(row: dict[str, Any]):
    report = analyze(row["code"], gates=Gates(**GATES))  # type: ignore[arg-type]
    bad = [one for one in (*report.flaws, *report.findings) if one.severity is Severity.ERROR]
    assert (not bad) is row["right"], bad


def test_a_misspelt_name_of_the_runtime_is_told_with_the_right_one():
    (flaw,) = analyze("from osprey.runtime import write_chanel\nresults = {}", gates=Gates()).flaws
    assert (flaw.rule, flaw.line) == ("quality/runtime-name", 1)
    assert "it has write_channel" in flaw.message


def test_nothing_is_executed_to_see_that_python_would_not_compile_it(tmp_path: Path):
    code = f"open({str(tmp_path / 'made')!r}, 'w')\nnonlocal x\n"
    assert ("quality/statement", 2) in errors(code)
    assert not (tmp_path / "made").exists()


def test_what_does_not_parse_says_by_which_python():
    (finding,) = analyze("x = (\n").findings
    assert f"Python {sys.version_info[0]}.{sys.version_info[1]}" in finding.message


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    nonlocal x\n",
        "def f(x):\n    global x\n",
        "*x = [1]\n",
        "x = *[1]\n",
        "print(a=1, a=2)\n",
        "class A(x=1, x=2):\n    pass\n",
        "x = [(yield) for _ in ()]\n",
        "x = [y := 1 for y in ()]\n",
        "def f():\n    await print()\n",
        "async def f():\n    yield 1\n    return 2\n",
        "__debug__ = 1\n",
        "def f():\n    from os import *\n",
        "match 1:\n    case y:\n        pass\n    case 1:\n        pass\n",
        "try:\n    pass\nexcept:\n    pass\nexcept ValueError:\n    pass\n",
        "def f(a, a):\n    pass\n",
        "for x in ():\n    pass\nelse:\n    break\n",
        "class A:\n    return 1\n",
        "from __future__ import braces\n",
        "".join(f"{'  ' * n}for x{n} in ():\n" for n in range(21)) + "  " * 21 + "pass\n",
        "with " + ", ".join(["open('x')"] * 21) + ":\n    pass\n",
    ],
)
def test_whatever_python_would_not_compile_is_found(code: str):
    """To compile costs as much as to parse, and is left out where nothing stands that only the compiler knows."""
    with pytest.raises(SyntaxError):
        compile(code, "<program>", "exec")
    assert [rule for rule, _ in errors(DONE + code) if rule in ("quality/statement", "syntax/error")]
