"""Programs that harm a computer: a finding names each thing that they do, and none is silent."""

import json
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.analysis import Site, analyze
from osprey_executor.analysis.catalogue import empty_catalogue

RISKY: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "risky.jsonl").read_text("utf-8").splitlines()
]


def named(site: Site | None = None) -> float:
    reports = [(analyze(row["code"], site=site), set(row["effects"])) for row in RISKY]
    return sum(effects <= report.effects for report, effects in reports) / len(reports)


def test_effects_are_named():
    assert named() >= 0.95


def test_canary_an_empty_catalogue_names_few():
    assert named(Site(catalogue=empty_catalogue())) < 0.5


@pytest.mark.parametrize("row", RISKY, ids=lambda row: row["id"])
def test_none_is_silent(row: dict[str, Any]):
    report = analyze(row["code"])
    assert report.findings
    assert report.effects


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("x = 'A' * 10**10", "resource/much-memory"),
        ("import numpy as np\nnp.zeros((10**6, 10**6))", "resource/much-memory"),
        ("while True:\n    pass", "resource/endless-loop"),
        ("import itertools\nfor n in itertools.count():\n    print(n)", "resource/endless-loop"),
        ("def f(n):\n    return f(n + 1)\nf(0)", "resource/endless-recursion"),
        ("open('/dev/ttyUSB0', 'wb')", "opaque/device-file"),
        ("import builtins\nbuiltins.open = print", "interpreter/replaced-name"),
        ("open('../other/file').read()", "file/read-outside"),
        ("import os\nos.environ['API_TOKEN']", "secret/environment"),
        ("from pathlib import Path\n(Path.home() / '.ssh' / 'id_rsa').read_text()", "secret/file"),
    ],
)
def test_a_harm_by_its_rule(code: str, rule: str):
    assert rule in {one.rule for one in analyze(code).findings}


@pytest.mark.parametrize(
    "code",
    [
        "x = [0] * 1000",
        "import numpy as np\nnp.zeros((1000, 1000))",
        "while True:\n    break",
        "def f(n):\n    if n < 2:\n        return 1\n    return n * f(n - 1)\nf(5)",
        "open('/dev/null', 'w')",
        "open('inputs/a.csv').read()",
        "import os\nos.path.join('a', 'b')",
    ],
)
def test_ordinary_code_takes_no_resources_or_secrets(code: str):
    rules = {one.rule for one in analyze(code).findings}
    assert not {rule for rule in rules if rule.startswith(("resource/", "secret/", "opaque/", "file/read"))}
