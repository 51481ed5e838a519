"""Answers in the protocol of OpenAI Chat Completions: https://platform.openai.com/docs/api-reference/chat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from osprey_executor.testing.scripted_provider._pieces import pieces
from osprey_executor.testing.scripted_provider._steps import Step

_STOPS = {"done": "stop", "length": "length", "refused": "content_filter"}
_ERRORS = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def whole(step: Step, model: str) -> dict[str, Any]:
    """Return an answer that comes at once."""
    message: dict[str, Any] = {"role": "assistant", "content": step.text, "refusal": None}
    if step.tools:
        message["tool_calls"] = _tools(step)
    choice = {"index": 0, "message": message, "finish_reason": _stop(step), "logprobs": None}
    return {**_head("chat.completion", model), "choices": [choice], **_usage(step)}


def events(step: Step, model: str) -> Iterator[str]:
    """Yield an answer as server-sent events, its usage last; one that fails tells an overload after it has begun."""
    yield _chunk(model, {"role": "assistant", "content": ""})
    for piece in pieces(step.text):
        yield _chunk(model, {"content": piece})
    for index, tool in enumerate(_tools(step)):
        yield _chunk(model, {"tool_calls": [{"index": index, **tool}]})
    if step.fault == "error":
        yield _data(error(529, step.message))
        return
    yield _chunk(model, {}, _stop(step))
    if step.tells_usage:
        yield _data({**_head("chat.completion.chunk", model), "choices": [], **_usage(step)})
    yield "data: [DONE]\n\n"


def error(status: int, message: str) -> dict[str, Any]:
    """Return the body of an error."""
    code = _ERRORS.get(status)
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _stop(step: Step) -> str:
    return "tool_calls" if step.tools else _STOPS[step.stop]


def _tools(step: Step) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{number:04d}",
            "type": "function",
            "function": {"name": tool.name, "arguments": json.dumps(dict(tool.input))},
        }
        for number, tool in enumerate(step.tools)
    ]


def _usage(step: Step) -> dict[str, Any]:
    asked = step.input_tokens + step.cached_tokens
    used = {
        "prompt_tokens": asked,
        "completion_tokens": step.output_tokens,
        "total_tokens": asked + step.output_tokens,
        "prompt_tokens_details": {"cached_tokens": step.cached_tokens},
    }
    return {"usage": used} if step.tells_usage else {}


def _head(kind: str, model: str) -> dict[str, Any]:
    return {"id": "chatcmpl-scripted", "object": kind, "created": 1, "model": model}


def _chunk(model: str, delta: dict[str, Any], stop: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": stop}
    return _data({**_head("chat.completion.chunk", model), "choices": [choice]})


def _data(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"
