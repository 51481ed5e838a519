"""What would hold the interpreter for long is analysed in another process, with the same result."""

import ast
import re
from pathlib import Path

import pytest

from osprey_executor.analysis import Gates, Site, _analyze, analyze, apart, site_of
from osprey_executor.analysis.weight import is_heavy
from osprey_executor.config import AnalysisConfig
from osprey_executor.models import Verdict

HEAVY = "from epics import caput\ncaput('A:SP', 1)\n" + "x = [1]\n" * 25_000
SITE = AnalysisConfig.model_validate({"deny": ["process"], "patterns": {"write": ["facility\\.put\\(", "a+b"]}})


@pytest.mark.parametrize(
    "source",
    [
        HEAVY,
        "x = f'" + "{x}" * 30_000 + "'",
        'x = f"""' + "{x} and\n" * 30_000 + '"""',
        "x = f'" + "{x} and\\\n" * 30_000 + "'",
        "x = 1;" * 41_000,
        "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]\n" * 4000,
    ],
    ids=range(6),
)
def test_what_parses_slowly_is_heavy(source: str):
    assert is_heavy(source)


def test_what_people_write_is_not():
    line = 'value_17 = np.round(orbit["SR01C:BPM7:X"] * gain, 3)\n'
    assert not is_heavy(line * 5000)
    assert not is_heavy("\n".join(f'print(f"{{a:.3f}} of {{b}} in {n}")' for n in range(5000)))


def test_a_heavy_source_is_not_parsed_here_and_is_judged_as_if_it_were(monkeypatch: pytest.MonkeyPatch):
    expected = _analyze.analyzed_here(HEAVY, Site(), Gates())
    parsed: list[str] = []
    monkeypatch.setattr(_analyze, "_parsed", lambda text: parsed.append(text) or ast.parse(""))  # pyright: ignore[reportUnknownLambdaType]
    report = analyze(HEAVY, gates=Gates())
    assert report == expected
    escaped = analyze(b"# coding: unicode_escape\n" + HEAVY.replace("\n", "\\n").encode())
    assert [one.channel for one in (*report.writes, *escaped.writes)] == ["A:SP", "A:SP"]
    assert not parsed
    analyze("x = 1")
    assert parsed == ["x = 1"]


def test_the_site_and_the_gates_go_with_it(tmp_path: Path):
    own = tmp_path / "lab.toml"
    own.write_text(
        'modules = ["lab"]\ncontrol = true\n[[rule]]\neffect = "control_write"\nnames = ["lab.go"]\nsays = "goes"\n'
    )
    site = site_of(SITE.model_copy(update={"catalogue": (own,)}))
    gates = Gates(("orbit",), frozenset(("numpy",)), ("os", "re"))
    source, told, held = apart.read_job(*apart.job_of(b"\xff\x00", site, gates).splitlines())
    assert (source, told, held) == (b"\xff\x00", site, Gates(("orbit",), ["numpy"], ["os", "re"]))
    assert told.catalogue.rule("lab.go") == site.catalogue.rule("lab.go") is not None
    report = analyze("import lab, os\nlab.go(1)\nos.system('ls')\n" + "x = [1]\n" * 25_000, site=site, gates=gates)
    assert report.verdict is Verdict.DENY
    assert {"control/lab-go", "quality/missing-module", "quality/no-results"} <= {one.rule for one in report.findings}


@pytest.mark.parametrize(
    "source", ["x = '\\ud800'\n" * 30_000, b"x = 1\0;\n" * 30_000, "x = (\n" * 30_000], ids=range(3)
)
def test_what_cannot_be_read_is_told_as_ever(source: str | bytes):
    assert analyze(source) == _analyze.analyzed_here(source, Site(), None)


@pytest.mark.parametrize("module", ["no_such_module", "this"], ids=["does not start", "answers with something else"])
def test_without_an_answer_a_person_is_asked(module: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(apart, "_MODULE", module)
    report = analyze(HEAVY)
    assert report.verdict is Verdict.ASK
    assert re.search("more time or memory", report.reason)
    assert [one.channel for one in report.writes] == [None]


def test_text_that_is_run_as_code_is_parsed_only_where_it_is_light():
    report = analyze(f"exec({'x=1;' * 45_000!r})\n")
    assert "dynamic/unknown-code" in {one.rule for one in report.findings}
    assert report.verdict is Verdict.ASK


def test_no_more_flaws_than_anybody_reads():
    report = analyze("a\n" * 5000, gates=Gates())
    assert 900 <= len(report.flaws) <= 1000
    assert report.flaws[-1].line <= 1001
