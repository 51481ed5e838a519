"""Figures of a rehearsal say so in the picture, whatever the code made of it, and nobody decodes it for that."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

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
    "wide": picture(2**16 + 1, 1),
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
