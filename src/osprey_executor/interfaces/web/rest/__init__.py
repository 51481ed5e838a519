"""The API for programs under `/api/v1`, described at `/openapi.json` for whoever has shown who they are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer

from osprey_executor.interfaces.web.rest import approvals, files, machine, runs
from osprey_executor.interfaces.web.rest.shapes import Problem

PREFIX = "/api/v1"
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "No HTTP, or no JSON."},
    401: {"model": Problem, "description": "Nobody knows who asks."},
    403: {"model": Problem, "description": "They may not do that, or the site's policy denies the code."},
    404: {"model": Problem, "description": "There is no such run or file, or none that they may see."},
    408: {"model": Problem, "description": "The body did not come in time."},
    409: {"model": Problem, "description": "Not in the state that the run, or the machine, is in now."},
    413: {"model": Problem, "description": "The body is too large."},
    422: {"model": Problem, "description": "The request cannot be used."},
    429: {"model": Problem, "description": "As many runs are on their way as the configuration allows."},
    503: {"model": Problem, "description": "The engine, the generator, the machine or the state folder is not there."},
}


def add_rest(app: FastAPI) -> None:
    """Let the application answer to programs."""
    # The gate has looked at the token already: here it is only described.
    described = [Security(HTTPBearer(auto_error=False, description="Your token of `osprey-executor users`."))]
    router = APIRouter(prefix=PREFIX, responses=_PROBLEMS, dependencies=described)
    for part in (runs.router, files.router, approvals.router, machine.router):
        router.include_router(part)
    app.include_router(router)

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse(app.openapi())
