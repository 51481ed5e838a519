"""One conversation with the CLI: phase after phase, by the SDK's client, until the answer that holds the program."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any

from claude_agent_sdk import (
    AssistantMessage,
    ClaudeAgentOptions,
    ClaudeSDKClient,
    ClaudeSDKError,
    HookContext,
    HookInput,
    HookJSONOutput,
    HookMatcher,
    ResultMessage,
    SystemMessage,
    ToolUseBlock,
)

from osprey_executor.errors import BudgetExceededError, CodeGenerationError, GeneratorUnavailableError
from osprey_executor.generation._faults import Fault, ProviderFault, without_key
from osprey_executor.generation._meter import Meter
from osprey_executor.generation._prices import cost_of, tokens_in
from osprey_executor.generation.claude_code._command import Command
from osprey_executor.generation.claude_code._confine import REFUSED
from osprey_executor.generation.claude_code._failures import Heard, fault_of
from osprey_executor.generation.claude_code._relay import Relay
from osprey_executor.generation.claude_code._schema import PhaseConfig
from osprey_executor.generation.claude_code._scratch import Scratch
from osprey_executor.generation.claude_code._settings import Settings
from osprey_executor.generation.claude_code._transport import CliTransport
from osprey_executor.models import ModelCall
from osprey_executor.text import one_line


class Conversation:
    """Goes through the phases of `settings` once."""

    def __init__(self, settings: Settings, command: Command, place: Scratch, relay: Relay, counting: Meter) -> None:
        self._settings = settings
        self._relay = relay
        self._meter = counting
        self._transport = CliTransport(command, place.work)
        self._heard = Heard()
        self._phase: PhaseConfig = settings.phases[0][1]
        self._answers_before = 0
        self._cost = 0.0

    async def hold(self, system: str, task: str, examples: Awaitable[object]) -> str:
        """Return the last answer.

        Args:
            system: what the CLI was started with, for those who keep prompts.
            task: what is asked.
            examples: is done when the folder of the CLI is ready; meanwhile it starts.

        Raises:
            BudgetExceededError: what the request may take is spent.
            CodeGenerationError: too many turns, too dear, refused or cut off.
            GeneratorUnavailableError: the CLI does not start.
            ProviderFault: there is no usable answer.
        """
        options = ClaudeAgentOptions(
            # Else an `@/path` in a task would be read by the CLI itself, before any rule is asked.
            verbatim_prompts=True,
            skills=[],
            hooks={"PreToolUse": [HookMatcher(hooks=[self._before_tool])]},
        )
        answer = ""
        try:
            async with asyncio.timeout(self._settings.model.timeout):
                async with ClaudeSDKClient(options, transport=self._transport) as client:
                    await examples
                    for number, (name, phase) in enumerate(self._settings.phases):
                        prompt = f"{task}\n\n# What to do now\n{phase.prompt}" if number == 0 else phase.prompt
                        told = f"{system}\n\n{prompt}" if number == 0 else prompt
                        answer = await self._ask(client, name, phase, prompt, told)
        except TimeoutError:
            # What an earlier try was told says more than that the time is up.
            raise self._relay.fault or ProviderFault(Fault.HANG) from None
        except ClaudeSDKError as error:
            raise self._broken(error) from None
        finally:
            # The client does not come to it where a task is cancelled while it connects.
            await self._transport.close()
        return answer

    async def _ask(self, client: ClaudeSDKClient, name: str, phase: PhaseConfig, prompt: str, told: str) -> str:
        """Return the answer of one phase, and count it; `told` is the prompt as it is kept."""
        self._meter.check()
        begun = time.monotonic()
        self._phase, self._answers_before = phase, len(self._transport.answers)
        self._heard = Heard()
        call: ModelCall | None = None
        answer, error = "", Fault.HANG.value
        try:
            await client.query(prompt)
            result = await self._result(client)
            call, answer = self._call(result), result.result or ""
            self._check(result, call, name)
            return answer
        except ProviderFault as fault:
            error = fault.fault.value
            call = call and call.model_copy(update={"error": error})
            raise
        except BudgetExceededError:
            error = "budget"
            raise
        finally:
            call = (call or self._so_far(error)).model_copy(update={"seconds": time.monotonic() - begun})
            clean = partial(without_key, model=self._settings.model)
            self._meter.add(call, clean(told), clean(answer) or f"({call.error})")

    async def _result(self, client: ClaudeSDKClient) -> ResultMessage:
        async for message in client.receive_response():
            if isinstance(message, AssistantMessage):
                self._heard.error = message.error or ""
                # What is paid already is not thrown away: only another request, which follows a tool, is not made.
                if any(isinstance(block, ToolUseBlock) for block in message.content):
                    self._meter.check(self._so_far())
            elif isinstance(message, ResultMessage):
                return message
            elif isinstance(message, SystemMessage):
                self._heard.refused = self._heard.refused or message.subtype == "model_refusal_no_fallback"
        raise ProviderFault(Fault.GARBAGE)

    @property
    def _label(self) -> str:
        return f"{self._settings.model.provider}/{self._settings.model.model_id}"

    def _check(self, result: ResultMessage, call: ModelCall, name: str) -> None:
        profile, who = self._settings.profile, f"{self._settings.model.provider}, model {self._settings.model.model_id}"
        where = f"in the phase {name} of the profile {profile}"
        if result.subtype == "error_max_turns":
            raise CodeGenerationError(
                f"{who}: the conversation was ended {where} after {self._settings.max_turns} turns; raise max_turns of "
                "the profile, or narrow the task"
            )
        if result.subtype == "error_max_budget_usd":
            self._meter.check(call)  # what was left to the request may have been the lower limit
            raise CodeGenerationError(
                f"{who}: the conversation was ended {where}: it cost {result.total_cost_usd or 0:.2g} of "
                f"{self._settings.max_budget_usd:g} US dollars; raise max_budget_usd of the profile, or narrow the task"
            )
        if self._heard.refused:
            why = one_line(without_key(result.result or "", self._settings.model), 300)
            raise CodeGenerationError(f"{who}: the model refused the task: {why}")
        if self._heard.error == "max_output_tokens":
            raise CodeGenerationError(
                f"{who}: the answer was cut off at its longest; raise api_config.max_output_tokens or narrow the task"
            )
        if result.is_error:
            raise fault_of(result, self._heard, self._relay.fault)

    def _call(self, result: ResultMessage) -> ModelCall:
        before, self._cost = self._cost, result.total_cost_usd or self._cost  # it adds up over the conversation
        # For a model that it does not know, the CLI makes a price up; where no usage is told, it counts 0.
        priced = all(used.get("costBasis") != "unknown" for used in (result.model_usage or {}).values())
        used = _tokens(result.usage or {}) or _tokens(*self._usages)
        return ModelCall(model=self._label, cost=max(0.0, self._cost - before) if priced and used else None, **used)

    def _so_far(self, error: str = "underway") -> ModelCall:
        """Return what the answers of this phase have used, where no result tells it: the least that was paid."""
        call = ModelCall(model=self._label, error=error, **_tokens(*self._usages))
        sent, received, model = call.input_tokens, call.output_tokens, self._settings.model
        if sent is None or received is None:
            return call
        cost = cost_of(model.provider, model.model_id, sent, call.cached_tokens, received)
        return call.model_copy(update={"cost": cost})

    @property
    def _usages(self) -> list[Mapping[str, Any]]:
        """What each answer of this phase has used."""
        return list(self._transport.answers.values())[self._answers_before :]

    async def _before_tool(self, asked: HookInput, _id: str | None, _context: HookContext) -> HookJSONOutput:
        """Keep each phase to its own tools and turns; the CLI knows one list for the whole conversation."""
        try:
            self._meter.check(self._so_far())
        except BudgetExceededError as error:
            return {"continue_": False, "stopReason": str(error)}
        tool, answers = str(asked.get("tool_name", "")), len(self._transport.answers)
        if tool not in self._phase.tools:
            why = f"{tool} is not available in this step; do what was asked without it"
        elif answers - self._answers_before > self._phase.max_turns or answers > self._settings.max_turns:
            why = "no more tools in this step: answer now, with what you have seen"
        else:
            return {}
        return {
            "hookSpecificOutput": {
                "hookEventName": "PreToolUse",
                "permissionDecision": "deny",
                "permissionDecisionReason": why,
            }
        }

    def _broken(self, error: ClaudeSDKError) -> GeneratorUnavailableError:
        code, said = self._transport.exit_code, one_line(self._transport.complaint.strip(), 300)
        if code == REFUSED:
            return GeneratorUnavailableError(
                f"Claude Code cannot be started in its confinement ({said or 'no reason given'}); see the containment "
                "of claude_code in the documentation"
            )
        ended = f"ended early with exit code {code}" if code is not None else one_line(str(error), 200)
        return GeneratorUnavailableError(f"Claude Code {ended}{': ' + said if said else ''}; try again")


def _tokens(*answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return what answers have used, as fields of a `ModelCall`; none where they do not tell."""

    def total(*keys: str) -> int:
        counts = [tokens_in(usage.get(key) or 0) for usage in answers for key in keys]
        return sum(count or 0 for count in counts) if None not in counts else 0

    cached = total("cache_read_input_tokens")
    sent, received = total("input_tokens", "cache_creation_input_tokens"), total("output_tokens")
    # No request and no answer is empty: a 0 says that the provider did not tell.
    return {"input_tokens": sent + cached, "cached_tokens": cached, "output_tokens": received} if sent + cached else {}
