"""What a run left: given to be kept, or looked at where nothing of it can run.

Whatever a program leaves is hostile. A file is given as an attachment of no type; a picture goes into an `img`, where
no script of it runs; HTML goes into a frame that is sandboxed twice, by its page and by itself.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from osprey_executor.errors import InvalidRequestError, RunNotFoundError
from osprey_executor.interfaces.web.pages.notebook import notebook_cells
from osprey_executor.interfaces.web.pages.rendering import page
from osprey_executor.interfaces.web.pages.routes import PageRoute
from osprey_executor.interfaces.web.pages.visitor import SignedIn

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_MOST_TEXT: Final = 200_000
_MOST_PICTURE: Final = 32 << 20
_NOTHING: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_PICTURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


@router.get("/runs/{run_id}/files/{name:path}")
async def file(visitor: SignedIn, run_id: str, name: str) -> Response:
    """Give a file, to be kept and not to be opened."""
    path = await visitor.desk.artifact(run_id, name)
    kept = quote(Path(name).name, safe="", errors="replace")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{kept}", "Content-Security-Policy": _NOTHING}
    return FileResponse(path, media_type="application/octet-stream", headers=headers)


@router.get("/runs/{run_id}/pictures/{name:path}")
async def picture(visitor: SignedIn, run_id: str, name: str) -> Response:
    """Give a picture for an `img` of ours."""
    return await _picture(await visitor.desk.artifact(run_id, name))


@router.get("/runs/{run_id}/framed/{name:path}")
async def framed(visitor: SignedIn, run_id: str, name: str) -> Response:
    """Give HTML for a frame of ours: it is of no origin, runs no script, and loads nothing."""
    data = await asyncio.to_thread(_beginning, await visitor.desk.artifact(run_id, name), _MOST_PICTURE)
    headers = {
        "Content-Security-Policy": f"{_NOTHING}; form-action 'none'; frame-ancestors 'self'",
        "X-Frame-Options": "SAMEORIGIN",
    }
    return Response(data, media_type="text/html; charset=utf-8", headers=headers)


@router.get("/runs/{run_id}/look/{name:path}")
async def look(request: Request, visitor: SignedIn, run_id: str, name: str) -> Response:
    """Show a file: a picture, HTML in its frame, a notebook, or text."""
    run = await visitor.desk.run(run_id)
    path = await visitor.desk.artifact(run.run_id, name)
    data = await asyncio.to_thread(_beginning, path, _MOST_TEXT)
    kind = _kind(name, data)
    cells = await asyncio.to_thread(notebook_cells, path) if kind == "notebook" else ()
    more = await asyncio.to_thread(lambda: path.stat().st_size) - len(data)
    text = data.decode("utf-8", "backslashreplace") if kind == "text" else ""
    return await page(
        request, visitor, "look.html", run=run, name=name, kind=kind, text=text, more=max(more, 0), cells=cells
    )


@router.get("/approvals/{run_id}/figures/{number}")
async def rehearsed(visitor: SignedIn, run_id: str, number: int) -> Response:
    """Give a figure of the rehearsal that a card shows, counted from 1."""
    card = await visitor.desk.card(run_id)
    if not 1 <= number <= len(card.figures):
        raise RunNotFoundError(f"the card of run {card.run_id} has no figure {number}")
    return await _picture(card.figures[number - 1])


@router.get("/runs/{run_id}/live/{number}")
async def live(visitor: SignedIn, run_id: str, number: int) -> Response:
    """Give a figure of a run that goes on."""
    run = await visitor.desk.run(run_id)
    return await _picture(run.folder / "figures" / f"figure-{number:03d}.png")


async def _picture(path: Path) -> Response:
    data = await asyncio.to_thread(_beginning, path, _MOST_PICTURE)
    kind = picture_type(data)
    if kind is None:
        raise InvalidRequestError("that file is no picture that a page shows; keep it and open it by yourself")
    return Response(data, media_type=kind, headers={"Content-Security-Policy": _NOTHING})


def picture_type(data: bytes) -> str | None:
    """Return the type of a picture by what is in it, whatever its name says; None: it is none that we show."""
    for beginning, kind in _PICTURES:
        if data.startswith(beginning):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    head = data[:1000].lstrip().lower()
    return "image/svg+xml" if head.startswith((b"<svg", b"<?xml")) and b"<svg" in head else None


def _kind(name: str, data: bytes) -> str:
    if picture_type(data):
        return "picture"
    if name.lower().endswith((".html", ".htm")):
        return "html"
    if name.lower().endswith(".ipynb"):
        return "notebook"
    return "binary" if b"\0" in data else "text"


def _beginning(path: Path, most: int) -> bytes:
    try:
        if path.is_symlink() or not path.is_file():
            raise RunNotFoundError("that file is not there, or not any more")
        with path.open("rb") as opened:
            return opened.read(most)
    except OSError as error:
        raise RunNotFoundError(f"that file cannot be read: {error.strerror}") from None
