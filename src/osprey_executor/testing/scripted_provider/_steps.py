"""What a test tells the scripted provider, and what the provider was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

Fault = Literal["hang", "cut", "garbage", "error"]


@dataclass(frozen=True)
class ToolUse:
    """One use of a tool that the model asks for."""

    name: str
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Step:
    """One answer, or one failure."""

    text: str = ""
    tools: tuple[ToolUse, ...] = ()
    stop: Literal["done", "length", "refused"] = "done"
    input_tokens: int = 100
    """Without the cached ones."""
    cached_tokens: int = 0
    output_tokens: int = 20
    tells_usage: bool = True
    """Whether the answer says how many tokens it took."""
    delay: float = 0.0
    """Seconds before the answer begins."""
    pause: float = 0.0
    """Seconds between the pieces of the answer: a slow drip."""
    status: int = 200
    """Of HTTP: 401, 403, 404, 429, 500, 529, ..."""
    message: str = "scripted"
    """The provider's words in an error."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of an error: `retry-after`."""
    fault: Fault | None = None
    """hang: never answer; cut: close within the answer; garbage: answer with something else; error: tell an overload
    after the answer has begun, in a stream, and by status 529 else."""


@dataclass(frozen=True)
class Asked:
    """One request for a model, as it came in."""

    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Mapping[str, Any]

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.body.get("model", ""))

    @property
    def system(self) -> str:
        """The system prompt."""
        if "system" in self.body:
            return _text(self.body["system"])
        return next((_text(one["content"]) for one in self._messages if one["role"] in ("system", "developer")), "")

    @property
    def user(self) -> str:
        """The text of the last message."""
        return _text(self._messages[-1]["content"]) if self._messages else ""

    @property
    def text(self) -> str:
        """The text of all messages, results of tools among it."""
        return "\n".join(_text(message["content"]) for message in self._messages)

    @property
    def _messages(self) -> list[Mapping[str, Any]]:
        return cast("list[Mapping[str, Any]]", self.body.get("messages", []))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = cast("list[Mapping[str, Any]]", content or [])
    return "".join(_text(part.get("text") or part.get("content") or "") for part in parts)
