"""Output of the code: whole lines, escaped, bounded."""

from __future__ import annotations

from osprey_executor.interfaces.cli.stream import OutputText


def shown(output: OutputText, text: str, stream: str = "stdout") -> list[str]:
    return [piece.plain for piece in output.add(stream, text)]


def test_lines_wait_for_their_end() -> None:
    output = OutputText()
    assert shown(output, "a") == []
    assert shown(output, "b\nc") == ["ab"]
    assert [piece.plain for piece in output.rest()] == ["c"]
    assert output.rest() == []


def test_streams_do_not_mix_within_a_line() -> None:
    output = OutputText()
    shown(output, "left ")
    assert shown(output, "problem\n", "stderr") == ["problem"]
    assert shown(output, "right\n") == ["left right"]


def test_nothing_can_repaint_the_screen() -> None:
    output = OutputText()
    assert shown(output, "safe\rnot\x1b[2J\u202e\n") == ["safe\nnot\\x1b[2J\\u202e"]


def test_a_line_without_end_does_not_grow_for_ever() -> None:
    output = OutputText()
    assert shown(output, "x" * 5000) == ["x" * 5000]
    assert output.rest() == []


def test_a_flood_is_cut_once() -> None:
    output = OutputText()
    told = [line for _ in range(100) for line in shown(output, "y" * 5000 + "\n")]
    assert sum("goes on" in line for line in told) == 1
    assert sum(len(line) for line in told) < 300_000
