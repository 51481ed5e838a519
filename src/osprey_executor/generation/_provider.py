"""The one door to the providers' SDKs: LangChain chat models, imported at first use.

Nothing here turns on tracing; whoever wants it sets LangSmith's own variables.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from osprey_executor.config import ModelConfig, provider
from osprey_executor.errors import MissingExtraError
from osprey_executor.generation._faults import Fault, ProviderFault, by_status, causes, retry_after, words_in
from osprey_executor.generation._prices import tokens_in

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

_ANTHROPIC_MAX_TOKENS = 8192
# A pooled connection belongs to the event loop that opened it, and the SDKs share their pools between loops.
_HEADERS = {"Connection": "close"}
_NO_KEY = "none"


class Stop(StrEnum):
    """Why a model stopped."""

    DONE = "done"
    LENGTH = "length"
    REFUSED = "refused"


_STOPS = {
    "end_turn": Stop.DONE,
    "stop_sequence": Stop.DONE,
    "stop": Stop.DONE,
    "max_tokens": Stop.LENGTH,
    "model_context_window_exceeded": Stop.LENGTH,
    "length": Stop.LENGTH,
    "refusal": Stop.REFUSED,
    "content_filter": Stop.REFUSED,
}
_NO_ROUTE = {"ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol", "InvalidURL"}
_CUT = {"RemoteProtocolError", "ReadError", "WriteError", "CloseError", "IncompleteRead"}


@dataclass(frozen=True)
class Reply:
    """What a model answered."""

    text: str
    stop: Stop
    input_tokens: int | None = None
    """All that were sent, the cached ones too; None: the provider did not tell."""
    cached_tokens: int = 0
    output_tokens: int | None = None


@dataclass(frozen=True)
class ChatModel:
    """One model of one provider, asked once at a time, without retries of its own."""

    model: ModelConfig
    chat: BaseChatModel

    async def ask(self, system: str, user: str) -> Reply:
        """Send one request.

        Raises:
            ProviderFault: there is no usable answer.
        """
        # Not at the top: this package is imported where no provider is installed.
        messages = importlib.import_module("langchain_core.messages")
        try:
            sent = [messages.SystemMessage(system), messages.HumanMessage(user)]
            answer: BaseMessage = await self.chat.ainvoke(sent)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # What a broken answer does inside an SDK is not documented; here every failure gets its kind.
            raise _fault(error) from None
        return _reply(answer)


def open_chat_model(model: ModelConfig) -> ChatModel:
    """Return the chat model for a configuration; nothing is sent yet.

    Raises:
        MissingExtraError: the package of the protocol is not installed.
    """
    anthropic = provider(model.provider).protocol == "anthropic"
    return ChatModel(model, _anthropic(model) if anthropic else _openai(model))


def _anthropic(model: ModelConfig) -> BaseChatModel:
    kind = _import("langchain_anthropic", "anthropic", model).ChatAnthropic
    chat = kind(
        model=model.model_id,
        base_url=(model.base_url or "").removesuffix("/v1"),
        api_key=_key(model),
        max_tokens=model.max_tokens or _ANTHROPIC_MAX_TOKENS,
        default_headers=_HEADERS,
        **_common(model),
    )
    # It takes no client of ours, and the one that it makes is shared with whoever else uses the package.
    chat.__dict__["_async_client"] = chat._async_client.copy(http_client=_http("anthropic", model))
    return chat


def _openai(model: ModelConfig) -> BaseChatModel:
    kind = _import("langchain_openai", "openai", model).ChatOpenAI
    url = model.base_url or ""
    # Servers of this protocol answer below /v1; only the host is what people know by heart.
    url = url if urlsplit(url).path else f"{url}/v1"
    # Else a streamed answer does not say what it used.
    more: dict[str, Any] = {"stream_usage": True}
    if model.provider == "openai":
        more["max_tokens"] = model.max_tokens
    else:
        # Only OpenAI itself knows max_completion_tokens and the Responses API.
        more["use_responses_api"] = False
        if model.max_tokens:
            more["extra_body"] = {"max_tokens": model.max_tokens}
    return kind(
        model=model.model_id,
        base_url=url,
        api_key=_key(model),
        default_headers=_HEADERS,
        http_async_client=_http("openai", model),
        **_common(model),
        **more,
    )


def _http(sdk: str, model: ModelConfig) -> Any:
    """Return a client that follows no redirect: task and key go to the host of `base_url` and to no other."""
    return importlib.import_module(sdk).DefaultAsyncHttpxClient(timeout=model.timeout, follow_redirects=False)


def _common(model: ModelConfig) -> dict[str, Any]:
    return {
        "temperature": model.temperature,
        "timeout": model.timeout,
        "max_retries": 0,
        "streaming": model.streaming,
        "cache": False,
    }


def _key(model: ModelConfig) -> str:
    return (model.api_key.get_secret_value() if model.api_key else "") or _NO_KEY


def _import(module: str, extra: str, model: ModelConfig) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtraError(f"the provider {model.provider} of model {model.model_id}", extra) from None


def _reply(answer: BaseMessage) -> Reply:
    said = answer.response_metadata
    why = said.get("stop_reason") or said.get("finish_reason")
    text = str(answer.text)
    used: Mapping[str, Any] = getattr(answer, "usage_metadata", None) or {}
    details: Mapping[str, Any] = used.get("input_token_details") or {}
    tokens: dict[str, Any] = {
        # No request is empty: a 0 says that the provider did not tell.
        "input_tokens": tokens_in(used.get("input_tokens")) or None,
        "cached_tokens": tokens_in(details.get("cache_read")) or 0,
        "output_tokens": tokens_in(used.get("output_tokens")),
    }
    refusal = answer.additional_kwargs.get("refusal")
    if refusal:
        return Reply(str(refusal), Stop.REFUSED, **tokens)
    if why is None:
        # Every complete answer says why it ended; without that, the stream was cut.
        raise ProviderFault(Fault.CUT if text else Fault.GARBAGE)
    return Reply(text, _STOPS.get(str(why), Stop.DONE), **tokens)


def _fault(error: Exception) -> ProviderFault:
    known = importlib.import_module("langchain_core.exceptions")
    status = getattr(error, "status_code", None)
    names = {kind.__name__ for each in causes(error) for kind in type(each).__mro__}
    detail = words_in(getattr(error, "body", None))
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or {}
    if isinstance(error, known.ContextOverflowError):
        return ProviderFault(Fault.TOO_LONG, detail)
    if "OverloadedError" in names:
        return ProviderFault(Fault.OVERLOADED, detail, retry_after(headers))
    if isinstance(status, int) and status >= 400:
        return ProviderFault(by_status(status, detail), detail, retry_after(headers))
    if isinstance(status, int) and status >= 300:
        return ProviderFault(Fault.REDIRECT, str(headers.get("location") or "nowhere"))
    if isinstance(error, known.ModelTimeoutError):
        return ProviderFault(Fault.HANG)
    if detail:  # told within a stream, after its status had promised an answer
        return ProviderFault(Fault.SERVER, detail)
    if "SSLCertVerificationError" in names:
        return ProviderFault(Fault.CERTIFICATE)
    if names & _NO_ROUTE:
        return ProviderFault(Fault.NO_ROUTE)
    if names & _CUT or isinstance(error, known.ModelConnectionError):
        return ProviderFault(Fault.CUT)
    return ProviderFault(Fault.GARBAGE)
