"""Errors as HTTP tells them: a status and one JSON object, never a traceback."""

from __future__ import annotations

import logging
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from osprey_executor import errors
from osprey_executor.errors import PythonExecutorException

_LOG = logging.getLogger(__name__)
# The first class that an error is an instance of decides, so a subclass stands before its base.
_STATUS: Final[tuple[tuple[type[PythonExecutorException], int], ...]] = (
    (errors.NotIdentifiedError, 401),
    (errors.AccessDeniedError, 403),
    (errors.RunNotFoundError, 404),
    (errors.InvalidDecision, 409),
    (errors.InvalidRequestError, 422),
    (errors.ServiceBusyError, 429),
    (errors.PolicyDeniedError, 403),
    (errors.WriteRefused, 409),
    (errors.OutcomeUnknownError, 409),
    (errors.EngineUnavailableError, 503),
    (errors.StorageError, 503),
    (errors.GeneratorUnavailableError, 503),
    (errors.ControlSystemError, 503),
    (errors.ConfigurationError, 503),
    (errors.MissingExtraError, 503),
)


def status_of(error: PythonExecutorException) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def add_problems(app: FastAPI) -> None:
    """Let the application tell every error as a problem."""
    app.add_exception_handler(PythonExecutorException, told)
    app.add_exception_handler(Exception, _broken)


async def told(request: Request, error: Exception) -> JSONResponse:
    """Answer with an error of ours."""
    assert isinstance(error, PythonExecutorException)
    status = status_of(error)
    headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}}.get(status)
    return JSONResponse({"error": type(error).__name__, "message": str(error)}, status, headers)


async def _broken(request: Request, error: Exception) -> JSONResponse:
    _LOG.error("%s %s broke", request.method, request.url.path, exc_info=error)
    return JSONResponse({"error": "InternalError", "message": "the service broke at this; its log says how"}, 500)
