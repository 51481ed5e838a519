"""Who comes in at the pages, by what, for how long, and what they may do there: a canary for each layer."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor.interfaces.web.pages import Sessions, page_routes
from osprey_executor.models import Role

from .conftest import CONFIG, HOST, Browser, Site, site_of, text_of

pytestmark = pytest.mark.asyncio(loop_scope="package")
WRITE = "from osprey_executor.runtime import write_channel\nwrite_channel('MAG:1:SP', 1.5)\nresults = {}\n"
OPEN = ("/static/{name}", "/sign-in", "/sign-in/{secret}", "/healthz")


def address(path: str) -> str:
    for name, value in {"run_id": "20260101-000000-0000", "name:path": "a.txt", "name": "a", "number": "1"}.items():
        path = path.replace(f"{{{name}}}", value)
    return path


async def test_a_stranger_gets_nothing_but_the_form_to_sign_in(site: Site) -> None:
    stranger = site.stranger()
    for method, path in [(method, route.path) for route in page_routes() for method in route.methods]:
        if path in OPEN:
            continue
        answer = await stranger.client.request(method, address(path), headers={"Origin": HOST})
        assert (answer.status_code, "Your token" in answer.text) == (401, True), (method, path)
        assert "anna" not in answer.text
    assert (await stranger.get("/healthz")).json() == {"status": "ok"}


async def test_a_token_opens_a_session_with_a_new_id_in_a_cookie_that_no_script_and_no_other_site_has(
    site: Site,
) -> None:
    browser = site.stranger()
    page = await browser.get("/runs")
    before = dict(browser.client.cookies)
    browser.client.follow_redirects = False
    came = await browser.fill(page, "/sign-in", token=site.tokens["ben"])
    assert (came.status_code, came.headers["location"]) == (303, "/runs")
    flags = came.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=strict" in flags
    assert "secure" not in flags  # http on loopback
    assert dict(browser.client.cookies) != before
    assert "ben" in (await browser.get("/approvals")).text
    # What somebody laid into the browser before is nobody's session, also after the sign-in.
    fixed = site.stranger()
    fixed.client.cookies.update(before)
    assert (await fixed.get("/approvals")).status_code == 401


async def test_a_session_over_tls_is_secure(site: Site) -> None:
    browser = site.stranger()
    answer = await browser.client.get(HOST.replace("http:", "https:") + "/sign-in")
    assert "secure" in answer.headers["set-cookie"].lower()
    # Where a proxy of the site ends TLS, the browser says so with its form.
    browser = site.stranger()
    browser.client.follow_redirects = False
    fields = {"form_key": key_of((await browser.get("/sign-in")).text), "token": site.tokens["ben"]}
    came = await browser.send("/sign-in", fields, origin=HOST.replace("http:", "https:"))
    assert (came.status_code, "; secure" in came.headers["set-cookie"].lower()) == (303, True)


@pytest.mark.parametrize("token", ["", "osprey-wrong", "x" * 10_000, "\u202e", "ö" * 90])
async def test_a_token_of_nobody_opens_nothing(site: Site, token: str) -> None:
    browser = site.stranger()
    assert (await browser.sign_in(token)).status_code == 401
    assert (await browser.get("/approvals")).status_code == 401


async def test_the_link_of_who_started_the_service_works_once(site: Site) -> None:
    sessions: Sessions = site.app.state.sessions
    secret = sessions.link(site.own_token)
    browser, second = site.stranger(), site.stranger()
    page = await browser.get(f"/sign-in/{secret}")
    assert (page.status_code, page.url.path) == (200, "/approvals")
    again = await second.get(f"/sign-in/{secret}")
    assert (again.status_code, "used before" in again.text) == (401, True)
    assert (await second.get("/sign-in/guess")).status_code == 401


async def test_forms_are_taken_from_our_own_pages_alone(site: Site) -> None:
    ben, cleo = await site.browser("ben"), await site.browser("cleo")
    run = await site.asked(WRITE)
    page = await ben.get(f"/approvals/{run.run_id}")
    where = f"/approvals/{run.run_id}/reject"
    card = await site.desk("ben").card(run.run_id)
    good = {"card": card.digest, "reason": "no", "form_key": key_of(page.text)}
    for fields, origin in (
        ({**good, "form_key": ""}, HOST),
        ({name: value for name, value in good.items() if name != "form_key"}, HOST),
        ({**good, "form_key": key_of((await cleo.get("/runs")).text)}, HOST),
        (good, "http://evil.example"),
        (good, "http://127.0.0.1:9999"),
        (good, "null"),
        (good, ""),
    ):
        refused = await ben.send(where, fields, origin=origin)
        assert (refused.status_code, "nothing was done" in refused.text) == (403, True), (fields, origin)
    for headers in ({}, {"Origin": HOST}):  # no form at all
        assert (await ben.client.post(where, headers=headers)).status_code == 403
    assert (await site.service.summary(run.run_id)).state == "awaiting_approval"
    assert (await ben.send(where, good)).status_code == 200
    await site.ended(run.run_id)


async def test_nobody_is_signed_in_by_a_form_of_another_site(site: Site) -> None:
    browser = site.stranger()
    page = await browser.get("/sign-in")
    fields = {"token": site.tokens["eve"], "form_key": key_of(page.text)}
    assert (await browser.send("/sign-in", fields, origin="http://evil.example")).status_code == 403
    assert (await browser.send("/sign-in", {"token": site.tokens["eve"]})).status_code == 403
    assert (await browser.get("/approvals")).status_code == 401


async def test_after_the_sign_in_one_is_where_one_wanted_to_be_and_nowhere_else(site: Site) -> None:
    for place in ("//evil.example", "http://evil.example", "/\\evil.example", "/%2f/evil", "javascript:x", ""):
        browser = site.stranger()
        browser.client.follow_redirects = False
        came = await browser.fill(await browser.get("/sign-in"), "/sign-in", token=site.tokens["ben"], place=place)
        assert (came.status_code, came.headers["location"]) == (303, "/"), place
    browser = site.stranger()
    mistyped = await browser.fill(await browser.get("/machine"), "/sign-in", token="mistyped")
    assert mistyped.status_code == 401
    arrived = await browser.fill(mistyped, "/sign-in", token=site.tokens["ben"])
    assert (arrived.status_code, arrived.url.path) == (200, "/machine")


async def test_a_link_from_a_chat_finds_the_session_at_its_second_look(site: Site) -> None:
    # Browsers keep a strict cookie back at the first one.
    first = await site.stranger().get("/approvals", **{"Sec-Fetch-Site": "cross-site"})
    assert (first.status_code, 'http-equiv="refresh"' in first.text) == (401, True)
    assert "set-cookie" not in first.headers
    second = await site.stranger().get("/approvals", **{"Sec-Fetch-Site": "same-origin"})
    assert 'http-equiv="refresh"' not in second.text


async def test_for_whom_the_proxy_of_the_site_vouches_needs_no_token_and_is_checked_like_all(
    tmp_path: Path,
) -> None:
    proxy = {"header": "X-User", "addresses": ["127.0.0.1"]}
    site = site_of(tmp_path, {**CONFIG, "access": {"proxy": proxy}})
    async with site.service:
        browser = site.stranger()
        page = await browser.get("/machine", **{"X-User": "ben"})
        assert (page.status_code, "ben" in page.text) == (200, True)
        fields = {"form_key": key_of(page.text), "here": "/machine"}
        headers = {"X-User": "ben", "Origin": HOST}
        for wrong, form in (({"X-User": "ben"}, fields), (headers, {"here": "/"}), ({"Origin": HOST}, fields)):
            answer = await browser.client.post("/machine/stop", data=form, headers=wrong)
            assert answer.status_code in (401, 403)
            assert await site.desk("ben").stopped() is None
        assert (await browser.client.post("/machine/stop", data=fields, headers=headers)).status_code in (200, 401)
        assert "by ben" in (await site.desk("ben").stopped() or "")
        # The API takes no forms, and a proxy lets the browser of somebody ask whatever a page of anybody makes it.
        for origin in ("https://evil.example", "null", "http://[", f"{HOST}.evil.example"):
            answer = await browser.client.post("/api/v1/writes/allow", headers={"X-User": "ben", "Origin": origin})
            assert (answer.status_code, answer.json()["error"]) == (403, "AccessDeniedError")
            assert await site.desk("ben").stopped() is not None
            assert (await site.stranger().get("/sign-in", Origin=origin)).status_code == 401
        for more in ({"Origin": HOST}, {}):
            allowed = await browser.client.post("/api/v1/writes/allow", headers={"X-User": "ben", **more})
            assert (allowed.status_code, await site.desk("ben").stopped()) == (200, None)
        assert (await browser.get("/machine")).status_code == 401  # without the header nobody is vouched for
        assert (await browser.get("/machine", **{"X-User": "nobody"})).status_code == 401


async def test_signing_out_ends_the_session_on_the_server(site: Site) -> None:
    browser = await site.browser("ben")
    kept = dict(browser.client.cookies)
    out = await browser.fill(await browser.get("/runs"), "/sign-out")
    assert (out.status_code, "signed out" in out.text) == (401, True)
    thief = site.stranger()
    thief.client.cookies.update(kept)
    assert (await thief.get("/runs")).status_code == 401


async def test_roles_and_removal_hold_at_once(site: Site) -> None:
    token = site.people.add("tim", (Role.APPROVER,))
    browser = site.stranger()
    await browser.sign_in(token)
    assert "Stop all writes" in (await browser.get("/runs")).text
    site.people.give("tim", (Role.VIEWER,))
    assert "Stop all writes" not in (await browser.get("/runs")).text
    new = site.people.renew("tim")
    assert (await browser.get("/runs")).status_code == 401
    await browser.sign_in(new)
    assert (await browser.get("/runs")).status_code == 200
    site.people.remove("tim")
    assert (await browser.get("/runs")).status_code == 401


async def test_the_table_of_roles_holds_at_every_page(site: Site) -> None:
    run = await site.asked(WRITE)
    other = await site.run("results = {'a': 1}")
    card, key = f"/approvals/{run.run_id}", f"/runs/{other.run_id}"
    sees = {"anna": True, "vera": True, "ben": True, "eve": False}
    for name, seen in sees.items():
        browser = await site.browser(name)
        for place in (card, f"{card}/now", key, f"{key}/files/notebook.ipynb", f"{key}/events"):
            assert (await browser.get(place)).status_code == (200 if seen else 404), (name, place)
        listed = text_of(await browser.get("/approvals")) + (await browser.get("/runs")).text
        assert (run.run_id in listed) == seen
        page = await browser.get(card)
        assert ("Approve the plan" in page.text) == (name == "ben"), name
        assert ("Stop all writes" in page.text) == (name == "ben"), name
        form_key = key_of((await browser.get("/runs")).text)
        digest = (await site.desk("ben").card(run.run_id)).digest
        fields = {
            "form_key": form_key,
            "card": digest,
            "digest": digest,
            "sure": "yes",
            "reason": "no",
            "code": "x = 1",
        }
        if name == "ben":
            continue
        for place in (f"{card}/approve", f"{card}/reject", f"{card}/edit", f"{key}/restore", f"{key}/settle"):
            assert (await browser.send(place, fields)).status_code == (403 if seen else 404), (name, place)
        for place in ("/machine/stop", "/machine/allow"):
            assert (await browser.send(place, fields)).status_code == 403, (name, place)
        if name in ("vera", "eve"):
            assert (await browser.send(f"/runs/{run.run_id}/cancel", fields)).status_code in (403, 404)
        if name != "vera":
            assert (await browser.get("/health")).status_code == 403
            assert (await browser.send("/health", fields)).status_code == 403
        else:
            assert (await browser.get("/new")).status_code == 403
            assert (await browser.send("/new", fields | {"task": "x"})).status_code == 403
    assert (await site.service.summary(run.run_id)).state == "awaiting_approval"
    assert await site.desk("ben").stopped() is None
    await site.service.cancel(run.run_id)


async def test_every_page_forbids_foreign_scripts_frames_and_targets(site: Site) -> None:
    ben = await site.browser("ben")
    for place in ("/approvals", "/runs", "/machine", "/new", "/nowhere", "/runs/none", "/static/app.js", "/sign-in"):
        policy = (await ben.get(place)).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "base-uri 'none'" in policy


async def test_what_is_too_large_or_malformed_is_refused(site: Site) -> None:
    cleo = await site.browser("cleo")
    key = key_of((await cleo.get("/new")).text)
    big = await cleo.send("/new", {"form_key": key, "task": "x"}, files={"files": ("a", b"x" * (33 << 20))})
    assert big.status_code == 413
    headers = {"Origin": HOST, "Content-Type": "multipart/form-data; boundary=x"}
    broken = await cleo.client.post("/new", content=b"--x\r\nrubbish", headers=headers)
    assert broken.status_code in (403, 422)
    many = await cleo.send(
        "/new", {"form_key": key, "task": "x"}, files=[("files", (f"f{i}", b"x")) for i in range(70)]
    )
    assert (many.status_code, "cannot be read" in many.text) == (422, True)
    assert (await cleo.get("/runs?after=x")).status_code == 422
    assert (await cleo.get("/handover?hours=x")).status_code == 422
    assert (await cleo.get("/approvals/%00/now")).status_code == 404


def key_of(page: str) -> str:
    return page.split('name="form_key" value="')[1].split('"')[0]


async def test_a_browser_that_forgets_its_cookie_is_a_stranger(site: Site) -> None:
    browser: Browser = await site.browser("ben")
    browser.client.cookies.clear()
    assert (await browser.get("/approvals")).status_code == 401
