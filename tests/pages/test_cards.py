"""The card on its page, and what becomes of a decision: exactly what was seen is approved, or nothing is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from osprey_executor import Approve, Edit, Reject, RunStatus
from osprey_executor.interfaces.web.pages import inbox
from osprey_executor.models import MachineEffects

from .conftest import Browser, Site, text_of

pytestmark = pytest.mark.asyncio(loop_scope="package")
WRITE = """
from osprey_executor.runtime import read_channel, write_channel
write_channel("CARD:{n}:SP", 1.5)
results = {{"value": read_channel("CARD:{n}:SP")}}
"""
MANY = """
from osprey_executor.runtime import write_channel
for number in range(32):
    write_channel(f"MANY:{number:02d}:SP", number / 10)
    if number == 5:
        write_channel("MANY:00:SP", 7)
print("moved nothing")
results = {}
"""
LOOP = """
from osprey_executor.runtime import declare_writes, read_channel, write_channel
declare_writes({"LOOP:1:SP": (-1.0, 1.0)})
write_channel("LOOP:1:SP", 0.5)
if read_channel("LOOP:BPM") < 100:
    write_channel("LOOP:1:SP", 0.25)
results = {}
"""


async def decided(browser: Browser, run_id: str, how: str, nth: int = 0, **fields: str) -> str:
    answer = await browser.fill(
        await browser.get(f"/approvals/{run_id}"), f"/approvals/{run_id}/{how}", nth=nth, **fields
    )
    assert answer.status_code == 200, answer.text
    assert answer.url.path == f"/runs/{run_id}"
    return answer.text


async def test_the_card_says_what_where_and_how_much(site: Site) -> None:
    run = await site.asked(WRITE.format(n=1), task="set the first one")
    page = await (await site.browser("ben")).get(f"/approvals/{run.run_id}")
    words = text_of(page)
    for part in (
        "Writes to CARD:1:SP on the mock control system",
        "set the first one",
        "For anna. Asked because it tries to write",
        "1 CARD:1:SP",
        "1.5",
        "no limits are",
        "full, proven",
        "I have looked at the write: exactly it, on mock.",
        "Rehearsal, machine not moved",
        "writes a channel: CARD:1:SP",
    ):
        assert part in words, part
    card = await site.service.card(run.run_id)
    assert page.text.count(card.digest) >= 3
    assert 'id="L3"' in page.text
    assert 'href="#L3"' in page.text
    await site.service.cancel(run.run_id)


async def test_many_writes_are_told_by_channel_first_and_each_in_its_order(site: Site) -> None:
    run = await site.asked(MANY)
    page = await (await site.browser("ben")).get(f"/approvals/{run.run_id}")
    words = text_of(page)
    assert "Final against start 33 writes to 32 channels" in words
    first, every = words.split("Every write, in its order")
    assert first.count("MANY:00:SP") == 1
    assert re.findall(r"\d+ MANY:00:SP [\d.-]+ ([\d.]+)", every) == ["0", "7"]
    assert re.search(r"MANY:00:SP [\d.-]+ 7 [+-][\d.]+ 2 0 to 7", first)
    assert "moved nothing" in words
    await site.service.cancel(run.run_id)


async def test_approving_the_plan_runs_it_in_the_name_of_who_did(site: Site) -> None:
    run, ben = await site.asked(WRITE.format(n=2)), await site.browser("ben")
    page = await ben.get(f"/approvals/{run.run_id}")
    unsure = await ben.fill(page, f"/approvals/{run.run_id}/approve")
    assert (unsure.status_code, "nothing was approved" in unsure.text) == (422, True)
    assert (await site.service.summary(run.run_id)).state == "awaiting_approval"
    await decided(ben, run.run_id, "approve", sure="yes")
    result = await site.ended(run.run_id)
    assert (result.status, result.approver, result.effects) == (
        RunStatus.SUCCEEDED,
        "ben",
        MachineEffects.WRITTEN,
    )
    words = text_of(await ben.get(f"/runs/{run.run_id}"))
    assert "ben approved it" in words
    assert "CARD:2:SP" in words
    assert "✓ confirmed" in words


async def test_the_envelope_is_another_decision_and_explained(site: Site) -> None:
    run, ben = await site.asked(LOOP), await site.browser("ben")
    page = await ben.get(f"/approvals/{run.run_id}")
    words = text_of(page)
    assert "This program answers to what it reads" in words
    assert "any value in these ranges, in any order" in words
    assert '<details class="envelope" open>' in page.text
    card = await site.service.card(run.run_id)
    assert card.envelope is not None
    await decided(ben, run.run_id, "approve", nth=1, sure="yes")
    result = await site.ended(run.run_id)
    assert result.status is RunStatus.SUCCEEDED
    assert result.digest == card.digest or result.digest == card.envelope.digest
    assert "ben approved its envelope" in text_of(await ben.get(f"/runs/{run.run_id}"))


async def test_of_two_approvers_one_is_told_who_was_first_and_how(site: Site) -> None:
    run = await site.asked(WRITE.format(n=3))
    ben, cleo = await site.browser("ben"), await site.browser("cleo")
    hers = await cleo.get(f"/approvals/{run.run_id}")
    await decided(ben, run.run_id, "reject", reason="not now")
    await site.ended(run.run_id)
    late = await cleo.fill(hers, f"/approvals/{run.run_id}/approve", sure="yes")
    assert late.status_code == 409
    words = text_of(late)
    assert "Nothing was decided by you" in words
    assert "ben was first: ben rejected it: not now, at" in words
    assert "Rejected" in words
    assert (await site.service.result(run.run_id)).effects is MachineEffects.NONE


async def test_an_edit_comes_back_with_its_changes_and_the_older_digest_is_refused(site: Site) -> None:
    run = await site.asked(WRITE.format(n=4))
    ben, cleo = await site.browser("ben"), await site.browser("cleo")
    hers = await cleo.get(f"/approvals/{run.run_id}")
    form = await ben.get(f"/approvals/{run.run_id}/edit")
    same = await ben.fill(form, f"/approvals/{run.run_id}/edit")
    assert (same.status_code, "as it was" in same.text) == (422, True)
    new = WRITE.format(n=4).replace("1.5", "0.75").replace("\n", "\r\n")  # as browsers send it
    assert (await ben.fill(form, f"/approvals/{run.run_id}/edit", code=new)).status_code == 200
    await site.ended(run.run_id)
    card = await site.service.card(run.run_id)
    assert "\r" not in card.code
    for late in (
        await cleo.fill(hers, f"/approvals/{run.run_id}/approve", sure="yes"),
        await ben.fill(form, f"/approvals/{run.run_id}/edit", code="x = 1"),
    ):
        words = text_of(late)
        assert late.status_code == 409
        assert "ben was first" in words
        assert 'removed write_channel("CARD:4:SP", 1.5)' in words
        assert 'added write_channel("CARD:4:SP", 0.75)' in words
        assert "write 1: CARD:4:SP = 0.75, before CARD:4:SP = 1.5" in words
        assert "Look at the card that waits now" in words
    words = text_of(await cleo.get(f"/approvals/{run.run_id}"))
    assert "Changed since the card before ben changed its code" in words
    assert 'added write_channel("CARD:4:SP", 0.75)' in words
    await decided(cleo, run.run_id, "approve", sure="yes")
    assert (await site.ended(run.run_id)).writes[0].value == "0.75"


async def test_a_digest_that_no_card_ever_had_is_refused(site: Site) -> None:
    run, ben = await site.asked(WRITE.format(n=5)), await site.browser("ben")
    page = await ben.get(f"/approvals/{run.run_id}")
    for digest in ("0" * 64, "", "yes"):
        for wrong in ({"digest": digest}, {"digest": digest, "card": digest}):
            late = await ben.fill(page, f"/approvals/{run.run_id}/approve", sure="yes", **wrong)
            assert late.status_code == 409, (wrong, late.text)
    assert (await site.service.summary(run.run_id)).state == "awaiting_approval"
    await site.service.cancel(run.run_id)


async def test_expired_while_the_page_was_open(site: Site) -> None:
    run, ben = await site.asked(WRITE.format(n=6)), await site.browser("ben")
    page = await ben.get(f"/approvals/{run.run_id}")
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    store = site.service._executor.store
    await store._execute(
        "UPDATE cards SET expires_at = ?, card = json_set(card, '$.expires_at', ?) WHERE run_id = ?",
        (past, past, run.run_id),
    )
    late = await ben.fill(page, f"/approvals/{run.run_id}/approve", sure="yes")
    assert (late.status_code, "The card expired" in text_of(late)) == (409, True)
    await site.service.cancel(run.run_id)


async def test_cancelled_while_the_page_was_open(site: Site) -> None:
    run, ben = await site.asked(WRITE.format(n=7)), await site.browser("ben")
    page = await ben.get(f"/approvals/{run.run_id}")
    now = (await ben.get(f"/approvals/{run.run_id}/now?digest={(await site.service.card(run.run_id)).digest}")).json()
    assert now["over"] is None
    anna = await site.browser("anna")
    assert (
        await anna.fill(await anna.get(f"/approvals/{run.run_id}"), f"/runs/{run.run_id}/cancel")
    ).status_code == 200
    now = (await ben.get(f"/approvals/{run.run_id}/now?digest=x")).json()
    assert now["over"] == "This run does not wait any more. It is now: cancelled."
    late = await ben.fill(page, f"/approvals/{run.run_id}/approve", sure="yes")
    assert (late.status_code, "Cancelled" in text_of(late)) == (409, True)
    assert (await ben.get(f"/approvals/{run.run_id}")).url.path == f"/runs/{run.run_id}"


async def test_the_machine_is_looked_at_while_the_card_is(site: Site) -> None:
    run, other = await site.asked(WRITE.format(n=8)), await site.asked(WRITE.format(n=8).replace("1.5", "2"))
    ben, desk = await site.browser("ben"), site.desk("ben")
    card = await desk.card(run.run_id)
    where = f"/approvals/{run.run_id}/now?digest={card.digest}"
    now = (await ben.get(where)).json()
    assert (now["in_the_way"], [one["drifted"] for one in now["present"]]) == ([], [False])
    await desk.decide(other.run_id, Approve((await desk.card(other.run_id)).digest))
    await site.ended(other.run_id)
    now = (await ben.get(where)).json()
    assert [(one["shown"], one["drifted"]) for one in now["present"]] == [("2.0", True)]
    await desk.stop_writes("look")
    try:
        assert "look" in (await ben.get(where)).json()["in_the_way"][0]
        assert "Approved now, it would write nothing" in text_of(await ben.get(f"/approvals/{run.run_id}"))
        assert "STOPPED. No program writes" in text_of(await ben.get("/approvals"))
    finally:
        await desk.allow_writes()
    await desk.decide(run.run_id, Edit(card.code + "\n"))
    await site.ended(run.run_id)
    assert "replaced by another one" in (await ben.get(where)).json()["over"]
    await desk.decide(run.run_id, Reject("no"))
    await site.ended(run.run_id)
    assert "ben rejected it: no" in (await ben.get(where)).json()["over"]


async def test_a_rejection_needs_a_reason(site: Site) -> None:
    run, ben = await site.asked(WRITE.format(n=9)), await site.browser("ben")
    page = await ben.get(f"/approvals/{run.run_id}")
    assert "Let the generator try again" not in page.text  # a person wrote it
    empty = await ben.fill(page, f"/approvals/{run.run_id}/reject", reason="  ")
    assert (empty.status_code, "say why" in empty.text) == (422, True)
    await decided(ben, run.run_id, "reject", reason="too much")
    assert str((await site.ended(run.run_id)).error).endswith("too much")


async def test_the_inbox_has_pages_the_oldest_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ben = await site.browser("ben")
    for waiting in (await site.desk("ben").pending(limit=100)).approvals:  # of tests that did not come to their end
        await site.service.cancel(waiting.run_id)
    assert "Nothing waits." in text_of(await ben.get("/approvals"))
    first, second = [(await site.asked(WRITE.format(n=20 + i))).run_id for i in range(2)]
    monkeypatch.setattr(inbox, "_SIZE", 1)
    page = await ben.get("/approvals")
    assert (first in page.text, second in page.text) == (True, False)
    assert "2 wait for one" in page.text
    following = re.search(r'href="(/approvals\?after=[^"]+)"', page.text)
    assert following is not None
    page = await ben.get(unescape(following[1]))
    assert (first in page.text, second in page.text) == (False, True)
    assert "From the beginning" in page.text
    assert (await ben.get("/approvals?after=rubbish")).status_code == 422
    for run_id in (first, second):
        await site.service.cancel(run_id)
