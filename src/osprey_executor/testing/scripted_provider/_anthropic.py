"""Answers in the protocol of Anthropic Messages: https://docs.anthropic.com/en/api/messages."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

from osprey_executor.testing.scripted_provider._pieces import pieces
from osprey_executor.testing.scripted_provider._steps import Step

_STOPS = {"done": "end_turn", "length": "max_tokens", "refused": "refusal"}
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def whole(step: Step, model: str) -> dict[str, Any]:
    """Return an answer that comes at once."""
    return _message(step, model, _content(step), _stop(step))


def events(step: Step, model: str) -> Iterator[str]:
    """Yield an answer as server-sent events; one that fails tells an overload after it has begun."""
    yield _event("message_start", message=_message(step, model, [], None))
    for index, block in enumerate(_content(step)):
        if block["type"] == "text":
            yield _event("content_block_start", index=index, content_block={"type": "text", "text": ""})
            for piece in pieces(step.text):
                yield _event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
        else:
            yield _event("content_block_start", index=index, content_block={**block, "input": {}})
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    if step.fault == "error":
        yield _event("error", error=error(529, step.message)["error"])
        return
    delta = {"stop_reason": _stop(step), "stop_sequence": None}
    yield _event("message_delta", delta=delta, **_usage(step))
    yield _event("message_stop")


def error(status: int, message: str) -> dict[str, Any]:
    """Return the body of an error."""
    return {"type": "error", "error": {"type": _ERRORS.get(status, "api_error"), "message": message}}


def _stop(step: Step) -> str:
    return "tool_use" if step.tools else _STOPS[step.stop]


def _content(step: Step) -> list[dict[str, Any]]:
    text = [{"type": "text", "text": step.text}] if step.text else []
    # Clients that keep a conversation tell answers and uses of tools apart by their ids.
    tools = [
        {"type": "tool_use", "id": f"toolu_{secrets.token_hex(8)}", "name": tool.name, "input": dict(tool.input)}
        for tool in step.tools
    ]
    return [*text, *tools]


def _message(step: Step, model: str, content: list[Any], stop: str | None) -> dict[str, Any]:
    head = {"id": f"msg_{secrets.token_hex(8)}", "type": "message", "role": "assistant", "model": model}
    return {**head, "content": content, "stop_reason": stop, "stop_sequence": None, **_usage(step)}


def _usage(step: Step) -> dict[str, Any]:
    used = {
        "input_tokens": step.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": step.cached_tokens,
        "output_tokens": step.output_tokens,
    }
    return {"usage": used} if step.tells_usage else {}


def _event(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"
