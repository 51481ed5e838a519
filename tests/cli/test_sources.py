"""Programs and inputs: byte for byte, or one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from osprey_executor.errors import InvalidRequestError
from osprey_executor.interfaces.cli.sources import MOST_CODE, input_files, read_code, task_of


@pytest.mark.parametrize(
    "data",
    [
        b"x = 1\n",
        b"x = 1\r\ny = '''a\r\nb'''\r\n",
        "größe = 'é 日本'\n".encode(),
        b"# -*- coding: utf-8 -*-\nx = 1",
        b"# -*- coding: latin-1 -*-\nx = 'ascii only'\n",
        b"x = 1\x0cy = 2\n",
    ],
)
def test_code_is_taken_byte_for_byte(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "code.py"
    file.write_bytes(data)
    assert read_code(str(file)).encode() == data


def test_a_byte_order_mark_is_no_part_of_the_program(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    file.write_bytes(b"\xef\xbb\xbfx = 1\n")
    assert read_code(str(file)) == "x = 1\n"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"\x7fELF\x02\x00\x00", "is a binary file"),
        ("x = 1".encode("utf-16"), "is a binary file"),
        (b"x = 'caf\xe9'\n", "is not UTF-8 text (byte 0xe9 at position 8)"),
        ("# coding: latin-1\nx = 'é'\n".encode(), "declares the encoding iso-8859-1"),
        # The trick that a card cannot show: to Python the comment is a line of code.
        (b"# coding: utf-7\n#+AAo-import os\n", "declares the encoding utf-7"),
        (b"# coding: no-such-thing\nx = 1\n", "cannot be decoded"),
        (b"\xef\xbb\xbf# coding: latin-1\nx = 1\n", "cannot be decoded"),
        (b"x" * (MOST_CODE + 1), "is longer than 16 MiB"),
    ],
)
def test_what_is_no_program_is_refused(tmp_path: Path, data: bytes, told: str) -> None:
    file = tmp_path / "code.py"
    file.write_bytes(data)
    with pytest.raises(InvalidRequestError) as error:
        read_code(str(file))
    assert told in str(error.value)
    assert str(file) in str(error.value)


def test_a_folder_a_missing_and_an_impossible_file_are_refused(tmp_path: Path) -> None:
    for name, told in ((str(tmp_path), "directory"), (str(tmp_path / "no"), "No such file"), ("a\0b", "null")):
        with pytest.raises(InvalidRequestError, match=told):
            read_code(name)
        with pytest.raises(InvalidRequestError, match=told):
            input_files([name])


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("1")
    file.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root reads everything
    try:
        with pytest.raises(InvalidRequestError, match="Permission denied"):
            input_files([str(file)])
    finally:
        if root:
            os.seteuid(0)


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(InvalidRequestError, match="longer"):
        read_code("/dev/zero")


def test_inputs_keep_their_names_and_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("1")
    monkeypatch.chdir(tmp_path)
    assert input_files(["a.csv"]) == {"a.csv": tmp_path / "a.csv"}


def test_a_pipe_is_read_at_once(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"1,2")
    os.close(writing)
    try:
        assert list(input_files([f"/dev/fd/{reading}"]).values()) == [b"1,2"]
    finally:
        os.close(reading)


def test_two_inputs_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "data.csv").write_text("1")
    with pytest.raises(InvalidRequestError, match=r"two --input files are named data\.csv"):
        input_files([str(tmp_path / "a/data.csv"), str(tmp_path / "b/data.csv")])


def test_code_without_a_task_gets_one() -> None:
    assert task_of("/x/measure.py") == "run measure.py"
    assert task_of("-") == "run the code from standard input"
    assert task_of("a\x1b[2Jb.py") == "run a\\x1b[2Jb.py"
