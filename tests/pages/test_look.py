"""How the pages look, as far as a test can see: contrast, labels, headings, and nothing but files of our own."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from .conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")
PAGES = files("osprey_executor.interfaces.web.pages")
CSS = PAGES.joinpath("static", "app.css").read_text()
TEXTS = ("text", "quiet", "link", "good", "warn", "bad", "busy", "unseen")
CODE = tuple(f"code-{letter}" for letter in "cksnbf")
PAIRS = [
    *((text, back) for text in TEXTS for back in ("page", "panel")),
    *((code, back) for code in CODE for back in ("page", "panel", "warn-back", "bad-back", "good-back", "busy-back")),
    *((text, back) for text in ("text", "quiet", "warn", "bad", "unseen") for back in ("warn-back", "bad-back")),
    ("text", "calm-back"),
    ("good", "good-back"),
    ("busy", "busy-back"),
    ("link", "bad-back"),
    ("loud", "loud-back"),
    ("go", "go-back"),
]


def colours(text: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", text))


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours. Source: WCAG 2.2, 1.4.3."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_stands_out_from_what_it_stands_on(scheme: str) -> None:
    light, dark = CSS.split("@media (prefers-color-scheme: dark)")
    known = colours(light) | (colours(dark) if scheme == "dark" else {})
    weak = {pair: round(contrast(*(known[name] for name in pair)), 2) for pair in PAIRS}
    assert not {pair: found for pair, found in weak.items() if found < 4.5}
    assert contrast(known["focus"], known["panel"]) >= 3  # what shows the focus is no text
    assert contrast(known["focus"], known["page"]) >= 3


async def test_the_style_takes_its_colours_from_the_tested_ones_alone() -> None:
    rest = CSS.split("* { box-sizing")[1]
    assert set(re.findall(r"#[0-9a-f]{3,8}\b", rest)) <= {"#ffffff"}  # behind pictures, which are made for paper
    assert "outline: none" not in rest.replace("main:focus { outline: none; }", "")


class Outline(HTMLParser):
    """What a page is made of: headings, controls without a label, ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.controls: list[dict[str, str]] = []
        self.faults: list[str] = []
        self.referred: list[str] = []
        self._in_label = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag in ("h1", "h2", "h3"):
            self.headings.append(int(tag[1]))
        if "id" in told:
            self.ids.append(told["id"])
        if tag == "label":
            self._in_label += 1
            self.labelled.add(told.get("for", ""))
        self.referred += [told[name] for name in ("aria-labelledby",) if name in told]
        if tag in ("input", "textarea", "select") and told.get("type") != "hidden" and not self._in_label:
            self.controls.append(told)
        if tag == "img" and "alt" not in told:
            self.faults.append("a picture without words")
        if tag == "iframe" and "title" not in told:
            self.faults.append("a frame without a title")
        if any(name.startswith("on") or name == "style" for name in told):
            self.faults.append(f"{tag} has {sorted(told)}")
        for name in ("src", "href", "action"):
            if told.get(name, "/").split(":")[0] not in ("data",) and not told.get(name, "/").startswith(("/", "#")):
                self.faults.append(f"{tag} leads to {told[name]}")
        if tag in ("style", "base", "object", "embed"):
            self.faults.append(f"there is a {tag}")

    def handle_endtag(self, tag: str) -> None:
        self._in_label -= tag == "label"


CODE_OF_ALL = """
from osprey_executor.runtime import declare_writes, read_channel, write_channel
declare_writes({"LOOK:1:SP": (-1.0, 1.0)})
print("it looks")
write_channel("LOOK:1:SP", 0.5)
if read_channel("LOOK:BPM") < 100:
    write_channel("LOOK:1:SP", 0.25)
results = {}
"""


async def test_every_page_has_labels_headings_in_order_and_nothing_inline(site: Site) -> None:
    run = await site.asked(CODE_OF_ALL)
    done = await site.run("from pathlib import Path\nPath('a.html').write_text('x')\nresults = {'a': [1]}")
    browser = await site.browser("cleo")
    card = f"/approvals/{run.run_id}"
    places = ["/approvals", card, f"{card}/edit", "/runs", f"/runs/{done.run_id}", f"/runs/{run.run_id}", "/machine"]
    places += [f"/runs/{done.run_id}/look/{name}" for name in ("a.html", "notebook.ipynb")]
    places += ["/handover", "/new", "/health", f"/runs/{done.run_id}/restore", "/runs/nothing"]
    for browser, place in [(site.stranger(), "/sign-in"), *((browser, place) for place in places)]:
        page = await browser.get(place)
        seen = Outline(page.text)
        assert not seen.faults, (place, seen.faults)
        assert seen.headings[0] == 1
        assert seen.headings.count(1) == 1, place
        assert all(after - before <= 1 for before, after in zip(seen.headings, seen.headings[1:], strict=False)), place
        assert len(seen.ids) == len(set(seen.ids)), (place, sorted(seen.ids))
        assert set(seen.referred) <= set(seen.ids), place
        assert not [one for one in seen.controls if one.get("id") not in seen.labelled], place
        assert '<html lang="en">' in page.text
        assert 'name="viewport"' in page.text
    await site.service.cancel(run.run_id)


async def test_no_template_switches_the_escaping_off_or_brings_a_script() -> None:
    for template in PAGES.joinpath("templates").iterdir():
        text = template.read_text()
        assert not re.search(r"\|\s*safe|autoescape|Markup|\{%\s*raw", text), template.name
        assert text.count("<script") == ("<script src=\"{{ asset('app.js') }}\" defer></script>" in text), template.name
    script = PAGES.joinpath("static", "app.js").read_text()
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "http"):
        assert way not in script, way


async def test_a_browser_never_keeps_an_old_style(site: Site) -> None:
    page = await site.stranger().get("/sign-in")
    address = re.search(r'href="(/static/app.css\?[0-9a-f]{12})"', page.text)
    assert address is not None
    style = await site.stranger().get(address[1])
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert style.text == CSS
