"""From a model's answer to a program."""

from __future__ import annotations

import pytest

from osprey_executor.errors import CodeGenerationError
from osprey_executor.generation._answer import program_in

TICKS = "`" * 3


@pytest.mark.parametrize("tag", ["python", "Python", "py", "python3", "", "python title=x"])
def test_one_fenced_block(tag: str) -> None:
    assert program_in(f"Sure.\n\n{TICKS}{tag}\nx = 1\n{TICKS}\nThat is all.") == "x = 1\n"


@pytest.mark.parametrize("marks", ["`" * 3, "`" * 4, "~~~"])
def test_any_fence(marks: str) -> None:
    assert program_in(f"{marks}python\nx = 1\n{marks}") == "x = 1\n"


def test_bytes_are_kept() -> None:
    code = 'text = """\n    a\tb  \n\n"""\nname = "Ångström \\u202e"\n'
    assert program_in(f"{TICKS}python\n{code}{TICKS}") == code


def test_windows_line_ends() -> None:
    assert program_in(f"{TICKS}python\r\nx = 1\r\n{TICKS}\r\n").split() == ["x", "=", "1"]


def test_indented_fence_loses_its_indent() -> None:
    assert program_in(f"  {TICKS}python\n  if x:\n      y()\n  {TICKS}") == "if x:\n    y()\n"


def test_bare_code() -> None:
    assert program_in("import math\nresults = {'pi': math.pi}") == "import math\nresults = {'pi': math.pi}"


@pytest.mark.parametrize("prose", ["No", "Sorry", "I cannot do that.", "'quoted'", "42"])
def test_prose_is_not_code(prose: str) -> None:
    with pytest.raises(CodeGenerationError, match="no block of Python"):
        program_in(prose)


def test_thoughts_are_left_out() -> None:
    answer = f"<think>\n{TICKS}python\nbad = 1\n{TICKS}\n</think>\n{TICKS}python\ngood = 1\n{TICKS}"
    assert program_in(answer) == "good = 1\n"


def test_blocks_of_other_languages_do_not_count() -> None:
    answer = f"{TICKS}bash\nls\n{TICKS}\n{TICKS}python\nx = 1\n{TICKS}\n{TICKS}\n1\n{TICKS}"
    assert program_in(answer) == "x = 1\n"


def test_program_that_writes_a_fence() -> None:
    code = f'report = """\n{TICKS}\ntext\n{TICKS}\n"""\nresults = {{}}\n'
    assert program_in(f"Sure:\n{TICKS}python\n{code}{TICKS}\nDone.") == code


def test_program_that_writes_half_a_fence() -> None:
    code = f'report = """\n{TICKS}\ntext"""\nresults = {{}}\n'
    assert program_in(f"{TICKS}python\n{code}{TICKS}\n") == code


def test_code_that_does_not_parse_goes_on_to_the_analysis() -> None:
    assert program_in(f"{TICKS}python\ndef f(\n{TICKS}") == "def f(\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("<think>hm</think>", "empty"),
        (f"{TICKS}python\n{TICKS}", "block of Python in the answer is empty"),
        (f"{TICKS}python\nx = 1", "breaks off"),
        (f"{TICKS}python\nx = 1\n{TICKS}\n{TICKS}py\ny = 2\n{TICKS}", "2 blocks"),
        (f"{TICKS}json\n{{}}\n{TICKS}", "no block of Python"),
        ("x = 1\n" * 1_000_000, "longer than"),
    ],
)
def test_anything_else_is_refused(answer: str, words: str) -> None:
    with pytest.raises(CodeGenerationError, match=words):
        program_in(answer)


def test_program_of_one_megabyte() -> None:
    code = "x = 1  # a line of a long program\n" * 31_000
    assert program_in(f"{TICKS}python\n{code}{TICKS}") == code


def test_hostile_nesting_is_no_crash() -> None:
    with pytest.raises(CodeGenerationError):
        program_in("(" * 100_000)


def test_told_prose_is_escaped() -> None:
    with pytest.raises(CodeGenerationError) as caught:
        program_in("\x1b[2J no \u202e way")
    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)
