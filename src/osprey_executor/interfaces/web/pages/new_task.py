"""A new task: in words, or as code of one's own, with files."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import UploadFile

from osprey_executor.errors import AccessDeniedError, PythonExecutorException
from osprey_executor.interfaces.web.pages.rendering import page
from osprey_executor.interfaces.web.pages.routes import PageRoute
from osprey_executor.interfaces.web.pages.visitor import Posted, SignedIn, field
from osprey_executor.interfaces.web.problems import status_of
from osprey_executor.models import Action, PythonExecutionRequest

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/new")
async def show(request: Request, visitor: SignedIn) -> Response:
    """Show the form."""
    if not visitor.desk.may(Action.SUBMIT):
        raise AccessDeniedError("you may look, and not ask for runs: the role `requester` may")
    return await page(request, visitor, "new_task.html", task="", code="", problem="")


@router.post("/new")
async def submit(request: Request, visitor: SignedIn, form: Posted) -> Response:
    """Begin the run; where it cannot begin, the form comes back with why."""
    task, code = field(form, "task"), field(form, "code")
    files = [one for one in form.getlist("files") if isinstance(one, UploadFile) and one.filename]
    try:
        asked = PythonExecutionRequest(
            user_query=task,
            code=code if code.strip() else None,
            inputs={one.filename or "": await one.read() for one in files},
        )
        run = await visitor.desk.submit(asked)
    except PythonExecutorException as error:
        return await page(
            request, visitor, "new_task.html", status=status_of(error), task=task, code=code, problem=str(error)
        )
    return RedirectResponse(f"/runs/{run.run_id}", 303)
