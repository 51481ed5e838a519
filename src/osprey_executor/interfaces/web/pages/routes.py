"""Errors as people see them: a page that says what happened and what to do next, in the place of JSON."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from osprey_executor.errors import NotIdentifiedError, PythonExecutorException
from osprey_executor.interfaces.web.pages.rendering import bare
from osprey_executor.interfaces.web.pages.stranger import sign_in_page
from osprey_executor.interfaces.web.problems import status_of
from osprey_executor.text import one_line

_LOG = logging.getLogger(__name__)
_TITLES = {
    403: "You may not do that",
    404: "Not found",
    409: "Not any more",
    422: "That cannot be used",
    429: "Busy",
    503: "Not available",
}


class PageRoute(APIRoute):
    """A route of a page. A stranger is asked to sign in, wherever they want to go."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with every error told as a page."""
        handler = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handler(request)
            except NotIdentifiedError as error:
                return sign_in_page(request, str(error))
            except PythonExecutorException as error:
                status, message = status_of(error), str(error)
            except RequestValidationError:
                status, message = 422, "the address of this page is not one that the service gives"
            except HTTPException as error:
                status, message = error.status_code, error.detail
            except Exception:
                _LOG.exception("%s %s broke", request.method, one_line(request.url.path))
                status, message = 500, "the service broke at this; its log says how"
            return bare("problem.html", status, title=_TITLES.get(status, "Something broke"), message=message)

        return told
