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


@pytest.mark.parametrize(
    "code", ["größe = 1\n", "β = 0.98\n", "s = 'сила тока'\n", "# 電流\nx = 1\r\n", "\ufeffx = 1\n"]
)
def test_honest_text_is_not(code: str):
    assert rules(code) == set()


def test_a_flood_of_them_is_bounded():
    assert len(analyze("# " + "\u202e" * 100_000).findings) <= 60
