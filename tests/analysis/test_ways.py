"""A finding tells its place, how sure it is, and the way that the value took."""

import pytest

from osprey_executor.analysis import analyze
from osprey_executor.models import Confidence, Finding, Step

FROM_IMPORT = "from epics import caput\n"


def the(code: str, rule: str = "control/epics-caput") -> Finding:
    (found,) = [one for one in analyze(code).findings if one.rule == rule]
    return found


@pytest.mark.parametrize(
    ("code", "way"),
    [
        (FROM_IMPORT + "f = caput\nf('A', 1)\n", [("caput", 1), ("f", 2), ("call", 3)]),
        ("import epics\nepics.caput('A', 1)\n", [("epics", 1), ("call", 2)]),
        (
            FROM_IMPORT + "def go(fn):\n    fn('A', 1)\ngo(caput)\n",
            [("caput", 1), ("fn", 4), ("call", 3)],
        ),
        (
            FROM_IMPORT + "table = {'w': caput}\ng = table['w']\ng('A', 1)\n",
            [("caput", 1), ("table", 2), ("g", 3), ("call", 4)],
        ),
        (
            "import epics\nimport functools\ng = functools.partial(epics.caput, 'A')\ng(1)\n",
            [("epics", 1), ("g", 3), ("call", 4)],
        ),
        (
            "import epics\nverb = getattr(epics, 'ca' + 'put')\nfor f in [verb]:\n    f('A', 1)\n",
            [("epics", 1), ("verb", 2), ("f", 3), ("call", 4)],
        ),
    ],
)
def test_the_way_of_the_value(code: str, way: list[tuple[str, int]]):
    assert the(code).way == tuple(Step(what=what, line=line) for what, line in way)


def test_a_way_of_one_line_is_not_told():
    assert the("import epics; epics.caput('A', 1)").way == ()


def test_a_way_ends_on_a_circle():
    found = the(FROM_IMPORT + "f = caput\nf = f or f\nf('A', 1)\n")
    assert len(found.way) <= 4


def test_the_range_of_a_finding():
    found = the("import epics\nx = epics.caput(\n    'A',\n    1)\n")
    assert (found.line, found.column, found.end_line, found.end_column) == (2, 5, 4, 7)


def test_columns_count_characters():
    found = the("import epics\nx = 'é'; epics.caput('A', 1)\n")
    assert (found.column, found.end_column) == (10, 29)


@pytest.mark.parametrize(
    ("code", "rule", "confidence"),
    [
        ("import epics\nepics.caput('A', 1)", "control/epics-caput", Confidence.CERTAIN),
        ("import epics\nf = epics.caput if x else print\nf('A', 1)", "control/epics-caput", Confidence.LIKELY),
        ("import epics\nf = epics.caput\nf('A', 1)", "control/write-taken", Confidence.LIKELY),
        ("import epics\ngetattr(epics, x)(1)", "opaque/computed-name", Confidence.POSSIBLE),
    ],
)
def test_how_sure_it_is(code: str, rule: str, confidence: Confidence):
    assert the(code, rule).confidence is confidence
