"""Errors as HTTP tells them: a status and one JSON object, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from osprey_executor import errors
from osprey_executor.errors import ErrorCategory, PythonExecutorException
from osprey_executor.interfaces.web.answers import Answer
from osprey_executor.text import one_line

_LOG = logging.getLogger(__name__)
# The first class that an error is an instance of decides, so a subclass stands before its base; else its category does.
_STATUS: Final[tuple[tuple[type[PythonExecutorException], int], ...]] = (
    (errors.NotIdentifiedError, 401),
    (errors.AccessDeniedError, 403),
    (errors.PolicyDeniedError, 403),
    (errors.RunNotFoundError, 404),
    (errors.RunGoesOnError, 409),
    (errors.InvalidRequestError, 422),
    (errors.ServiceBusyError, 429),
)
_STATUS_OF: Final = {
    ErrorCategory.WORKFLOW: 409,
    ErrorCategory.CODE_RELATED: 422,
    ErrorCategory.INFRASTRUCTURE: 503,
    ErrorCategory.CONFIGURATION: 503,
}
_NAMES: Final = {400: "MalformedRequest", 408: "BodyTooSlow", 413: "BodyTooLarge"}
_MOST_FAULTS: Final = 5


def problem(status: int, error: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return the answer that tells an error."""
    return Answer({"error": error, "message": message}, status, headers)


def status_of(error: PythonExecutorException) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), _STATUS_OF[error.category])


def problem_of(error: PythonExecutorException) -> Answer:
    """Return the answer that tells an error of ours."""
    status = status_of(error)
    headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}}.get(status)
    return problem(status, type(error).__name__, str(error), headers)


def add_problems(app: FastAPI) -> None:
    """Let the application tell every error as a problem."""
    app.add_exception_handler(PythonExecutorException, _told)
    app.add_exception_handler(RequestValidationError, _unusable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _broken)


async def _told(request: Request, error: Exception) -> Answer:
    assert isinstance(error, PythonExecutorException)
    return problem_of(error)


async def _unusable(request: Request, error: Exception) -> Answer:
    """Tell what of a request cannot be used; never what was in it, which may be long, or a secret."""
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    told = [f"{one_line('.'.join(map(str, fault['loc'])), 120)}: {one_line(fault['msg'])}" for fault in faults]
    more = f"; and {len(told) - _MOST_FAULTS} more" if len(told) > _MOST_FAULTS else ""
    return problem(422, "InvalidRequestError", f"the request cannot be used: {'; '.join(told[:_MOST_FAULTS])}{more}")


async def _http(request: Request, error: Exception) -> Answer:
    assert isinstance(error, HTTPException)
    status = error.status_code
    name = _NAMES.get(status) or HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")
    return problem(status, name, error.detail, error.headers)


async def _broken(request: Request, error: Exception) -> Answer:
    _LOG.error("%s %s broke", request.method, one_line(request.url.path), exc_info=error)
    return problem(500, "InternalError", "the service broke at this; its log says how")
