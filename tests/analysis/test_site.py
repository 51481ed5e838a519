"""What a site denies and adds: refusals by effect and rule, patterns as Osprey has them, catalogues of its own."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.analysis import RULES, Site, analysis_problem, analyze, site_of
from osprey_executor.analysis.catalogue import GROUP, _load, builtin_catalogue, extended_catalogue, shipped_names
from osprey_executor.config import AnalysisConfig, PatternsConfig, config_from
from osprey_executor.errors import ConfigurationError
from osprey_executor.models import Effect, Verdict

START = "import subprocess\nsubprocess.run(['ls'])\n"
LAB = """
modules = ["labtools"]
control = true

[[rule]]
effect = "control_write"
names = ["labtools.set_voltage"]
channel = [0]
value = [1]
says = "sets a voltage of the lab"
"""


def site(**keys: Any) -> Site:
    return site_of(AnalysisConfig(**keys))


@pytest.mark.parametrize("word", ["process", "process/command", "process/*"])
def test_what_is_denied_is_refused_with_the_line(word: str):
    report = analyze(START, site=site(deny=[word]))
    assert report.verdict is Verdict.DENY
    assert "line 2" in report.reason


def test_only_what_is_named_is_denied():
    assert analyze(START, site=site(deny=["network", "control/*"])).verdict is Verdict.ALLOW
    assert analyze("import epics\nepics.caput('A', 1)", site=site(deny=["process"])).verdict is Verdict.ASK


def test_what_cannot_be_followed_can_be_denied():
    assert analyze("x = " + "-" * 200_000 + "1", site=site(deny=["opaque"])).verdict is Verdict.DENY


@pytest.mark.parametrize("word", ["proces", "control/epics-capu", "nothing/*", ""])
def test_a_word_that_denies_nothing_is_an_error(word: str):
    with pytest.raises(ConfigurationError, match=r"analysis\.deny"):
        site(deny=[word])
    assert "analysis.deny" in (analysis_problem(AnalysisConfig(deny=(word,))) or "")


def test_patterns_add_and_never_replace():
    patterned = site(patterns=PatternsConfig(write=(r"facility_lib\.put\(",), read=(r"facility_lib\.get\(",)))
    report = analyze("import facility_lib\nfacility_lib.put('A', 1)\nx = facility_lib.get('B')\n", site=patterned)
    assert (report.verdict, report.writes[0].channel, report.writes[0].line) == (Verdict.ASK, None, 2)
    assert {one.rule: one.line for one in report.findings} == {
        "note/unlisted-library": 1,
        "pattern/write": 2,
        "pattern/read": 3,
    }
    assert Effect.CONTROL_READ in report.effects
    assert analyze("import epics\nepics.caput('A', 1)", site=patterned).writes[0].channel == "A"
    assert analyze("x = 1  # facility_lib.put( is not called", site=patterned).verdict is Verdict.ALLOW


@pytest.mark.parametrize("pattern", [r"(a|a)*$b", r"(a+a+)+!"])
def test_a_pattern_that_backtracks_without_end_asks_and_is_named(pattern: str):
    patterned = site(patterns=PatternsConfig(write=(r"put\s*\(", pattern, "never")))
    report = analyze(f"put (1)\n{'a' * 3000} = '{'xx ' * 1000}'", site=patterned)
    (late,) = [one for one in report.findings if one.rule == "analysis/limit"]
    assert report.verdict is Verdict.ASK
    assert pattern in late.message
    assert [one.line for one in report.findings if one.rule == "pattern/write"] == [1]


def test_patterns_that_go_back_fit_as_the_others_do():
    patterned = site(patterns=PatternsConfig(write=(r"fac\w+\.(put|set)\s*\(",), read=(r"\bread_\w+",)))
    report = analyze("x = 'é'; facility.set (1)\ny = read_all()\n", site=patterned)
    assert [(one.rule, one.line, one.column) for one in report.findings] == [
        ("pattern/write", 1, 10),
        ("pattern/read", 2, 5),
    ]


def test_a_worker_that_cannot_start_asks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    report = analyze("x = 1", site=site(patterns=PatternsConfig(write=("a+",))))
    assert (report.verdict, report.findings[-1].rule) == (Verdict.ASK, "analysis/limit")


def test_a_pattern_that_is_none_is_an_error():
    with pytest.raises(ConfigurationError, match=r"analysis\.patterns\.write"):
        site(patterns=PatternsConfig(write=("(",)))


@pytest.mark.parametrize(
    "patterns", ["{write: ['facility_lib\\.put\\(']}", "{mock: {write: ['facility_lib\\.put\\('], read: []}}"]
)
def test_ospreys_patterns_keep_working(patterns: str, tmp_path: Path):
    file = tmp_path / "config.yml"
    file.write_text(f"control_system:\n  type: mock\n  patterns: {patterns}\n")
    config = config_from(file)
    assert config.analysis.patterns.write == (r"facility_lib\.put\(",)
    assert analyze("facility_lib.put(1)", site=site_of(config.analysis)).verdict is Verdict.ASK


def test_a_file_of_the_site_beside_the_configuration_extends(tmp_path: Path):
    (tmp_path / "lab.toml").write_text(LAB)
    (tmp_path / "config.yml").write_text("analysis:\n  catalogue: [lab.toml]\n")
    extended = site_of(config_from(tmp_path / "config.yml").analysis)
    report = analyze("from labtools import set_voltage as f\nf('PS:1', 3)\n", site=extended)
    assert (report.writes[0].channel, report.writes[0].value) == ("PS:1", "3")
    assert report.findings[0].rule == "control/lab-set_voltage"
    assert analyze("import epics\nepics.caput('A', 1)", site=extended).verdict is Verdict.ASK


def test_nothing_becomes_less_strict(tmp_path: Path):
    file = tmp_path / "weak.toml"
    file.write_text('modules = ["epics"]\n[[rule]]\nnames = ["epics.caput"]\nsays = "does nothing"\n')
    weak = Site(catalogue=extended_catalogue((file,)))
    assert analyze("import epics\nepics.caput('A', 1)", site=weak).verdict is Verdict.ASK
    file = tmp_path / "shadow.toml"
    file.write_text(
        '[[rule]]\nnames = ["epics.anything.put", "ftplib.FTP", "slack_sdk.WebClient"]\nsays = "does nothing"\n'
    )
    shadow = Site(catalogue=extended_catalogue((file,)))
    assert analyze("import epics\nepics.anything.put('A', 1)", site=shadow).verdict is Verdict.ASK
    assert analyze("import ftplib\nftplib.FTP('a')", site=shadow).effects == {Effect.NETWORK}
    assert analyze("import slack_sdk\nslack_sdk.WebClient('a')", site=shadow).effects == {Effect.NETWORK}
    file = tmp_path / "quiet.toml"
    file.write_text('modules = ["ftplib"]\nquiet = ["ftplib.FTP"]\n')
    with pytest.raises(ConfigurationError, match="already listed"):
        extended_catalogue((file,))
    file = tmp_path / "alias.toml"
    file.write_text('[aliases]\n"epics" = "harmless"\n')
    with pytest.raises(ConfigurationError, match="already listed"):
        extended_catalogue((file,))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read"),
        ("modules = [", "is not TOML"),
        ("module = []", "there is no key module"),
        ('[[rule]]\nnames = ["a.b"]\neffect = "writes"\nsays = "x"', "there is no effect writes"),
        ('[[rule]]\nnames = ["a.b"]', "lacks `says`"),
        ('modules = "epics"', "must be a list"),
    ],
)
def test_a_catalogue_that_cannot_be_used_is_named(text: str | None, told: str, tmp_path: Path):
    file = tmp_path / "lab.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=told) as raised:
        extended_catalogue((file,))
    assert "lab" in str(raised.value)


LIBRARY = {
    "modules": ["plugged"],
    "control": True,
    "rule": [{"effect": "control_write", "names": ["plugged.go"], "says": "goes"}],
}


def test_an_installed_package_extends(monkeypatch: pytest.MonkeyPatch):
    found = EntryPoint("plug", f"{__name__}:LIBRARY", GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: LIBRARY)
    monkeypatch.setattr(_load, "entry_points", lambda group: [found] if group == GROUP else [])
    extended_catalogue.cache_clear()
    try:
        report = analyze("import plugged\nplugged.go()", site=Site(catalogue=extended_catalogue()))
        assert report.findings[0].rule == "control/plug-go"
        monkeypatch.setattr(EntryPoint, "load", lambda self: 1)
        extended_catalogue.cache_clear()
        with pytest.raises(ConfigurationError, match="neither a mapping nor the path"):
            extended_catalogue()
    finally:
        extended_catalogue.cache_clear()


def test_every_library_has_a_file_and_every_rule_says_what_it_does():
    assert {"epics", "caproto", "p4p", "aioca", "cothread", "pvapy", "ophyd", "ophyd-async", "bluesky"} <= {
        *shipped_names()
    }
    assert {"tango", "runtime", "programs", "os", "shutil", "pathlib", "subprocess", "socket"} <= {*shipped_names()}
    assert {"requests", "httpx", "urllib", "ctypes", "cffi", "pickle", "joblib", "torch", "yaml"} <= {*shipped_names()}
    assert {"eval", "signal", "sys", "pyvisa", "pymodbus", "asyncua"} <= {*shipped_names()}
    catalogue = builtin_catalogue()
    rules = [*catalogue.exact.values(), *catalogue.deep.values(), *catalogue.programs.values()]
    assert all(rule.message and "/" in rule.id for rule in rules)


def test_each_rule_id_of_the_code_is_explained():
    source = Path(_load.__file__).parent.parent
    rooms = "opaque|dynamic|control|file|process|secret|analysis|syntax|hidden|interpreter|resource|quality|pattern"
    import re

    written = {
        found
        for file in source.rglob("*.py")
        for found in re.findall(rf'"((?:{rooms})/[a-z][a-z-]+)"', file.read_text("utf-8"))
    }
    assert written <= set(RULES)
