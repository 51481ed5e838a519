"""One channel, one name; what is no name is refused."""

from __future__ import annotations

import pytest

from osprey_executor.control import channel_name


@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("SR:HCM1", "SR:HCM1"),
        ("SR:HCM1.VAL", "SR:HCM1"),
        ("sys/tg_test/1/x", "sys/tg_test/1/x"),
        ("A[1]<2>", "A[1]<2>"),
    ],
)
def test_value_has_one_name(asked: str, canonical: str) -> None:
    name = channel_name(asked)
    assert (name.canonical, name.is_field) == (canonical, False)


@pytest.mark.parametrize("asked", ["X.DRVH", "X.PROC", "X.VAL$", "X.val", "X.RVAL"])
def test_fields_keep_their_name(asked: str) -> None:
    name = channel_name(asked)
    assert (name.canonical, name.is_field) == (asked, True)


@pytest.mark.parametrize(
    "asked",
    [
        "",
        " ",
        "X ",
        "X\n",
        "X\x00.VAL",
        "X\x1b[2J",
        "X.",
        ".VAL",
        "X.VAL.VAL",
        "X..VAL",
        "X.VAL{'dbnd':{}}",
        "X*",
        "X?",
        "\u0425:CYRILLIC",
        "X\u202e",
        "X'",
        'X"',
        "X\\",
        "X" * 201,
        None,
        7,
        b"X",
        ["X"],
    ],
)
def test_what_is_no_name(asked: object) -> None:
    with pytest.raises(ValueError, match=r"channel name|longer than") as refused:
        channel_name(asked)
    assert str(refused.value).isprintable()
