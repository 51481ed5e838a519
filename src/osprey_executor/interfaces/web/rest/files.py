"""Files that a run left, over the API: by the names that the run itself lists, and never shown in a page of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter
from fastapi import Path as InPath
from fastapi.responses import FileResponse

from osprey_executor.interfaces.web.identify import AtDesk
from osprey_executor.interfaces.web.rest.shapes import RunId
from osprey_executor.models import FileEntry

router = APIRouter(tags=["files"])

_KINDS: Final = {".png": "image/png", ".json": "application/json", ".csv": "text/csv", ".txt": "text/plain"}
"""What no browser takes for a page; all else is told to be bytes."""
# A file of a program is hostile: even opened in a tab of its own, no script of it runs, and it has no origin.
_HEADERS: Final = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}


@router.get("/runs/{run_id}/artifacts", operation_id="artifacts")
async def artifacts(desk: AtDesk, run_id: RunId) -> list[FileEntry]:
    """List the files that a run left: its artifacts, figures and notebook."""
    files = await desk.files(run_id)
    return [FileEntry(name=name, size=_size(path)) for name, path in sorted(files.items())]


@router.get(
    "/runs/{run_id}/artifacts/{name:path}",
    operation_id="artifact",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def artifact(desk: AtDesk, run_id: RunId, name: Annotated[str, InPath(max_length=1000)]) -> FileResponse:
    """Download a file that a run left. What stands in it is a claim of the program."""
    path = await desk.artifact(run_id, name)
    kind = _KINDS.get(path.suffix.lower(), "application/octet-stream")
    return FileResponse(path, media_type=kind, filename=path.name, headers=_HEADERS)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
