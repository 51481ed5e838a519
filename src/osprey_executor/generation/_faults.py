"""What can go wrong between here and a provider, each told in one sentence with provider, model and remedy."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, cast
from urllib.parse import urlsplit

from osprey_executor.config import ModelConfig, provider
from osprey_executor.errors import ConfigurationError, GeneratorUnavailableError
from osprey_executor.text import one_line


class Fault(StrEnum):
    """Kinds of failure that ask for different remedies."""

    WRONG_KEY = "wrong_key"
    FORBIDDEN = "forbidden"
    WRONG_MODEL = "wrong_model"
    WRONG_ADDRESS = "wrong_address"
    REDIRECT = "redirect"
    BAD_REQUEST = "bad_request"
    TOO_LONG = "too_long"
    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    SERVER = "server"
    NO_ROUTE = "no_route"
    CERTIFICATE = "certificate"
    CUT = "cut"
    HANG = "hang"
    GARBAGE = "garbage"


@dataclass
class ProviderFault(Exception):
    """A request to a provider failed. `detail` is the provider's own word: hostile, and only shown escaped."""

    fault: Fault
    detail: str = ""
    retry_after: float | None = None
    """Seconds that the provider asks to wait."""

    @property
    def passing(self) -> bool:
        """Whether another try within the time budget may help."""
        return self.fault in (Fault.RATE_LIMIT, Fault.OVERLOADED, Fault.SERVER, Fault.CUT)

    @property
    def unpaid(self) -> bool:
        """Whether the provider certainly did no work for it."""
        return self.fault not in (Fault.CUT, Fault.HANG, Fault.GARBAGE, Fault.SERVER)


@dataclass(frozen=True)
class Names:
    """What a generator calls its settings, for the remedies."""

    key: str = "api_key of the model"
    model: str = "model_id"
    url: str = "base_url"
    timeout: str = "timeout of the model"
    settings: str = "the settings of the model"


MODEL = Names()
CLAUDE_CODE = Names(
    "api_config.api_key of claude_code",
    "model of claude_code",
    "api_config.base_url of claude_code",
    "timeout of claude_code",
    "the settings of claude_code",
)


def told(fault: ProviderFault, model: ModelConfig, names: Names = MODEL) -> GeneratorUnavailableError:
    """Return the error that a person reads. No key and no userinfo ever stands in it."""
    who = f"{model.provider}, model {model.model_id}"
    where = shown_url(model.base_url)
    known = provider(model.provider).key_variable
    key = f"{names.key} ({known})" if known else names.key
    seconds = f"{fault.retry_after:g} s" if fault.retry_after else "a while"
    redirect = fault.fault is Fault.REDIRECT
    detail = "" if redirect else _detail(fault.detail, model)
    again = (
        "try again" if model.streaming or names is CLAUDE_CODE else "try again, or set streaming: true for the model"
    )
    messages = {
        Fault.WRONG_KEY: f"refused the key; put a valid one into {key}",
        Fault.FORBIDDEN: f"does not let this key use it; choose another {names.model} or ask for access for {key}",
        Fault.WRONG_MODEL: f"does not know the model; mend {names.model}, or {names.url} if {where} is not its address",
        Fault.WRONG_ADDRESS: f"answers at {where}, but serves no models there; mend {names.url}",
        Fault.REDIRECT: f"answers with a redirect to {shown_url(fault.detail) if redirect else ''}; mend {names.url}",
        Fault.BAD_REQUEST: f"did not accept the request; mend {names.settings}",
        Fault.TOO_LONG: "says that the request is too long for the model; send less context or choose a larger model",
        Fault.RATE_LIMIT: f"limits the rate of requests; try again in {seconds}, or use another model",
        Fault.OVERLOADED: "is overloaded; try again later, or use another model",
        Fault.SERVER: "failed on its side; try again later, or use another model",
        Fault.NO_ROUTE: f"cannot be reached at {where}; check {names.url}, the network, and HTTPS_PROXY or NO_PROXY",
        Fault.CERTIFICATE: f"shows a certificate that is not trusted here ({where}); check {names.url}, or name a file "
        "with that of its issuer in SSL_CERT_FILE",
        Fault.CUT: f"broke off its answer ({where}); {again}",
        Fault.HANG: f"gave no answer within {model.timeout:g} s ({where}); try again, or raise {names.timeout}",
        Fault.GARBAGE: f"gave an answer that is not of its protocol; check that {where} is the right {names.url}",
    }
    return GeneratorUnavailableError(f"{who}: the provider {messages[fault.fault]}{detail}")


def no_key(model: ModelConfig) -> ConfigurationError:
    """Return the error for a key that is needed and not there."""
    variable = model.unset.get("api_key") or provider(model.provider).key_variable or "api_key of the model"
    who = f"{model.provider}, model {model.model_id}"
    return ConfigurationError(
        f"{who}: there is no key; set {variable} in the environment, or in .env beside the configuration file"
    )


def lacking(model: ModelConfig) -> ConfigurationError | None:
    """Return the error for a setting whose variable is not set, if there is one besides the key."""
    for key, variable in model.unset.items():
        if key != "api_key":
            return ConfigurationError(f"{key} of the model uses ${{{variable}}}, which is not set: set {variable}")
    return None


_BY_STATUS = {
    401: Fault.WRONG_KEY,
    403: Fault.FORBIDDEN,
    408: Fault.SERVER,
    413: Fault.TOO_LONG,
    429: Fault.RATE_LIMIT,
    503: Fault.OVERLOADED,
    529: Fault.OVERLOADED,
}


def by_status(status: int, words: str) -> Fault:
    """Return the kind of failure of an HTTP status from 400, with which the provider said `words`."""
    if status == 404:
        # Whoever knows the protocol says which model it does not know; a wrong address says nothing of that kind.
        return Fault.WRONG_MODEL if words else Fault.WRONG_ADDRESS
    return _BY_STATUS.get(status) or (Fault.SERVER if status >= 500 else Fault.BAD_REQUEST)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what caused it, what caused that, and so on."""
    at: BaseException | None = error
    for _ in range(20):
        if at is None:
            return
        yield at
        at = at.__cause__ or at.__context__


def words_in(body: object) -> str:
    """Return the message in the body of an answer that tells an error, if it has one."""
    outer = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    inner = outer.get("error", outer)
    found = cast("dict[str, Any]", inner).get("message") if isinstance(inner, dict) else None
    return found if isinstance(found, str) else ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds the provider asks to wait; None: it does not say. Source: RFC 9110, 10.2.3."""
    told = headers.get("retry-after") or ""
    try:
        seconds = float(told)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(told).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return round(max(0.0, seconds), 1) if math.isfinite(seconds) else None


def shown_url(url: str | None) -> str:
    """Return scheme, host and path of a URL: nothing that could be a secret."""
    if not url:
        return "its address"
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "what is no address"
    host = f"{parts.scheme}://{parts.hostname or ''}" if parts.hostname else ""
    return one_line(f"{host}{port}{parts.path}", 120)


def _detail(text: str, model: ModelConfig) -> str:
    """Return the provider's own words, escaped, cut, and without the key should it repeat it."""
    if not text.strip():
        return ""
    return f" (it says: {one_line(without_key(text, model).strip(), 200)})"


def without_key(text: str, model: ModelConfig) -> str:
    """Return a text with the key of the model masked, should it stand in it."""
    key = model.api_key.get_secret_value() if model.api_key else ""
    return text.replace(key, "********") if key else text
