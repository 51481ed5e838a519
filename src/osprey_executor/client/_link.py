"""How a client reaches its service: where, with which token, and what its refusals become."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from osprey_executor import errors
from osprey_executor.client._calls import Call
from osprey_executor.errors import (
    InvalidRequestError,
    NotIdentifiedError,
    PythonExecutorException,
    ServiceUnreachableError,
)

URL_VARIABLE: Final = "OSPREY_EXECUTOR_URL"
TOKEN_VARIABLE: Final = "OSPREY_EXECUTOR_TOKEN"  # noqa: S105 - its name
_DEFAULT_URL: Final = "http://127.0.0.1:8420"
_PREFIX: Final = "/api/v1"
_PATIENT: Final = httpx.Timeout(60.0, read=None)
_BY_STATUS: Final[Mapping[int, type[PythonExecutorException]]] = {
    401: NotIdentifiedError,
    403: errors.AccessDeniedError,
    404: errors.RunNotFoundError,
    429: errors.ServiceBusyError,
}

T = TypeVar("T")


def settings(url: str | None, token: str | None, timeout: float, ca: Path | None) -> dict[str, Any]:
    """Return what httpx is told of a service.

    Raises:
        InvalidRequestError: the token would pass a network in the clear, or that is no address.
        NotIdentifiedError: there is no token.
    """
    url = (url or os.environ.get(URL_VARIABLE) or _DEFAULT_URL).rstrip("/")
    token = token or os.environ.get(TOKEN_VARIABLE)
    parts = urlsplit(url)
    here = parts.hostname is not None and _is_here(parts.hostname)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        raise InvalidRequestError(f"{url!r:.200} is no address of a service: {_DEFAULT_URL} is one")
    if parts.scheme == "http" and not here:
        raise InvalidRequestError(f"the token would pass the network in the clear to {url}: use https://")
    if not token:
        raise NotIdentifiedError(f"no token: give token=..., or set {TOKEN_VARIABLE}")
    return {
        "base_url": f"{url}{_PREFIX}",
        "headers": {"Authorization": f"Bearer {token}"},
        "timeout": timeout,
        "verify": _authorities(ca) if parts.scheme == "https" else True,
        "trust_env": not here,  # no proxy leads to this machine itself
    }


def sent(call: Call[Any]) -> dict[str, Any]:
    """Return a call as httpx takes a request.

    Raises:
        InvalidRequestError: something in it has no form in JSON.
    """
    headers = {"Idempotency-Key": call.key} if call.key else {}
    content = None
    if call.body is not None:
        headers["Content-Type"] = "application/json"
        try:
            content = json.dumps(call.body, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise InvalidRequestError(f"the request has no form in JSON: {error}") from None
    return {
        "method": call.method,
        "url": call.path,
        "params": call.params,
        "content": content,
        "headers": headers,
        "timeout": _PATIENT if call.patient else httpx.USE_CLIENT_DEFAULT,
    }


def read(call: Call[T], response: httpx.Response) -> T:
    """Return what a call gives.

    Raises:
        PythonExecutorException: as the service raised it.
        ServiceUnreachableError: no service of ours gave that answer.
    """
    check(response)
    try:
        return call.read(response.json())
    except (ValueError, ValidationError) as error:
        raise ServiceUnreachableError(f"{response.url} answers, but not as a service does: {error}") from None


def check(response: httpx.Response) -> None:
    """Raise what a service refused with; the body has been read.

    Raises:
        PythonExecutorException: as the service raised it.
    """
    if response.is_success:
        return
    try:
        told = response.json()
        kind, message = str(told["error"]), str(told["message"])
    except (ValueError, KeyError, TypeError):
        kind, message = "", f"{response.url} answered with {response.status_code}"
    raise refusal(kind, message, response.status_code)


def refusal(kind: str, message: str, status: int = 500) -> PythonExecutorException:
    """Return the error that a service tells by the name of its class, or by its status."""
    named = getattr(errors, kind, None)
    if named is errors.MissingExtraError:
        return errors.ConfigurationError(message)
    if isinstance(named, type) and issubclass(named, PythonExecutorException):
        return named(message)
    return _BY_STATUS.get(status, InvalidRequestError if status < 500 else ServiceUnreachableError)(message)


def unreachable(error: httpx.HTTPError, base: httpx.URL) -> ServiceUnreachableError:
    """Return the error of a service that does not answer."""
    why = str(error) or type(error).__name__
    return ServiceUnreachableError(
        f"no answer from {base.copy_with(path='/')} ({why}): is `osprey-executor serve` running there, and is "
        f"{URL_VARIABLE} right?"
    )


def _authorities(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise InvalidRequestError(f"the certificates of {ca} cannot be used: {error}") from None


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
