"""What programs, models and channels say is hostile: on every page it is text, and nothing of it runs or hides."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from osprey_executor import RunStatus
from osprey_executor.interfaces.web.pages.files import picture_type
from osprey_executor.interfaces.web.pages.listing import listing
from osprey_executor.interfaces.web.pages.notebook import notebook_cells
from osprey_executor.interfaces.web.pages.values import shown_values

from .conftest import Site, text_of

pytestmark = pytest.mark.asyncio(loop_scope="package")
EVIL = "</title></textarea></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg/onload=alert(3)>"
BIDI = "sa\u202efe\u2066\u200b\U000e0041"
WRITES = """
from osprey_executor.runtime import WriteRefused, write_channel
print({evil!r} + {bidi!r} + "\\x1b[31m")
write_channel("<svg/onload=alert(3)>&lt;%x%", 1.5)
try:
    write_channel({evil!r}, 1.5)
except WriteRefused as error:
    print(error)
results = {{}}
# {bidi}
"""
LEAVES = """
from pathlib import Path
import sys
print({evil!r} + {bidi!r})
print({evil!r}, file=sys.stderr)
Path("page.html").write_text({evil!r})
Path("pic.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(4)</script></svg>')
Path("lie.png").write_text({evil!r})
Path("<img src=x onerror=alert(5)>").write_text("by name")
Path("a b#c?d%2e.txt").write_text({evil!r})
Path("x.ipynb").write_text('{{"cells": [{{"cell_type": "markdown", "source": ["<script>alert(6)</script>"]}}]}}')
Path("bin").write_bytes(bytes(range(256)))
results = {{{evil!r}: {evil!r}, "nested": {{"a": [{evil!r}]}}, "long": {evil!r} * 10}}
"""


def harmless(page: httpx.Response) -> None:
    """See that a page has no script but ours, no handler, and nothing that hides."""
    text = page.text.lower()
    assert text.count("<script") == text.count('<script src="/static/app.js')
    assert "<img src=x" not in text
    assert "<svg/onload" not in text
    assert not any(char in page.text for char in "\u202e\u2066\u200b\U000e0041\x1b")
    assert "script-src 'self'" in page.headers["content-security-policy"]


async def test_a_card_of_a_hostile_program_shows_its_text_as_text(site: Site) -> None:
    run = await site.asked(WRITES.format(evil=EVIL, bidi=BIDI), task=EVIL + BIDI)
    ben = await site.browser("ben")
    where = f"/approvals/{run.run_id}"
    for place in ("/approvals", "/inbox", where, f"{where}/edit", f"/runs/{run.run_id}", "/runs", f"/runs?q={EVIL}"):
        page = await ben.get(place)
        assert page.status_code == 200, (place, page.text)
        harmless(page)
    words = text_of(await ben.get(where))
    assert "sa\\u202efe\\u2066\\u200b\\U000e0041" in words
    form = await ben.get(f"{where}/edit")
    assert "spelled out here" in form.text
    gone = await ben.fill(await ben.get(where), f"{where}/reject", reason=EVIL + BIDI)
    harmless(gone)
    await site.ended(run.run_id)
    harmless(await ben.get(f"/runs/{run.run_id}"))
    now = await ben.get(f"{where}/now")
    assert now.headers["content-type"] == "application/json"
    assert now.headers["x-content-type-options"] == "nosniff"


async def test_what_a_run_left_is_kept_or_looked_at_and_never_runs(site: Site) -> None:
    result = await site.run(LEAVES.format(evil=EVIL, bidi=BIDI), task=EVIL)
    assert result.status is RunStatus.SUCCEEDED, result.error
    ben = await site.browser("ben")
    base = f"/runs/{result.run_id}"
    page = await ben.get(base)
    harmless(page)
    for name in ("page.html", "pic.svg", "lie.png", "<img src=x onerror=alert(5)>", "a b#c?d%2e.txt", "x.ipynb", "bin"):
        path = f"{base}/files/{quote(name)}"
        kept = await ben.get(path)
        assert kept.status_code == 200, (path, kept.text)
        assert kept.headers["content-type"] == "application/octet-stream"
        assert kept.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
        assert kept.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert kept.headers["x-content-type-options"] == "nosniff"
        looked = await ben.get(path.replace("/files/", "/look/"))
        assert looked.status_code == 200
        harmless(looked)
        assert path in looked.text
    svg = await ben.get(f"{base}/pictures/pic.svg")
    assert svg.headers["content-type"].startswith("image/svg+xml")
    assert svg.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert (await ben.get(f"{base}/pictures/lie.png")).status_code == 422
    assert (await ben.get(f"{base}/pictures/page.html")).status_code == 422
    html = await ben.get(f"{base}/look/page.html")
    assert '<iframe class="framed" sandbox src=' in html.text
    framed = await ben.get(f"{base}/framed/page.html")
    assert framed.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "script-src" not in framed.headers["content-security-policy"]
    assert "allow-" not in framed.headers["content-security-policy"]
    assert "It is no text" in (await ben.get(f"{base}/look/bin")).text


@pytest.mark.parametrize(
    "name", ["../request.json", "..%2frequest.json", "%2e%2e/request.json", "/etc/passwd", "%2fetc/passwd", "a%00", ""]
)
async def test_no_name_leads_out_of_what_a_run_left(site: Site, name: str) -> None:
    result = await _plain(site)
    ben = await site.browser("ben")
    for kind in ("files", "look", "pictures", "framed"):
        answer = await ben.get(f"/runs/{result}/{kind}/{name}")
        assert answer.status_code in (401, 404), (kind, name)
        assert "capability_context" not in answer.text
    for number in ("0", "-1", "1", "99999999999999999999", "x"):
        assert (await ben.get(f"/approvals/{result}/figures/{number}")).status_code in (404, 409, 422)
        assert (await ben.get(f"/runs/{result}/live/{number}")).status_code in (404, 422)


_RUN: dict[int, str] = {}


async def _plain(site: Site) -> str:
    if id(site) not in _RUN:
        _RUN[id(site)] = (await site.run("results = {}")).run_id
    return _RUN[id(site)]


async def test_an_event_of_a_run_is_one_line_of_json(site: Site) -> None:
    result = await site.run(f"print({EVIL + BIDI!r} + '\\n\\ndata: x\\nevent: y')\nresults = {{}}")
    ben = await site.browser("ben")
    stream = await ben.get(f"/runs/{result.run_id}/events")
    assert stream.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in stream.text.split("\n") if line]
    assert all(line.startswith(("data: {", "id: ", ":")) for line in lines)
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data")]
    said = "".join(event["text"] for event in events if event["kind"] == "output")
    assert "\u202e" not in said
    assert "sa\\u202efe" in said
    assert events[-1]["kind"] == "finished"
    last = [line for line in lines if line.startswith("id: ")][-2].removeprefix("id: ")
    rest = await ben.get(f"/runs/{result.run_id}/events", **{"Last-Event-ID": last})
    assert rest.text.count("data: {") == 1


class Liar:
    """A value whose every word breaks."""

    shape = (2,)

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __getitem__(self, key: object) -> object:
        raise MemoryError


async def test_values_are_shown_whatever_they_are() -> None:
    import numpy as np
    import pandas as pd

    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    frame = pd.DataFrame({EVIL: [1.5, 2.5], "b": [EVIL, None]})
    shown = shown_values(
        {"liar": Liar(), "deep": deep, "frame": frame, "wide": np.zeros((100, 100)), "odd": {1: object()}, "x": b"\xff"}
    )
    by_name = {value.name: value for value in shown}
    assert by_name["liar"].text.startswith("Liar that cannot be shown")
    assert by_name["deep"].text.startswith("list that cannot be shown")
    assert by_name["frame"].rows[0][:2] == ("0", "1.5")
    assert (len(by_name["wide"].rows), len(by_name["wide"].rows[0])) == (40, 16)


async def test_a_picture_is_what_is_in_it_whatever_its_name_says() -> None:
    assert picture_type(b"\x89PNG\r\n\x1a\n rest") == "image/png"
    assert picture_type(b"  <?xml version='1.0'?><svg>") == "image/svg+xml"
    assert picture_type(b"<html><svg>") is None
    assert picture_type(b"") is None


async def test_a_notebook_that_is_none_is_none(tmp_path: Path) -> None:
    for number, content in enumerate(("", "[]", "{}", '{"cells": 1}', '{"cells": [1]}', "[" * 100_000, "\xff")):
        path = tmp_path / f"{number}.ipynb"
        path.write_text(content)
        assert notebook_cells(path) is None, content[:20]
    path.write_text('{"cells": [{"cell_type": "code", "outputs": [{"data": {"image/png": "\\"><script>"}}]}]}')
    cells = notebook_cells(path)
    assert cells is not None
    assert cells[0].outputs == ()


async def test_long_code_is_shown_around_its_findings_and_says_what_is_left_out() -> None:
    shown = listing("x = 1\n" * 5000 + "y = '" + "a" * 5000 + "'" + " " * 200 + "\n")
    assert shown.total == 5001
    assert sum(line.skipped for line in shown.lines) + len(shown.lines) + shown.skipped == 5001
    assert shown.lines[-1].cut == 5000 + 6 - 2000 + len("  ⟨200 spaces⟩  ")
    assert all("".join(text for _, text in line.pieces) == "x = 1" for line in shown.lines[:-1])
