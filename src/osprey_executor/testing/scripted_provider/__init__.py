"""A provider of models on loopback, for tests of generators: it answers as it is told, and fails as it is told.

It speaks Anthropic Messages (`POST /v1/messages`) and OpenAI Chat Completions (`POST /v1/chat/completions`), whole or
in a stream, as the request asks, so that real SDKs and the Claude Code CLI can be run against it.

```python
from osprey_executor.testing.scripted_provider import ScriptedProvider, Step

with ScriptedProvider() as provider:
    provider.script(Step(status=429, headers={"retry-after": "0"}), Step("results = {}"))
    ...  # ask provider.url
    assert "a task" in provider.requests[0].user
```

Each request takes the next step; the last one is repeated.
"""

from osprey_executor.testing.scripted_provider._server import ScriptedProvider
from osprey_executor.testing.scripted_provider._steps import Asked, Step, ToolUse

__all__ = ["Asked", "ScriptedProvider", "Step", "ToolUse"]
