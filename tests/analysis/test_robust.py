"""Whatever the source, the analysis ends, never raises, never runs any of it, and asks where it cannot follow."""

import ast
import gc
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osprey_executor.analysis import Gates, _analyze, analyze
from osprey_executor.analysis.catalogue import builtin_catalogue
from osprey_executor.models import AnalysisReport, Severity, Verdict

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize(
    "source", ["x = (", "def f(:\n  pass", "x = 1\n  y = 2", b"x = '\xff'", "x = 1\0", b"# coding: nonsense\n"]
)
def test_what_python_cannot_read_is_a_syntax_error(source: str | bytes):
    report = analyze(source)
    (finding,) = [one for one in report.findings if one.rule == "syntax/error"]
    assert (report.verdict, report.reason, finding.severity) == (
        Verdict.ALLOW,
        "does not parse, so it cannot run",
        Severity.ERROR,
    )
    assert finding.effect is None


def test_the_line_of_a_syntax_error():
    (finding,) = analyze("a = 1\nb = = 2\n").findings
    assert finding.line == 2


def test_bytes_are_decoded_as_python_does():
    assert analyze("# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1")).verdict is Verdict.ALLOW
    assert analyze(b"\xef\xbb\xbfimport epics\nepics.caput('A', 1)").writes[0].channel == "A"


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "-" * 200_000 + "1",
        "x = " + "not " * 50_000 + "1",
        "x = " + "[" * 5000 + "]" * 5000,
        "x = a" + ".b" * 20_000,
        "x = a" + "()" * 20_000,
        "if a: pass\n" + "elif a: pass\n" * 3000,
        "x = " + "a if b else " * 3000 + "c",
        "".join(" " * n + "if a:\n" for n in range(90)) + " " * 90 + "pass\n",
        "x = " + " + ".join(["'a'"] * 20_000),
        "".join(f"def f{n}(x): return f{n + 1}(x + 'a')\n" for n in range(2000)) + "f0('')",
        "x = 'a' * 10**9\ny = '%1000000000d' % 3\nz = f'{1:1000000000}'\nw = 'a'.zfill(10**9)\n",
        "x = 10 ** 10 ** 10\ny = 1 << 10**9\n",
        "import zlib\nzlib.decompress(b'x\\x9c')",
        "x = [" + "1, " * 300_000 + "]",
        "def f(x):\n    return f([x]) or f({x: f})\nf(f)\n",
        "x = []\nfor i in range(9):\n    x.append(x)\nfor a in x:\n    for b in a:\n        for c in b: c.put(a)\n",
        "class A(A): pass\nA()()()()\n",
        "exec(" * 60 + "'1'" + ")" * 60,
        "s = 's = %r; exec(s %% s)'\nexec(s % s)\n",
        "x = 0x" + "f" * 20_000 + "\ny = f'{x}' + '%d' % x\n",
        "for n in range(10**30):\n    print(n)\nx = list(range(-(10**40), 10**40, 7))\ny = range(0, 10, 0)\n",
        "x = [1][::0]\ny = 'abc'[::0]\nz = [1, 2][0:9:0]\n",
        "import functools\nf = print\n" + "f = functools.partial(f, f, f)\n" * 300 + "f()",
        "import epics\nx = 1\n" + "x = epics.PV(x) if a else epics.Motor(x)\n" * 300 + "x.put(1)",
        "class A0: pass\nclass A1: pass\n"
        + "".join(f"class A{n}(A{n - 1}, A{n - 2}): pass\n" for n in range(2, 80))
        + "A79().b()\nA79(1).c = A79.d",
        "x = '" + "a" * 190_000 + "'\n" + "y = x[::-1].replace('a', 'b').split('b')\n" * 3000,
        "s = '" + "x = 1\\n" * 20_000 + "'\n" + "exec(s)\n" * 300,
        "import epics; " + "x = 'é'; epics.caput('A', 1); " * 4000,
    ],
    ids=range(28),
)
def test_hostile_sources_end(source: str):
    report = analyze(source, gates=Gates(expected=("a",)))
    assert report.verdict in (Verdict.ALLOW, Verdict.ASK)
    check(report)


@pytest.mark.parametrize("source", ["x = " + "-" * 200_000 + "1", "x = 1\n" * 1_000_000])
def test_over_a_bound_asks(source: str):
    report = analyze(source)
    assert report.verdict is Verdict.ASK
    assert report.findings[-1].rule == "analysis/limit"
    assert not report.writes[0].known


def test_a_line_ends_where_python_ends_it():
    report = analyze("import epics\r# é\r\nx = 'é'; epics.caput('A', 2.5)\n")
    (finding,) = [one for one in report.findings if one.rule == "control/epics-caput"]
    assert (finding.line, finding.column, report.writes[0].value) == (3, 10, "2.5")


def test_a_crash_asks(monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("out of luck")

    monkeypatch.setattr(_analyze, "_run", broken)
    report = analyze("x = 1")
    assert (report.verdict, report.findings[0].rule) == (Verdict.ASK, "analysis/crash")
    assert "ZeroDivisionError" in report.reason


def test_nothing_runs(tmp_path, capfd):
    mark = tmp_path / "mark"
    code = (
        f"import absent_module\nopen({str(mark)!r}, 'w').write('x')\nexec('print(1)')\nprint(__import__('os').getpid())"
    )
    analyze(code)
    assert not mark.exists()
    assert capfd.readouterr() == ("", "")


def test_work_grows_with_the_source_and_no_faster():
    block = (
        "import epics\npvs = [epics.PV(f'A:{i}') for i in range(12)]\nfor pv in pvs:\n    log.append((pv.get(), 'x'))\n"
    )
    steps: list[int] = []
    for count in (100, 400):
        source = "log = []\n" + block * count
        machine = _analyze.Machine(source, builtin_catalogue(), _analyze._SEMANTICS, 10_000_000)
        _analyze._run(machine, ast.parse(source))
        steps.append(10_000_000 - machine.budget)
    assert steps[1] <= 5 * steps[0]


def test_the_clock_is_the_last_resort(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_analyze.Machine, "MOST_SECONDS", -1.0)
    report = analyze("x = []\n" + "x = x + [y]\n" * 5000)
    assert (report.verdict, report.findings[-1].rule) == (Verdict.ASK, "analysis/limit")


def test_memory_stays_small():
    source = "names = [f'A:{i}:{j}' for i in range(60) for j in range(60)]\n" * 200
    tracemalloc.start()
    try:
        analyze(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * 2**20


def test_nothing_is_left_for_the_garbage_collector():
    # Rings would keep the tree of each program until the collector runs, which then takes as long as the analysis.
    codes = [row["code"] for row in map(json.loads, (DATA / "programs.jsonl").read_text("utf-8").splitlines())][::4]
    analyze("x = 1", gates=Gates())
    gc.collect()
    gc.disable()
    try:
        for code in codes:
            analyze(code, gates=Gates())
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("code", "channel"),
    [
        (r"import epics; epics.caput('\udc80', 1)", None),
        (r"import epics; epics.caput('\udfff', 1)", None),
        (r"open('\udc80', 'w'); import epics; epics.caput('A', 1)", "A"),
        ("import subprocess, sys, epics; subprocess.run([sys.executable, '-m', x]); epics.caput(f'A:{x}', 1)", "A:*"),
    ],
)
def test_half_a_character_in_a_text_leaves_a_report_that_can_be_kept(code: str, channel: str | None):
    report = analyze(code)
    assert AnalysisReport.model_validate_json(report.model_dump_json()) == report
    assert report.verdict is Verdict.ASK
    assert [one.channel for one in report.writes] == [channel]


def check(report: AnalysisReport) -> None:
    assert report.model_dump_json()
    assert report.reason
    assert not [one for one in report.findings if one.rule == "analysis/crash"], report.reason


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.text(max_size=300), st.binary(max_size=300)))
def test_any_text_or_bytes(source: str | bytes):
    check(analyze(source, gates=Gates()))


_WORDS = st.sampled_from(
    [
        *("epics", "caput", "caget", "PV", "put", "get", "value", "x", "y", "z", "exec", "eval", "getattr", "None"),
        *("=", "(", ")", "[", "]", "{", "}", ".", ",", ":", "'A'", '"B"', "+", "%", "f'{x}'", "1", "0", "**", "*", "@"),
        *("def", "f", "class", "lambda", "for", "in", "if", "else", "import", "from", "as", "\n", "\n ", "\n\t"),
        *("with", "try", "except", "return", "yield", "await", "async", ":=", "not", "and"),
    ]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_WORDS, max_size=40))
def test_any_words_of_python(words: list[str]):
    check(analyze("import epics\n" + " ".join(words), gates=Gates()))


_NAMES = st.sampled_from(["epics", "pv", "x", "y", "f", "print", "names", "exec", "dict"])
_EXPRESSIONS = st.recursive(
    st.one_of(_NAMES, st.sampled_from(["'A:SP'", "1", "None", "epics.caput", "epics.PV('B')", "[]", "{}"])),
    lambda inner: st.one_of(
        st.builds("{}({})".format, inner, inner),
        st.builds(
            "{}.{}".format, _NAMES, st.sampled_from(["put", "get", "value", "items()", "append(x)", "join(names)"])
        ),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("({} + {})".format, inner, inner),
        st.builds("({} % {})".format, inner, inner),
        st.builds("[{} for x in {}]".format, inner, inner),
        st.builds("{{{}: {}}}".format, inner, inner),
        st.builds("(lambda x: {})".format, inner),
        st.builds("getattr({}, {})".format, inner, inner),
        st.builds("(x := {})".format, inner),
        st.builds("f'{{{}}}:SP'".format, _NAMES),
    ),
    max_leaves=12,
)
_STATEMENTS = st.one_of(
    st.builds("{} = {}".format, _NAMES, _EXPRESSIONS),
    st.builds("pv.value = {}".format, _EXPRESSIONS),
    st.builds("x, y = {}".format, _EXPRESSIONS),
    st.builds("for x in {}:\n    y = {}".format, _EXPRESSIONS, _EXPRESSIONS),
    st.builds("while {}:\n    x += {}".format, _EXPRESSIONS, _EXPRESSIONS),
    st.builds("def f(x, *y, z={}):\n    global pv\n    pv = x\n    return {}".format, _EXPRESSIONS, _EXPRESSIONS),
    st.builds("class f({}):\n    y = {}".format, _NAMES, _EXPRESSIONS),
    st.builds("with {} as x:\n    x({})".format, _EXPRESSIONS, _EXPRESSIONS),
    st.builds("try:\n    {}\nexcept x as y:\n    pass".format, _EXPRESSIONS),
    st.builds("match {}:\n    case [x, *y]:\n        x({})".format, _EXPRESSIONS, _EXPRESSIONS),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_STATEMENTS, min_size=1, max_size=8))
def test_any_program_of_a_grammar_is_followed_to_its_end(statements: list[str]):
    check(analyze("import epics\n" + "\n".join(statements) + "\n", gates=Gates()))


@pytest.mark.parametrize(
    "code",
    [
        "exec(\"import epics;epics.caput('X', 1)\".encode('utf-8-sig'))",
        "exec(b\"\\xef\\xbb\\xbfimport epics;epics.caput('X', 1)\")",
        "exec(b\"# coding: utf-7\\nimport epics\\nepics.caput+ACg'X', 1)\")",
        "exec(b\"# coding: latin-1\\nimport epics\\nepics.caput('X', 1)\")",
    ],
)
def test_bytes_are_code_as_python_reads_them(code: str) -> None:
    assert [target.channel for target in analyze(code).writes] == ["X"]


def test_bytes_that_nobody_can_read_are_unknown_code() -> None:
    report = analyze('exec(b"# coding: nosuch\\nx = 1")')
    assert report.verdict is Verdict.ASK
    assert [finding.rule for finding in report.findings] == ["dynamic/unknown-code"]


@pytest.mark.parametrize("codec", ["rot13", "zlib", "bz2", "quopri"])
def test_a_codec_that_is_none_of_text_never_raises(codec: str) -> None:
    for source in (f"# coding: {codec}\nx = 1\n", f"# coding: {codec}\nx = 1\n".encode()):
        report = analyze(source)
        assert report.verdict is Verdict.ASK or report.findings[0].rule == "syntax/error"
