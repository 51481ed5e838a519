"""The `basic` generator: one prompt, one answer, one program."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from osprey_executor.config import DEFAULT_MODEL, ModelConfig, config_from, load_config, provider, unsealed
from osprey_executor.errors import CodeGenerationError, ConfigurationError
from osprey_executor.generation._answer import program_in
from osprey_executor.generation._faults import Fault, ProviderFault, lacking, no_key, told
from osprey_executor.generation._meter import meter
from osprey_executor.generation._prices import cost_of, knows_price
from osprey_executor.generation._prompt import build_prompt
from osprey_executor.generation._provider import ChatModel, Reply, Stop, open_chat_model
from osprey_executor.models import ModelCall, PythonExecutionRequest
from osprey_executor.text import one_line

_TRIES = 3
_FIRST_PAUSE = 0.5
_TINY = 16
"""Tokens; the least that every provider takes as a limit."""
_CANCELS = 20
_CANCEL_AGAIN = 0.1
"""Seconds."""
_SOON = 30.0
"""Seconds that a tiny request may take."""


class BasicLLMCodeGenerator:
    """Asks a language model once for a program; a passing fault is tried again within the model's `timeout`.

    `model_config` is a `ModelConfig`, a mapping of its fields, `{"model_config_name": NAME}`, or None for the model
    `python_code_generator` of the configuration.

    Raises:
        ConfigurationError: there is no such model, or it is not described as it must be.
    """

    def __init__(self, model_config: ModelConfig | Mapping[str, Any] | None = None) -> None:
        self._model = _model_of(model_config)
        self._chat: ChatModel | None = None
        self._priced = False

    @property
    def model(self) -> ModelConfig:
        """The model that is asked."""
        return self._model

    @property
    def model_label(self) -> str:
        """Provider and model, for the record."""
        return f"{self._model.provider}/{self._model.model_id}"

    async def generate_code(self, request: PythonExecutionRequest, error_chain: list[str]) -> str:
        """Return the program that the model wrote.

        Raises:
            BudgetExceededError: what the request may take is spent.
            CodeGenerationError: the answer is cut off, refused, empty, or not exactly one program.
            ConfigurationError: the model lacks its key or an address.
            GeneratorUnavailableError: wrong key or model, no route, rate limit, overload, or no answer in time.
            MissingExtraError: the provider's package is not installed.
        """
        prompt = build_prompt(request, error_chain)
        reply = await self._ask(await self._opened(), prompt.system, prompt.user)
        who = f"{self._model.provider}, model {self._model.model_id}"
        if reply.stop is Stop.REFUSED:
            raise CodeGenerationError(f"{who}: the model refused the task: {one_line(reply.text.strip(), 300)}")
        if reply.stop is Stop.LENGTH:
            limit = self._model.max_tokens
            named = f"max_tokens of the model ({limit})" if limit else "max_tokens of the model"
            raise CodeGenerationError(f"{who}: the answer was cut off at its longest; raise {named} or narrow the task")
        try:
            return program_in(reply.text)
        except CodeGenerationError as error:
            raise CodeGenerationError(f"{who}: {error}") from None

    async def check_online(self) -> None:
        """Make one tiny request, which any answer passes.

        Raises:
            ConfigurationError: the model lacks its key or an address.
            GeneratorUnavailableError: wrong key, wrong model, no route, or whatever else keeps it from answering.
            MissingExtraError: the provider's package is not installed.
        """
        tiny = self._model.model_copy(update={"max_tokens": _TINY, "timeout": min(self._model.timeout, _SOON)})
        await self._ask(await self._opened(tiny), "Answer with one word.", "Are you there?")

    async def _opened(self, other: ModelConfig | None = None) -> ChatModel:
        model = self._model
        if missing := lacking(model):
            raise missing
        if _needs_key(model) and not (model.api_key and model.api_key.get_secret_value().strip()):
            raise no_key(model)
        if not model.base_url:
            raise ConfigurationError(
                f"{model.provider}, model {model.model_id}: base_url is missing; add it to the model"
            )
        # The first import of an SDK, and of a price list, takes seconds; the event loop goes on meanwhile.
        if other is not None:
            return await asyncio.to_thread(open_chat_model, other)
        if self._chat is None:
            self._priced = await asyncio.to_thread(knows_price, model.provider, model.model_id)
            self._chat = await asyncio.to_thread(open_chat_model, model)
        return self._chat

    async def _ask(self, chat: ChatModel, system: str, user: str) -> Reply:
        """Try until it works, until another try is no use, or until the time is up: tries and pauses together."""
        counting = meter()
        counting.check_price(self.model_label, known=self._priced)
        ends = time.monotonic() + min(chat.model.timeout, counting.seconds_left)
        last: ProviderFault | None = None
        for number in range(_TRIES):
            counting.check()
            try:
                return await self._try(chat, system, user, ends)
            except ProviderFault as fault:
                # If an earlier try was told why, that says more than that the time is up.
                last = last if last and fault.fault is Fault.HANG else fault
            pause = last.retry_after if last.retry_after is not None else _FIRST_PAUSE * 2**number
            if not last.passing or number + 1 == _TRIES or time.monotonic() + pause >= ends:
                break
            await asyncio.sleep(pause)
        if counting.seconds_left <= 0:
            raise counting.out_of_time() from None
        raise told(last or ProviderFault(Fault.HANG), chat.model) from None

    async def _try(self, chat: ChatModel, system: str, user: str, ends: float) -> Reply:
        """Ask once, and count it."""
        begun = time.monotonic()
        reply: Reply | None = None
        failed: ProviderFault | None = None
        asking = asyncio.ensure_future(chat.ask(system, user))
        try:
            await asyncio.wait([asking], timeout=ends - begun)
            reply = asking.result() if asking.done() else None
            failed = None if reply else ProviderFault(Fault.HANG)
        except ProviderFault as fault:
            failed = fault
        except asyncio.CancelledError:
            meter().add(ModelCall(model=self.model_label, seconds=time.monotonic() - begun, error="cancelled"))
            raise
        finally:
            await _end(asking)
        call = self._call(time.monotonic() - begun, reply, failed)
        meter().add(call, f"{system}\n\n{user}", reply.text if reply else f"({call.error})")
        if reply is None:
            raise failed or ProviderFault(Fault.GARBAGE)
        return reply

    def _call(self, seconds: float, reply: Reply | None, failed: ProviderFault | None) -> ModelCall:
        call = ModelCall(model=self.model_label, seconds=seconds)
        if failed is not None:
            nothing = {"input_tokens": 0, "output_tokens": 0, "cost": 0.0} if failed.unpaid else {}
            return call.model_copy(update={"error": failed.fault.value, **nothing})
        sent, received = (reply.input_tokens, reply.output_tokens) if reply else (None, None)
        if reply is None or sent is None or received is None:
            return call
        cost = cost_of(self._model.provider, self._model.model_id, sent, reply.cached_tokens, received)
        tokens = {"input_tokens": sent, "cached_tokens": reply.cached_tokens, "output_tokens": received}
        return call.model_copy(update={**tokens, "cost": cost})


async def _end(task: asyncio.Future[Reply]) -> None:
    """End a request. `asyncio.wait_for` of Python 3.11, which the SDKs use, loses a cancellation now and then."""
    for _ in range(_CANCELS):
        if task.done():
            break
        task.cancel()
        await asyncio.wait([task], timeout=_CANCEL_AGAIN)
    if task.done() and not task.cancelled():
        task.exception()  # looked at, else asyncio would complain of it later


def _needs_key(model: ModelConfig) -> bool:
    known = provider(model.provider)
    own_server = model.base_url is not None and model.base_url != known.base_url
    return "api_key" in model.unset or (known.needs_key and not own_server)


def _model_of(given: ModelConfig | Mapping[str, Any] | None) -> ModelConfig:
    if isinstance(given, ModelConfig):
        return given
    name = DEFAULT_MODEL if given is None else given.get("model_config_name")
    if given is None or (name is not None and "provider" not in given):
        models = load_config().models
        if name not in models:
            raise ConfigurationError(
                f"there is no model {name} in models; it has: {', '.join(sorted(models)) or 'none'}"
            )
        return models[str(name)]
    fields = {key: value for key, value in given.items() if key != "model_config_name"}
    return config_from({"models": {DEFAULT_MODEL: unsealed(fields)}}).models[DEFAULT_MODEL]
