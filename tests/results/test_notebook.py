"""What a person sees in a notebook, whatever the run put there."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from markdown_it import MarkdownIt

from osprey_executor.models import ErrorReport, Refusal, RunStatus, Stage, Write
from osprey_executor.results import RunFolder
from osprey_executor.results.banner import fenced

MakeRun = Callable[..., RunFolder]
EVIL = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> ![x](http://evil.invalid/x.png) [l](javascript:x) "
    "`code` ```\n```\n# head\n~~~\n| a | $\\href{javascript:x}{y}$ www.evil.invalid \u202ereversed \x1b[2Jcleared"
)


def notebook_of(folder: RunFolder) -> Any:
    notebook = nbformat.read(folder.path / "notebook.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def test_the_banner_says_who_what_and_how(make_run: MakeRun) -> None:
    folder = make_run()
    banner = notebook_of(folder).cells[0].source
    for fact in ("ada", "grace", "ab" * 32, "mock (scripted)", "full (local, proven)", folder.run_id, "succeeded"):
        assert fact in banner
    assert "2026-11-23 15:12:00 UTC" in banner
    assert "replay" in banner
    assert "outside the sandbox" in banner


def test_hostile_text_is_shown_and_never_rendered(make_run: MakeRun, figure_bytes: bytes) -> None:
    folder = make_run(
        task=EVIL,
        requester=EVIL,
        approver=EVIL,
        generator=EVIL,
        results={EVIL: EVIL, "deep": [EVIL, {EVIL: EVIL}]},
        stdout=EVIL,
        stderr=EVIL,
        figures=[figure_bytes],
        files={"<img src=x>\n# head": b"1"},
        writes=[Write(channel=EVIL, value=EVIL, confirmed=True)],
        refusals=[Refusal(channel=EVIL, value=EVIL, reason=EVIL)],
        notes=(EVIL,),
        error=ErrorReport(stage=Stage.EXECUTION, type=EVIL, message=EVIL, traceback=EVIL),
        status=RunStatus.FAILED,
    )
    for path in (folder.path / "notebook.ipynb", folder.path / "attempts/1/notebook.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        banner = notebook.cells[0].source
        html = MarkdownIt("commonmark").enable("table").render(banner)
        for forbidden in ("<script", "<img", "<a ", "<table", "<h2"):
            assert forbidden not in html, forbidden
        assert html.count("<h1") == 1
        assert html.count("<pre>") == 1
        # Neither the cells' own text nor the outputs hold a character that repaints.
        texts = [banner, *(str(output) for cell in notebook.cells[1:] for output in cell.outputs)]
        for text in texts:
            assert "\x1b" not in text
            assert "\u202e" not in text
        kinds = {kind for cell in notebook.cells[1:] for output in cell.outputs for kind in output.get("data", {})}
        assert kinds <= {"text/plain", "image/png"}


def test_no_text_can_close_the_fence() -> None:
    text = "````\n`````` x\n```"
    assert MarkdownIt("commonmark").render(fenced(text)).count("<pre>") == 1
    assert "<h1>" not in MarkdownIt("commonmark").render(fenced("```\n# x\n" + "`" * 50 + "\n# y"))


def test_hidden_characters_in_the_source_are_told(make_run: MakeRun) -> None:
    folder = make_run("x = 'a\u202eb'\nresults = {}\n")
    notebook = notebook_of(folder)
    assert "hide or reorder" in notebook.cells[0].source
    assert notebook.cells[2].source == "x = 'a\u202eb'\nresults = {}\n"
    assert "hide or reorder" not in notebook_of(make_run(run_id="plain")).cells[0].source


def test_the_source_is_one_cell_verbatim(make_run: MakeRun) -> None:
    source = "%x\n# ünï \U0001f600\n'''\n\n```\n<script>\n'''\r\nresults = {}\n\n\n"
    assert notebook_of(make_run(source)).cells[2].source == source


def test_outputs_are_those_of_a_notebook(make_run: MakeRun, figure_bytes: bytes) -> None:
    folder = make_run(results={"x": 1.5}, stdout="hello\n", stderr="careful\n", figures=[figure_bytes, b"GIF89a<svg>"])
    program, results = notebook_of(folder).cells[2:]
    streams = {output.name: output.text for output in program.outputs if output.output_type == "stream"}
    assert streams == {"stdout": "hello\n", "stderr": "careful\n"}
    first, second = [output for output in program.outputs if output.output_type == "display_data"]
    assert base64.b64decode(first.data["image/png"]) == figure_bytes
    assert set(second.data) == {"text/plain"}, "what is no PNG is not shown as one"
    assert results.outputs[0].data["text/plain"] == "x = 1.5"


def test_big_output_and_results_stay_small_here(make_run: MakeRun) -> None:
    folder = make_run(
        results={"array": np.zeros(4_000_000), "list": list(range(200_000)), **{f"k{n}": n for n in range(500)}},
        stdout="x" * 5_000_000 + "end",
        files={f"file-{n}": b"" for n in range(100)},
    )
    assert (folder.path / "notebook.ipynb").stat().st_size < 2_000_000
    notebook = notebook_of(folder)
    assert "characters left out; all of it is in attempts/1/stdout.txt" in notebook.cells[2].outputs[0].text
    assert notebook.cells[2].outputs[0].text.endswith("end")
    assert "and 402 more" in notebook.cells[3].outputs[0].data["text/plain"]
    assert "80 more artifacts" in notebook.cells[0].source
    assert folder.load_result().stdout.endswith("xend")


@pytest.mark.parametrize("stdout", ["\ud800 lone", "\x00nul", "a\r\nb", "\rbar"])
def test_odd_output_is_kept_readable(make_run: MakeRun, stdout: str) -> None:
    outcome: dict[str, Any] = {}
    folder = make_run(stdout="" if "\ud800" in stdout else stdout, outcome=outcome, results={"deep": [stdout]})
    text = (folder.path / "notebook.ipynb").read_text("utf-8")
    assert "\x00" not in text
    assert notebook_of(folder).cells[2].source


def test_each_attempt_has_its_notebook(make_run: MakeRun, run_result: Callable[..., Any]) -> None:
    folder = make_run("first = 1\n", stdout="one\n")
    folder.attempt(2).save_code("second = 2\n")
    result = folder.finish(run_result(folder, status=RunStatus.REJECTED))
    assert result.code == "second = 2\n"
    assert result.stdout == ""
    assert [attempt.number for attempt in result.attempts] == [1, 2]
    first, second = (nbformat.read(attempt.notebook_path, as_version=4) for attempt in result.attempts)
    assert first.cells[2].source == "first = 1\n"
    assert first.cells[2].outputs[0].text == "one\n"
    assert "attempt 1 of 2" in first.cells[0].source
    assert second.cells[2].outputs == []
    assert result.notebook_path == folder.path / "notebook.ipynb"
    assert Path(result.notebook_path).is_absolute()
