"""Figures of a rehearsal say so in the picture, whatever the code made of it, and nobody decodes it for that."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from osprey_executor.models import Outcome, RunStatus
from osprey_executor.results import marked_rehearsal, watermarked

COLOURS = {0: 1, 2: 3, 4: 2, 6: 4}
AMBER = (255, 191, 0)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture(
    width: int,
    height: int,
    *,
    colours: int = 6,
    depth: int = 8,
    first: int = 0,
    interlaced: int = 0,
    more: tuple[bytes, ...] = (),
    after: tuple[bytes, ...] = (),
) -> bytes:
    """Return a PNG of noise; each row has the filter `first`, which the decoder takes back."""
    row = width * COLOURS.get(colours, 1) * depth // 8
    noise = np.random.default_rng(1).integers(0, 256, (height, row), dtype=np.uint8)
    data = zlib.compress(b"".join(bytes([first]) + line.tobytes() for line in noise))
    head = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, interlaced)
    parts = (chunk(b"IHDR", head), *more, chunk(b"IDAT", data[:9]), chunk(b"IDAT", data[9:]), *after)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def decoded(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("first", range(5))
@pytest.mark.parametrize("colours", COLOURS)
def test_the_picture_stays_as_it_was_below_the_band(colours: int, first: int) -> None:
    before = picture(200, 9, colours=colours, first=first)
    after = decoded(watermarked(before))
    assert (after[-9:] == decoded(before)).all()
    band = after[:-9]
    assert band.shape[0] == 12
    assert set(np.unique(band[:-1, :, 0] if colours else band[:-1])) == {0, 255}


def test_the_band_is_amber_and_covers_the_width() -> None:
    band = decoded(watermarked(picture(1000, 5)))[:-5]
    assert {tuple(each) for each in band[:-1].reshape(-1, 4)} == {(*AMBER, 255), (0, 0, 0, 255)}
    dark = (band[:-1, :, 1] == 0).any(axis=0)
    assert all(dark[start : start + 100].any() for start in range(0, 1000, 100))


def test_sixteen_bits_and_a_figure_of_matplotlib() -> None:
    assert decoded(watermarked(picture(50, 4, colours=2, depth=16))).shape[0] == 16
    figure = Figure()
    figure.subplots().plot([1, 3, 2])
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    before, after = decoded(drawn.getvalue()), decoded(watermarked(drawn.getvalue()))
    assert (after[-before.shape[0] :] == before).all()
    assert tuple(after[0, 0]) == (*AMBER, 255)


def test_what_could_hide_the_band_is_left_out() -> None:
    text, frames = chunk(b"tEXt", b"a\0b"), chunk(b"acTL", bytes(8))
    marked = watermarked(picture(50, 4, more=(text, frames), after=(chunk(b"fdAT", bytes(40)),)))
    assert not any(kind in marked for kind in (b"tEXt", b"acTL", b"fdAT"))
    second = watermarked(picture(50, 4, more=(chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 6, 0, 0, 0)),)))
    assert decoded(second).shape == (16, 50, 4)


HOSTILE = {
    "palette": picture(8, 8, colours=3),
    "transparent": picture(8, 8, colours=2, more=(chunk(b"tRNS", struct.pack(">HHH", 255, 191, 0)),)),
    "interlaced": picture(8, 8, interlaced=1),
    "bits": picture(8, 8, colours=0, depth=4),
    "wide": picture(2**13 + 1, 1),
    "high": picture(1, 2**13 + 1),
    "cut": picture(8, 8)[:-30],
    "empty": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 6, 0, 0, 0)) + chunk(b"IEND", b""),
    "no header": b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""),
    "none": b"GIF89a",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_cannot_be_marked_is_told(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^it"):
        watermarked(HOSTILE[kind])
    drawn = tmp_path / "figure.png"
    drawn.write_bytes(HOSTILE[kind])
    marked = marked_rehearsal(Outcome(status=RunStatus.SUCCEEDED, figures=(drawn,)))
    assert marked.figures == ()
    assert "figure.png is left out, as it cannot be marked" in marked.notes[-1]


def test_output_and_saved_pictures_say_so_and_other_files_stay(tmp_path: Path) -> None:
    saved, table = tmp_path / "a.dat", tmp_path / "b.csv"
    saved.write_bytes(picture(40, 3))
    table.write_text("1,2\n")
    (tmp_path / "c").symlink_to(table)
    outcome = Outcome(status=RunStatus.SUCCEEDED, stdout="one\n", artifacts=(saved, table, tmp_path / "c"))
    marked = marked_rehearsal(outcome)
    assert marked.artifacts == (saved, table)
    assert decoded(saved.read_bytes()).shape[0] == 15
    assert (table.read_text(), marked.stdout, marked.stderr) == (
        "1,2\n",
        "[rehearsal: nothing was written]\none\n",
        "",
    )


def test_a_high_picture_has_a_band_that_is_seen_where_it_is_shown_small() -> None:
    before = picture(60, 2000)
    after = decoded(watermarked(before))
    assert (after[-2000:] == decoded(before)).all()
    assert after.shape[0] - 2000 > 2000 // 30


def saved(folder: Path, names: list[str], data: bytes) -> tuple[Path, ...]:
    for name in names:
        (folder / name).write_bytes(data)
    return tuple(folder / name for name in names)


def test_marks_have_an_end_in_number_and_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = struct.pack(">IIBBBBB", 2**13, 1, 16, 6, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", empty) + chunk(b"IDAT", b"x\x9c" + bytes(10)) + chunk(b"IEND", b"")
    paths = saved(tmp_path, [f"{number}.png" for number in range(9)], bomb)
    monkeypatch.setattr("osprey_executor.results.rehearsed.MOST_MARKED", 2)
    marked = marked_rehearsal(Outcome(status=RunStatus.SUCCEEDED, artifacts=paths))
    assert marked.artifacts == paths[:2]
    assert len(marked.notes) == 1 + 5 + 1
    assert "2.png is left out, as it cannot be marked: it comes after 2 pictures" in marked.notes[1]
    assert marked.notes[-1] == "2 more files are left out, not being marked"
    monkeypatch.setattr("osprey_executor.results.rehearsed.MOST_GROWN", 100)
    marked = marked_rehearsal(Outcome(status=RunStatus.SUCCEEDED, artifacts=paths[2:3]))
    assert marked.artifacts == ()
    assert paths[2].read_bytes() == bomb


def test_once_it_was_ended_nothing_more_is_marked(tmp_path: Path) -> None:
    paths = saved(tmp_path, ["a.png", "b.png"], picture(8, 8))
    asked = iter([False, True])
    marked = marked_rehearsal(Outcome(status=RunStatus.SUCCEEDED, figures=paths), lambda: next(asked))
    assert marked.figures == paths[:1]
    assert paths[1].read_bytes() == picture(8, 8)


def test_pictures_that_are_no_png_are_named_as_not_marked(tmp_path: Path) -> None:
    paths = saved(tmp_path, ["orbit.svgz", "orbit.pdf", "fake.png", "table.csv"], b"no PNG")
    marked = marked_rehearsal(Outcome(status=RunStatus.SUCCEEDED, artifacts=paths))
    assert marked.artifacts == paths
    assert marked.notes[-1] == "not marked, as they are no PNG or SVG pictures: orbit.svgz, orbit.pdf, fake.png"


SVG = "http://www.w3.org/2000/svg"


@pytest.mark.parametrize(
    "drawn",
    [
        b"drawn",
        b"</svg><style>* { display: none }</style><!--",
        b'"/><script>document.documentElement.remove()</script>',
        b"\xff\xfe no text",
        b"",
    ],
)
def test_an_svg_is_embedded_under_a_band_that_it_cannot_touch(tmp_path: Path, drawn: bytes) -> None:
    if drawn == b"drawn":
        file = io.BytesIO()
        Figure().savefig(file, format="svg")
        drawn = file.getvalue()
    paths = saved(tmp_path, ["a.svg", "b.SVG"], drawn)
    marked = marked_rehearsal(Outcome(status=RunStatus.SUCCEEDED, artifacts=paths))
    assert marked.artifacts == paths
    for path in paths:
        root = ElementTree.fromstring(path.read_bytes())
        assert [part.tag for part in root] == [f"{{{SVG}}}{name}" for name in ("title", "image", "rect", "path")]
        title, image, rect, letters = root
        assert title.text == "REHEARSAL: NOTHING WAS WRITTEN"
        assert base64.b64decode(image.get("href", "").partition(",")[2]) == drawn
        assert int(image.get("y", "0")) >= int(rect.get("height", "0"))
        assert letters.get("d", "").count("z") > 300
