"""The pages in a real Chromium: what is seen, what the keyboard reaches, and what of a hostile run does not run."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from playwright.async_api import Browser, Page, async_playwright, expect

from osprey_executor import Approve, Reject

from .conftest import Site

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]
PATIENCE = 60_000
"""Milliseconds."""
WRITE = """
from osprey_executor.runtime import read_channel, write_channel
write_channel("SEEN:{n}:SP", 1.5)
results = {{"value": read_channel("SEEN:{n}:SP")}}
"""
EVIL = "<script>top.document.title='taken'; fetch('/taken')</script><img src=x onerror=\"top.document.title='taken'\">"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'
HASTE = "const later = setTimeout; window.setTimeout = (work, after) => later(work, after / 10);"
"""Pages ask ten times as often as they would: nobody waits for what is only pauses."""
LIVE = """
import time
from osprey_executor.runtime import progress, read_channel
print("it <b>goes</b> on", flush=True)
progress(0.25, "a quarter")
while True:
    time.sleep(0.1)
"""


@dataclass
class Desktop:
    """A browser next to a served site, and all that it complained of."""

    site: Site
    browser: Browser
    where: str
    complaints: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def page(self, name: str | None, **how: Any) -> AsyncGenerator[Page]:
        """Yield a page of a fresh profile; of somebody who has signed in."""
        context = await self.browser.new_context(base_url=self.where, **how)
        context.set_default_timeout(PATIENCE)
        await context.add_init_script(HASTE)
        page = await context.new_page()
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        try:
            if name is not None:
                await page.goto("/approvals")
                await page.get_by_label("Your token").fill(self.site.tokens[name])
                await page.get_by_role("button", name="Sign in").click()
                await expect(page.get_by_role("heading", name="Approvals")).to_be_visible()
                self.complaints.clear()  # of the 401 with which a stranger was met
            yield page
        finally:
            await context.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desktop(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Desktop]:
    """One service, one server and one browser for the whole module."""
    from .conftest import CONFIG, site_of

    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    assert found, "the tests of the pages need Chromium: sh tools/programs.sh installs it"
    site = site_of(tmp_path_factory.mktemp("seen"), CONFIG)
    config = uvicorn.Config(site.app, port=0, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    async with site.service, async_playwright() as playwright:
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.05)
        where = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        browser = await playwright.chromium.launch(executable_path=found, args=FLAGS, timeout=2 * PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield Desktop(site, browser, where)
        await browser.close()
        server.should_exit = True
        await serving


async def test_an_approver_is_shown_a_card_live_and_approves_what_it_shows(desktop: Desktop) -> None:
    site = desktop.site
    link = site.app.state.sessions.link(site.tokens["ben"])
    async with desktop.page(None) as page:
        await page.goto(f"/sign-in/{link}")
        await expect(page.get_by_text("Nothing waits.")).to_be_visible()
        run, other = await site.asked(WRITE.format(n=1), task="shown live"), await site.asked(WRITE.format(n=1))
        await page.get_by_role("link", name="Writes to SEEN:1:SP").first.click()  # it came by itself
        await expect(page).to_have_url(f"{desktop.where}/approvals/{run.run_id}")
        await expect(page).to_have_title("(2) Approval · osprey-executor")
        await expect(page.get_by_text("✓ unchanged")).to_be_visible()
        await expect(page.get_by_text("in 23 h")).to_be_visible()
        # Somebody else moves the channel, and moves it back.
        now = await site.service.present(await site.service.card(run.run_id))
        desk = site.desk("ben")
        await desk.decide(other.run_id, Approve((await desk.card(other.run_id)).digest))
        await site.ended(other.run_id)
        await expect(page.locator("#drift")).to_contain_text("1 of 1 channels are not as this card shows (SEEN:1:SP)")
        await expect(page.get_by_text("⚠ now 1.5")).to_be_visible()
        connector = (await site.service._executor.equipment.of(site.service.config)).broker.connector
        await connector.write("SEEN:1:SP", float(now[0].shown))
        await expect(page.locator("#drift")).to_be_hidden()
        # Stopped by somebody else: no click is needed to see it.
        await desk.stop_writes("to be seen")
        await expect(page.get_by_text("Approved now, it would write nothing")).to_be_visible()
        await expect(page.locator("#standing")).to_contain_text("STOPPED")
        await desk.allow_writes()
        await expect(page.get_by_text("Approved now, it would write nothing")).to_be_hidden()
        # The button alone approves nothing.
        await page.get_by_role("button", name="Approve the plan").click()
        assert page.url == f"{desktop.where}/approvals/{run.run_id}"
        assert (await site.service.summary(run.run_id)).state == "awaiting_approval"
        await page.get_by_label("I have looked at the write").check()
        await page.get_by_role("button", name="Approve the plan").click()
        await expect(page).to_have_url(f"{desktop.where}/runs/{run.run_id}")
        await expect(page.get_by_text("Succeeded", exact=True)).to_be_visible()
        await expect(page.get_by_text("ben approved it")).to_be_visible()
    assert not desktop.complaints


async def test_a_card_that_is_over_says_so_while_it_is_looked_at(desktop: Desktop) -> None:
    site = desktop.site
    first, second = await site.asked(WRITE.format(n=2)), await site.asked(WRITE.format(n=3))
    async with desktop.page("ben") as page:
        await page.goto(f"/approvals/{first.run_id}")
        await site.desk("cleo").decide(first.run_id, Reject("not now"))
        await expect(page.locator("#over")).to_contain_text("cleo rejected it: not now")
        await expect(page.get_by_role("button", name="Approve the plan")).to_be_disabled()
        await expect(page.get_by_role("button", name="Reject")).to_be_disabled()
        soon = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
        await site.service._executor.store._execute(
            "UPDATE cards SET expires_at = ?, card = json_set(card, '$.expires_at', ?) WHERE run_id = ?",
            (soon, soon, second.run_id),
        )
        await page.goto(f"/approvals/{second.run_id}")
        await expect(page.locator("#over")).to_contain_text("This card has expired")
        await expect(page.get_by_role("button", name="Approve the plan")).to_be_disabled()
        await site.service.cancel(second.run_id)
        # A service that does not answer is not taken for one that has nothing to say.
        await page.goto("/machine")
        await page.context.set_offline(True)
        await expect(page.locator("#offline")).to_contain_text("what you see may be old")
        await page.context.set_offline(False)
        await expect(page.locator("#offline")).to_be_hidden()
    desktop.complaints.clear()  # of the connection that was taken away


async def test_nothing_of_a_hostile_run_runs(desktop: Desktop) -> None:
    site = desktop.site
    code = f"""
from pathlib import Path
print({EVIL!r})
Path("page.html").write_text("<p>shown</p>" + {EVIL!r})
Path("pic.svg").write_text({SVG!r})
Path("book.ipynb").write_text({json.dumps({"cells": [{"cell_type": "markdown", "source": EVIL}]})!r})
results = {{"claim": {EVIL!r}}}
"""
    result = await site.run(code, task=EVIL)
    async with desktop.page("ben") as page:
        base, asked = f"/runs/{result.run_id}", []
        page.on("request", lambda request: asked.append(request.url))
        free = await page.context.new_page()
        await free.set_content(f"<title>free</title>{EVIL}")  # it would run, where nothing holds it
        await expect(free).to_have_title("taken")
        for place in ("/runs", base, f"{base}/look/pic.svg", f"{base}/look/book.ipynb"):
            await page.goto(place)
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert await page.title() != "taken"
        assert not desktop.complaints
        await page.goto(f"{base}/look/pic.svg")
        assert (
            await page.locator("figure img").evaluate("picture => picture.decode().then(() => picture.naturalWidth)")
            == 9
        )
        await page.goto(f"{base}/look/page.html")
        frame = page.frame_locator("iframe")
        await expect(frame.get_by_text("shown")).to_be_visible()
        assert await page.title() == "page.html · osprey-executor"
        # Opened by itself, a frame's address has no more power, and a file is kept, not opened.
        await page.goto(f"{base}/framed/page.html")
        assert await page.evaluate("window.origin") == "null"
        async with page.expect_download() as download:
            await page.evaluate(f"location.href = '{base}/files/page.html'")
        assert (await download.value).suggested_filename == "page.html"
        assert not [url for url in asked if url.endswith("/taken")]
    assert any("Blocked script execution" in one and "sandbox" in one for one in desktop.complaints)
    desktop.complaints.clear()


async def test_a_run_is_watched_and_stopped_from_a_phone_by_keyboard_in_the_dark(desktop: Desktop) -> None:
    site = desktop.site
    how: dict[str, Any] = {
        "viewport": {"width": 360, "height": 740},
        "color_scheme": "dark",
        "reduced_motion": "reduce",
    }
    waiting = await site.asked(WRITE.format(n=5), by="cleo")
    done = await site.run("results = {'a': list(range(400))}", task="x" * 300)
    async with desktop.page("cleo", **how) as page:
        await page.goto("/new")
        await page.get_by_label("What is to be done").fill("watch me")
        await page.get_by_label("Code of your own").fill(LIVE)
        await page.get_by_role("button", name="Begin").click()
        await expect(page.locator("#output")).to_have_text("it <b>goes</b> on\n")
        await expect(page.locator("#progress")).to_contain_text("25 % a quarter")
        assert await page.locator("#output b").count() == 0
        run = page.url.rsplit("/", 1)[-1]
        await page.get_by_role("button", name="Cancel the run").click()
        await expect(page.get_by_text("Cancelled", exact=True)).to_be_visible()
        assert (await site.service.summary(run)).state == "cancelled"
        cards = [f"/approvals/{waiting.run_id}", f"/approvals/{waiting.run_id}/edit", f"/runs/{done.run_id}"]
        for place in ("/approvals", "/runs", "/machine", "/handover", "/new", "/health", *cards):
            await page.goto(place)
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert width <= 360, (place, width)
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 19, 24)"
        # The keyboard alone: past the frame in one step, everything with a visible focus, the stop within reach.
        await page.goto("/runs")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"
        await page.goto("/runs")
        for _ in range(40):
            await page.keyboard.press("Tab")
            outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid", await page.evaluate("document.activeElement.outerHTML")
            if await page.evaluate("document.activeElement.id") == "stop":
                break
        await page.keyboard.press("Enter")
        await expect(page.locator("#standing")).to_contain_text(
            "STOPPED. No program writes: writes are stopped by cleo"
        )
        await page.get_by_role("link", name="Machine").first.click()
        await page.get_by_label("The machine was looked at").check()
        await page.get_by_role("button", name="Allow writes again").click()
        await expect(page.get_by_role("button", name="Stop all writes").first).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("Your token")).to_be_visible()
    await site.service.cancel(waiting.run_id)
