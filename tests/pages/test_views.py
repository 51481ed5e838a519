"""The other pages: runs and their search, the machine and its switch, hand-over, the way back, a new task, health."""

from __future__ import annotations

import asyncio

import pytest

from osprey_executor import Approve, RunStatus
from osprey_executor.models import MachineEffects, Probe, Write
from osprey_executor.storage import Lease

from .conftest import Site, text_of

pytestmark = pytest.mark.asyncio(loop_scope="package")
WRITE = "from osprey_executor.runtime import write_channel\nwrite_channel('{channel}', 1.5)\nresults = {{'a': 1}}\n"
WAITS = """
import time
from osprey_executor.runtime import progress, read_channel, write_channel
write_channel("VIEW:LIVE:SP", 1.5)
print("it goes on", flush=True)
progress(0.25, "a quarter")
while read_channel("VIEW:GO") != 1:
    time.sleep(0.05)
results = {}
"""


async def written(site: Site, channel: str, task: str = "a program") -> str:
    run = await site.asked(WRITE.format(channel=channel), task=task)
    desk = site.desk("ben")
    await desk.decide(run.run_id, Approve((await desk.card(run.run_id)).digest))
    assert (await site.ended(run.run_id)).effects is MachineEffects.WRITTEN
    return run.run_id


async def test_runs_are_found_by_words_people_and_states(site: Site) -> None:
    good = (await site.run("results = {}", task="measure the tune", by="cleo")).run_id
    bad = (await site.run("1 / 0", task="divide by nothing")).run_id
    ben = await site.browser("ben")
    found = (await ben.get("/runs?q=TUNE&person=cleo")).text
    assert (good in found, bad in found) == (True, False)
    found = (await ben.get("/runs?state=failed")).text
    assert (good in found, bad in found) == (False, True)
    assert "No run is like that." in (await ben.get("/runs?q=nothing-at-all")).text
    assert '<option value="failed" selected>' in (await ben.get("/runs?state=failed&q=x")).text
    words = text_of(await ben.get(f"/runs/{bad}"))
    assert "Failed" in words
    assert "ZeroDivisionError" in words
    assert (await ben.get(f"/runs/{bad[:-1]}")).url.path == f"/runs/{bad}"


async def test_a_run_shows_what_it_gave(site: Site) -> None:
    code = (
        "import numpy as np, pandas as pd, matplotlib.pyplot as plt\n"
        "from pathlib import Path\nplt.plot([1, 2])\nprint('said')\nPath('kept.txt').write_text('in it')\n"
        "results = {'frame': pd.DataFrame({'col': [1.25, 2.5]}), 'array': np.arange(3.0), 'note': {'a': [1]}}\n"
    )
    result = await site.run(code)
    assert result.status is RunStatus.SUCCEEDED, result.error
    vera = await site.browser("vera")
    page = await vera.get(f"/runs/{result.run_id}")
    words = text_of(page)
    for part in ("Succeeded", "wrote nothing", "col", "1.25", "said", "kept.txt", "claims of the program"):
        assert part in words, part
    picture = page.text.split('<img src="')[1].split('"')[0]
    assert (await vera.get(picture)).headers["content-type"] == "image/png"
    assert "in it" in (await vera.get(f"/runs/{result.run_id}/look/kept.txt")).text
    notebook = await vera.get(f"/runs/{result.run_id}/look/notebook.ipynb")
    assert "plt.plot" in notebook.text
    assert 'src="data:image/png;base64,' in notebook.text


async def test_who_writes_now_is_seen_and_stopped(site: Site) -> None:
    ben, anna = await site.browser("ben"), await site.browser("anna")
    assert "No run holds any channel" in text_of(await ben.get("/machine"))
    await written(site, "VIEW:GO")
    config = site.service.config
    site.service.config = config.model_copy(
        update={"approval": config.approval.model_copy(update={"rehearsal_timeout": 1.0})}
    )
    try:
        run = await site.asked(WAITS.replace("!= 1", "!= 2"))
    finally:
        site.service.config = config
    desk = site.desk("ben")
    page = await ben.fill(await ben.get(f"/approvals/{run.run_id}"), f"/approvals/{run.run_id}/approve", sure="yes")
    assert "Going on" in page.text
    async with asyncio.timeout(60):
        while "VIEW:LIVE:SP" not in text_of(await ben.get("/machine/now")).split("so far")[-1]:
            await asyncio.sleep(0.05)
    words = text_of(await ben.get("/machine"))
    assert "approved by ben" in words
    assert "1 write so far" in words
    assert (await anna.get("/machine")).text.count(run.run_id) > 0  # her own
    assert run.run_id not in (await (await site.browser("eve")).get("/machine")).text
    page = await ben.get("/runs")
    stopped = await ben.fill(page, "/machine/stop")
    assert stopped.url.path == "/runs"
    for browser in (ben, anna):
        assert "STOPPED. No program writes: writes are stopped by ben" in text_of(await browser.get("/runs"))
        assert "Stop all writes" not in (await browser.get("/standing")).text
    assert "/machine/allow" not in (await anna.get("/machine")).text
    machine = await ben.get("/machine")
    assert (await ben.fill(machine, "/machine/allow")).status_code == 422
    assert await desk.stopped() is not None
    assert (await ben.fill(machine, "/machine/allow", sure="yes")).status_code == 200
    assert await desk.stopped() is None
    assert (await ben.fill(await ben.get(f"/runs/{run.run_id}"), f"/runs/{run.run_id}/cancel")).status_code == 200
    assert (await site.service.summary(run.run_id)).state == RunStatus.CANCELLED


async def test_what_a_run_wrote_goes_back_by_a_run_that_is_asked_about(site: Site) -> None:
    run = await written(site, "VIEW:BACK:SP", task="move it")
    ben = await site.browser("ben")
    assert f"/runs/{run}/restore" in (await ben.get(f"/runs/{run}")).text
    page = await ben.get(f"/runs/{run}/restore")
    assert "VIEW:BACK:SP" in page.text
    await written(site, "VIEW:BACK:SP".replace("BACK", "OTHER"))
    begun = await ben.fill(page, f"/runs/{run}/restore")
    assert begun.status_code == 200
    back = begun.url.path.rsplit("/", 1)[-1]
    assert (await site.ended(back)).status is RunStatus.AWAITING_APPROVAL
    assert (await site.service.summary(back)).requester == "ben"
    refused = await ben.fill(page, f"/runs/{run}/restore", mark="0" * 64)
    assert (refused.status_code, "look again" in refused.text) == (409, True)
    words = text_of(await ben.get("/handover"))
    assert "move it Succeeded" in words
    assert "a run for it Waits for approval" in words
    await site.service.cancel(back)


async def test_an_open_end_is_handed_over_until_somebody_has_looked(site: Site) -> None:
    run = await written(site, "VIEW:OPEN:SP")
    ben, store = await site.browser("ben"), site.service._executor.store
    machine = (await site.service._executor.equipment.of(site.service.config)).broker.machine
    await store.take_lease(run, Lease(machine, ("VIEW:OPEN:SP",)))
    await store.release_lease(run, [Write(channel="VIEW:OPEN:SP", previous="0.5", value="1.5", confirmed=False)])
    assert "VIEW:OPEN:SP was to be 1.5" in text_of(await ben.get("/handover"))
    assert f"/runs/{run}/settle" in (await ben.get(f"/runs/{run}")).text
    assert f"/runs/{run}/settle" not in (await (await site.browser("anna")).get(f"/runs/{run}")).text
    page = await ben.get(f"/runs/{run}/settle")
    assert "it was written" in text_of(page)
    assert (await ben.fill(page, f"/runs/{run}/settle")).status_code == 422
    stale = await ben.fill(page, f"/runs/{run}/settle", sure="yes", mark="x")
    assert (stale.status_code, "look again" in stale.text) == (409, True)
    assert len(await site.desk("ben").open_ends()) == 1
    done = await ben.fill(page, f"/runs/{run}/settle", sure="yes")
    assert done.status_code == 200
    assert await site.desk("ben").open_ends() == []
    assert "settled by ben" in text_of(done)


async def test_a_task_begins_with_its_files_or_comes_back_with_why(site: Site) -> None:
    cleo = await site.browser("cleo")
    page = await cleo.get("/new")
    fields = {"form_key": page.text.split('name="form_key" value="')[1].split('"')[0]}
    code = "print(open('inputs/a.txt').read())\r\nresults = {}"
    asked = fields | {"task": "read it", "code": code}
    begun = await cleo.send("/new", asked, files={"files": ("a.txt", b"from the form")})
    assert begun.status_code == 200, begun.text
    result = await site.ended(begun.url.path.rsplit("/", 1)[-1])
    assert (result.requester, "from the form" in result.stdout) == ("cleo", True)
    for task, files, why in (
        ("  ", None, "the task is empty"),
        ("x", {"files": ("../a", b"x")}, "is not a file name"),
    ):
        back = await cleo.send("/new", asked | {"task": task}, files=files)
        assert (back.status_code, why in text_of(back)) == (422, True)
        assert "open(&#39;inputs/a.txt&#39;)" in back.text


async def test_health_tells_what_is_configured_and_what_was_tried(site: Site) -> None:
    vera = await site.browser("vera")
    words = text_of(await vera.get("/health"))
    assert "mock, writes enabled" in words
    original = site.service.doctor
    try:
        site.service.doctor = _seen  # pyright: ignore[reportAttributeAccessIssue]
        tried = await vera.fill(await vera.get("/health"), "/health")
    finally:
        site.service.doctor = original  # pyright: ignore[reportAttributeAccessIssue]
    assert "the sandbox ✓ ok it held a channel ✗ FAILED <b>" in text_of(tried)
    assert "<b>" not in tried.text


async def _seen() -> list[Probe]:
    return [
        Probe(name="the sandbox", outcome="ok", detail="it held"),
        Probe(name="a channel", outcome="failed", detail="<b>"),
    ]


async def test_an_address_that_is_none_is_told_as_a_page(site: Site) -> None:
    ben = await site.browser("ben")
    for place, status in (("/runs/nowhere", 404), ("/approvals/nowhere", 404), ("/static/secret", 404)):
        page = await ben.get(place)
        assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
        assert 'role="alert"' in page.text


async def test_what_breaks_is_told_without_its_traceback(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    ben, original = await site.browser("ben"), site.service.find_runs
    try:
        site.service.find_runs = None  # pyright: ignore[reportAttributeAccessIssue]
        page = await ben.get("/runs")
    finally:
        site.service.find_runs = original  # pyright: ignore[reportAttributeAccessIssue]
    assert (page.status_code, "its log says how" in page.text) == (500, True)
    assert "Traceback" not in page.text
    assert "NoneType" in caplog.text
