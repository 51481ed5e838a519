"""What `basic` adds to the time of its provider: prompt, SDK, connection, answer; against that request by itself."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from _live import Loop
from _measure import Cost, Subject, interleave, percentile
from _report import Line, cost

from osprey_executor.generation import BasicLLMCodeGenerator
from osprey_executor.models import PythonExecutionRequest
from osprey_executor.testing.scripted_provider import Asked, ScriptedProvider, Step

TOPIC = "generators"
GOAL_MS = 30.0
_PROVIDERS = ("anthropic", "openai")
_DELAY = 0.05
"""Seconds that the provider thinks. It is a thread of this process, so that there is time for both sides."""
_ANSWER = Step("```python\n" + "total = sum(range(10))\n" * 40 + "results = {'total': total}\n```\n", delay=_DELAY)
_REQUEST = PythonExecutionRequest(
    user_query="the orbit of each BPM, as a figure",
    capability_context_data={"bpms": [f"BPM{number}" for number in range(100)], "settings": {"gain": 0.5}},
)


def generators(rounds: int) -> list[Line]:
    """Measure `basic` with each protocol, in a loop that lives on, against a plain POST of what it sends."""
    lines: list[Line] = []
    with ScriptedProvider() as provider, closing(Loop()) as loop:
        provider.script(_ANSWER)
        for name in _PROVIDERS:
            url = provider.url + ("/v1" if name == "openai" else "")
            model = {"provider": name, "model_id": "scripted", "base_url": url, "api_key": "k"}
            generator = BasicLLMCodeGenerator(model)
            loop.wait(generator.generate_code(_REQUEST, []))
            plain, basic = f"{name}: the provider's answer", f"{name}: basic"
            subjects = {
                plain: _post(provider.url, provider.requests[-1]),
                basic: loop.subject(lambda own=generator: own.generate_code(_REQUEST, [])),
            }
            lines += _compared(interleave(subjects, rounds), plain, basic)
    return lines


def _compared(costs: Mapping[str, list[Cost]], plain: str, basic: str) -> list[Line]:
    more = (percentile(costs[basic], "wall", 0.5) - percentile(costs[plain], "wall", 0.5)) * 1e3
    note = f"of which {percentile(costs[basic], 'cpu', 0.5) * 1e3:.3g} ms CPU, the provider's among it"
    return [
        *cost(TOPIC, costs, baseline=plain),
        Line(TOPIC, f"{basic} beyond the provider's answer", more, "ms", goal=GOAL_MS, note=note),
    ]


def _post(url: str, asked: Asked) -> Subject:
    """Return a subject that sends the same body and reads the whole answer."""
    body: bytes = json.dumps(dict(asked.body)).encode()
    host = urlsplit(url).netloc

    def run() -> Cost:
        wall, cpu = time.perf_counter(), time.process_time()
        with closing(http.client.HTTPConnection(host, timeout=60)) as connection:
            connection.request("POST", asked.path, body, {"content-type": "application/json"})
            answer: Any = connection.getresponse()
            if answer.status != 200 or not json.loads(answer.read()):
                raise RuntimeError(f"the provider answered with {answer.status}")
        return Cost(time.perf_counter() - wall, time.process_time() - cpu)

    return run
