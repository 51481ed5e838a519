"""Characters that hide or deceive are findings, and honest text in other scripts is not."""

import pytest

from osprey_executor.analysis import analyze


def rules(code: str) -> set[str]:
    return {one.rule for one in analyze(code).findings if one.rule.startswith("hidden/")}


@pytest.mark.parametrize("char", ["\u202e", "\u2066", "\u200b", "\u200d", "\x1b", "\u2028", "\ufeff", "\x08"])
def test_hidden_characters_are_marked(char: str):
    (finding,) = analyze(f"x = 1\ny = 'a{char}b'\n").findings
    assert (finding.rule, finding.line, finding.column) == ("hidden/character", 2, 7)
    assert char not in finding.message


def test_look_alike_names_are_marked():
    assert rules("p\u0430yload = 1\n") == {"hidden/look-alike"}
    assert rules("\uff43aput = 1\n") == {"hidden/look-alike"}
    assert rules("\u0435\u0445\u0435\u0441('1')\n") == {"hidden/look-alike"}  # all of it


@pytest.mark.parametrize(
    ("code", "column"),
    [
        ("s = '#'; p\u0430y = 1\n", 10),
        ('s = "it\'s"; p\u0430y = 1\n', 13),
        ("s = '''a'b'''; p\u0430y = 1\n", 16),
        ("caput('SR:H\u0421M:SP', 1)\n", 8),
        ("caput('SR:\u041d\u0421\u041c:SP', 1)\n", 8),
        ("print(f'{p\u0430y}')\n", 10),
    ],
)
def test_look_alikes_are_found_behind_and_in_texts(code: str, column: int):
    (finding,) = [one for one in analyze(code).findings if one.rule == "hidden/look-alike"]
    assert (finding.line, finding.column) == (1, column)


def test_lines_end_as_python_counts_them():
    code = "x = 1\ry = 'a\u200bb'\nz = 2\r\n"
    found = [(one.line, one.column) for one in analyze(code).findings]
    assert found == [(1, 6), (2, 7)]  # the carriage return itself, and what stands behind it


@pytest.mark.parametrize(
    "code",
    [
        "größe = 1\n",
        "β = 0.98\n",
        "s = 'сила тока'\n",
        "# 電流\nx = 1\r\n",
        "\ufeffx = 1\n",
        "βx = ΔE = \u03c3_y = µ = 1\n",
        "s = 'μA kΩ Δx'\n",
        "\u0442\u043e\u043a_mA = 1  # \u0441\u043e \u0432 PV \u0430\n",
        "print('⚠️ ✅ 👩\u200d🔬')\n",
        "x = 1\ry = 2\r",
    ],
)
def test_honest_text_is_not(code: str):
    assert rules(code) == set()


def test_a_flood_of_them_is_bounded():
    assert len(analyze("# " + "\u202e" * 100_000).findings) <= 60
    assert len(analyze("'" + "".join(map(chr, range(0xE0000, 0xE0FFF))) * 20 + "'").findings) <= 1000


def test_a_flood_hides_no_other_and_says_how_many_there_are():
    found = analyze("# " + "\u200b" * 5000 + "\nx = 'a\u202eb'\np\u0430y = 1\n").findings
    assert {(2, 7), (3, 1)} <= {(one.line, one.column) for one in found}
    assert any("4,990 more" in one.message for one in found)
