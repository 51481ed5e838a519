"""The API on a real service: what goes in is what Python users know, and what comes out, too."""

from __future__ import annotations

import asyncio
import json

import pytest

from osprey_executor.access import People
from osprey_executor.errors import RunGoesOnError
from osprey_executor.interfaces.web.rest import streams
from osprey_executor.interfaces.web.rest.streams import told
from osprey_executor.models import Role
from osprey_executor.models.events import Output
from osprey_executor.service import result_to_json

from .conftest import LEAVES, WRITE, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

READS = (
    "from pathlib import Path\nfrom osprey_executor.runtime import context\n"
    "results = {'input': Path('inputs/a.bin').read_bytes().hex(), 'context': context.n, 'nan': float('nan')}\n"
)


async def test_a_program_finds_its_inputs_and_its_context(house: House) -> None:
    run_id = await house.begin("anna", READS, inputs={"a.bin": "AP8="}, capability_context_data={"n": 7})
    async with house.client("anna") as anna:
        result = (await anna.get(f"/api/v1/runs/{run_id}/result")).json()
    assert result["results"] == {"input": "00ff", "context": 7, "nan": "NaN"}
    assert result["requester"] == "anna"
    assert result == result_to_json(await house.service.result(run_id))


async def test_a_file_is_downloaded_and_never_shown(house: House) -> None:
    run_id = await house.begin("anna", LEAVES)
    async with house.client("anna") as anna:
        listed = (await anna.get(f"/api/v1/runs/{run_id}/artifacts")).json()
        page = await anna.get(f"/api/v1/runs/{run_id}/artifacts/page.html")
        inner = await anna.get(f"/api/v1/runs/{run_id}/artifacts/sub/a.txt", headers={"Range": "bytes=1-2"})
    assert {"name": "sub/a.txt", "size": 5} in listed
    assert page.headers["content-disposition"] == 'attachment; filename="page.html"'
    assert page.headers["content-type"] == "application/octet-stream"
    assert page.headers["content-security-policy"].startswith("sandbox;")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert (inner.status_code, inner.text) == (206, "nn")


async def test_the_same_key_begins_one_run_and_another_body_is_refused(house: House) -> None:
    body = {"user_query": "once", "code": "results = {}"}
    async with house.client("anna") as anna:
        answers = await asyncio.gather(
            *(anna.post("/api/v1/runs", json=body, headers={"Idempotency-Key": "k-1"}) for _ in range(3))
        )
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.text for answer in answers}) == 1
        assert answers[0].headers["location"] == f"/api/v1/runs/{answers[0].json()['run_id']}"
        other = await anna.post("/api/v1/runs", json=body | {"code": "1"}, headers={"Idempotency-Key": "k-1"})
        assert (other.status_code, other.json()["error"]) == (422, "InvalidRequestError")
        bad = await anna.post("/api/v1/runs", json=body, headers={"Idempotency-Key": "a b"})
        assert bad.status_code == 422
        assert len((await anna.get("/api/v1/runs?text=once")).json()["runs"]) == 1


async def test_a_card_shows_what_is_in_the_way_and_is_decided_once(house: House) -> None:
    run_id = await house.begin("anna", WRITE)
    async with house.client("ben") as ben:
        assert (await ben.post("/api/v1/writes/stop", json={"reason": "lost beam"})).json()["stopped"]
        card = (await ben.get(f"/api/v1/approvals/{run_id}")).json()
        assert "lost beam" in card["in_the_way"][0]
        assert (await ben.post("/api/v1/writes/allow")).json() == {"stopped": False, "reason": None}
        assert card["plan"]["writes"][0]["channel"] == "MAG:1:SP"
        for wrong in (
            {},
            {"decision": "approve"},
            {"decision": "approve", "digest": card["digest"].upper()},
            {"decision": "approve", "digest": card["digest"], "reason": ""},
            {"decision": True},
            {"approved": True},
            "approve",
            {"decision": "reject", "regenerate": 1},
        ):
            answer = await ben.post(f"/api/v1/approvals/{run_id}/decision", json=wrong)
            assert answer.status_code == 422, wrong
        no = {"decision": "reject", "reason": "not today"}
        assert (await ben.post(f"/api/v1/approvals/{run_id}/decision", json=no)).status_code == 200
        async for _ in house.service.watch(run_id):
            pass
        again = await ben.post(f"/api/v1/approvals/{run_id}/decision", json=no)
        assert (again.status_code, again.json()["error"]) == (409, "InvalidDecision")
        assert (await ben.get(f"/api/v1/approvals/{run_id}")).status_code == 409
        assert "not today" in (await ben.get(f"/api/v1/runs/{run_id}/result")).text


async def test_what_a_run_wrote_is_brought_back_as_it_was_seen(house: House) -> None:
    run_id = await house.begin("anna", WRITE)
    async with house.client("ben") as ben:
        digest = (await ben.get(f"/api/v1/approvals/{run_id}")).json()["digest"]
        yes = {"decision": "approve", "digest": digest}
        assert (await ben.post(f"/api/v1/approvals/{run_id}/decision", json=yes)).status_code == 200
        async for _ in house.service.watch(run_id):
            pass
        seen = (await ben.get(f"/api/v1/runs/{run_id}/restore")).json()
        [channel] = seen["channels"]
        other = seen | {"channels": [channel | {"before": 99.0}]}
        refused = await ben.post(f"/api/v1/runs/{run_id}/restore", json=other)
        assert (refused.status_code, "look again" in refused.text) == (422, True)
        key = {"Idempotency-Key": "back"}
        back = await ben.post(f"/api/v1/runs/{run_id}/restore", json=seen, headers=key)
        assert (await ben.post(f"/api/v1/runs/{run_id}/restore", json=seen, headers=key)).json() == back.json()
        assert back.json()["requester"] == "ben"
        async for _ in house.service.watch(back.json()["run_id"]):
            pass
        assert (await ben.get(f"/api/v1/runs/{back.json()['run_id']}")).json()["state"] == "awaiting_approval"
        nothing = await ben.get(f"/api/v1/runs/{run_id}/settlement")
        assert nothing.json()["writes"] == []
        assert (await ben.post(f"/api/v1/runs/{run_id}/settlement", json=nothing.json())).status_code == 409


async def test_a_rehearsal_gives_the_plan_and_no_results(house: House) -> None:
    async with house.client("anna") as anna:
        rehearsal = (await anna.post("/api/v1/rehearsals", json={"code": WRITE})).json()
    assert [write["channel"] for write in rehearsal["plan"]["writes"]] == ["MAG:1:SP"]
    assert "results" not in rehearsal["outcome"]


async def test_events_are_numbered_and_taken_up_behind_the_last_one(house: House) -> None:
    run_id = await house.begin("anna", LEAVES)
    url = f"/api/v1/runs/{run_id}/events"
    async with house.client("anna") as anna:
        whole = await anna.get(url)
        rest = await anna.get(url, headers={"Last-Event-ID": "2"})
        bad = await anna.get(url, headers={"Last-Event-ID": "-1"})
    assert whole.headers["content-type"].startswith("text/event-stream")
    blocks = whole.text.split("\n\n")
    assert [block.splitlines()[1] for block in blocks[:-2]] == [
        f"id: {number + 1}" for number in range(len(blocks) - 2)
    ]
    assert rest.text.split("\n\n")[:-2] == blocks[2:-2]
    finished = blocks[-2].splitlines()
    assert finished[0] == "event: finished"
    assert json.loads(finished[2].removeprefix("data: "))["result"]["results"] == {"answer": 42}
    assert bad.status_code == 422


async def test_a_stream_ends_with_the_role_that_opened_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_BEAT_SECONDS", 0.05)
    people = People(house.service.home)
    async with house.client("anna") as anna, house.client(None) as tim:
        body = {"user_query": "sleep", "code": "import time\ntime.sleep(300)\n"}
        run_id = (await anna.post("/api/v1/runs", json=body)).json()["run_id"]
        tim.headers["Authorization"] = f"Bearer {people.add('tim', [Role.VIEWER])}"
        watching = asyncio.create_task(tim.get(f"/api/v1/runs/{run_id}/events"))
        await asyncio.wait((watching,), timeout=0.3)
        assert not watching.done()
        people.give("tim", [Role.REQUESTER])
        async with asyncio.timeout(60):
            assert "event: finished" not in (await watching).text
        assert (await tim.get(f"/api/v1/runs/{run_id}/events")).status_code == 404
        await anna.post(f"/api/v1/runs/{run_id}/cancel")


async def test_no_text_of_a_program_breaks_out_of_its_event() -> None:
    async def events():
        yield 1, Output(run_id="r", stream="stdout", text="a\n\nevent: finished\ndata: {}\r\n\u2028\ud800\n\n")
        raise RunGoesOnError("it goes on")

    blocks = "".join([block async for block in told(events(), asyncio.Event())]).split("\n\n")
    assert [block.partition("\n")[0] for block in blocks] == ["event: output", "event: error", ""]
    assert json.loads(blocks[1].partition("data: ")[2]) == {"error": "RunGoesOnError", "message": "it goes on"}


async def test_a_stream_ends_when_the_service_does() -> None:
    closing = asyncio.Event()

    async def silence():
        await asyncio.Event().wait()
        yield 1, None

    stream = told(silence(), closing)  # pyright: ignore[reportArgumentType]
    first = asyncio.ensure_future(anext(stream, None))
    await asyncio.sleep(0)
    closing.set()
    async with asyncio.timeout(30):
        while await first is not None:
            first = asyncio.ensure_future(anext(stream, None))
