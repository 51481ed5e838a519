"""The service as a part of an agent: a LangGraph node and a LangChain tool.

The approval reaches the graph of the agent as an interrupt and is resumed from there. A run is begun in one node and
decided in another, because LangGraph executes a node from its top when it resumes: nothing with effects stands before
`interrupt()`.
"""

# langgraph ships without py.typed in places, and its overloads are partly unknown.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Any, TypedDict, cast

from langchain_core.tools import BaseTool, StructuredTool
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import interrupt

from osprey_executor.errors import AccessDeniedError, InvalidDecision
from osprey_executor.interfaces.agent_inbox import inbox_decision, inbox_question
from osprey_executor.models import (
    PythonExecutionRequest,
    RunResult,
    RunStatus,
    decision_to_wire,
    parse_decision,
)
from osprey_executor.service import PythonExecutorService, result_to_json


class CapabilityState(TypedDict, total=False):
    """What the node reads from the state of the agent and leaves there."""

    task: str
    """What to do, in words."""
    code: str
    """A program of one's own instead of a generated one."""
    expected_results: dict[str, Any]
    capability_context_data: dict[str, Any]
    """In: what the program finds at `context`. Out: the same with the results under the name of the capability."""
    python_results: dict[str, str]
    """Ids of earlier runs by name. The program finds their results at `context` under that name, arrays and frames as
    they are; each capability adds its own run here."""
    python_run: dict[str, Any]
    """The run as `osprey-executor run --json` prints it."""
    python_card: dict[str, Any]
    """The card that waits; empty when none does."""
    python_decision: dict[str, Any]


class PythonCapability:
    """Gives an agent the service.

    Args:
        service: an opened service.
        name: under which the results are put into `capability_context_data`.
    """

    def __init__(self, service: PythonExecutorService, *, name: str = "python_results") -> None:
        self._service = service
        self.name = name

    def node(self) -> CompiledStateGraph[CapabilityState, None, CapabilityState, CapabilityState]:
        """Return a graph to add as a node to the agent's: `graph.add_node("python", capability.node())`.

        Where a person must decide, the agent's graph stops with `__interrupt__`, whose value is the approval card;
        it goes on with `Command(resume={"decision": "approve", "digest": ...})` or `{"approved": true | false}`, or
        with what an Agent Inbox answers.
        What is not a decision is asked again, with the reason in `error`.
        """
        graph: StateGraph[CapabilityState, None, CapabilityState, CapabilityState] = StateGraph(CapabilityState)
        graph.add_node("begin", self._begin)
        graph.add_node("ask", _ask)
        graph.add_node("decide", self._decide)
        graph.add_edge(START, "begin")
        graph.add_conditional_edges("begin", _waits, {True: "ask", False: END})
        graph.add_edge("ask", "decide")
        graph.add_conditional_edges("decide", _waits, {True: "ask", False: END})
        return graph.compile()

    def tool(self) -> BaseTool:
        """Return a LangChain tool `run_python(task)` for agents that call tools; it interrupts as the node does."""
        graph = self.node()

        async def run_python(task: str) -> dict[str, Any]:
            """Write Python for a task, run it safely beside the machine, and return its results."""
            state = await graph.ainvoke({"task": task})
            run = cast(dict[str, Any], state["python_run"])
            return {name: run[name] for name in ("run_id", "status", "effects", "results", "error", "notebook_path")}

        return StructuredTool.from_function(coroutine=run_python, name="run_python")

    async def _begin(self, state: CapabilityState) -> CapabilityState:
        request = PythonExecutionRequest(
            user_query=state.get("task", ""),
            code=state.get("code"),
            expected_results=state.get("expected_results", {}),
            capability_context_data=state.get("capability_context_data", {}) | await self._earlier(state),
        )
        return await self._told(state, await self._service.run(request))

    async def _earlier(self, state: CapabilityState) -> dict[str, Any]:
        runs = state.get("python_results", {})
        return {name: (await self._service.result(run_id)).results for name, run_id in runs.items()}

    async def _decide(self, state: CapabilityState) -> CapabilityState:
        run_id = state.get("python_run", {})["run_id"]
        try:
            result = await self._service.decide(run_id, parse_decision(state.get("python_decision")))
        except InvalidDecision:
            # Somebody decided at another door, or this node is executed again after a crash: what counts is recorded.
            result = await self._service.result(run_id)
        except AccessDeniedError as error:
            # The run still waits, for somebody who shows at another door who they are.
            told = await self._told(state, await self._service.result(run_id))
            return told | {"python_card": {**card, "error": str(error)}} if (card := told.get("python_card")) else told
        return await self._told(state, result)

    async def _told(self, state: CapabilityState, result: RunResult) -> CapabilityState:
        run = result_to_json(result)
        told: CapabilityState = {"python_run": run, "python_card": {}}
        if result.status is RunStatus.AWAITING_APPROVAL:
            card = await self._service.card(result.run_id)
            return told | {"python_card": inbox_question(card)}
        if result.status is RunStatus.SUCCEEDED:
            context = state.get("capability_context_data", {})
            return told | {
                "capability_context_data": {**context, self.name: run["results"]},
                "python_results": {**state.get("python_results", {}), self.name: result.run_id},
            }
        return told


def _waits(state: CapabilityState) -> bool:
    return bool(state.get("python_card"))


def _ask(state: CapabilityState) -> CapabilityState:
    card = state.get("python_card", {})
    question = card
    while True:
        answer = interrupt(question)
        try:
            decision = inbox_decision(answer, card)
        except InvalidDecision as error:
            question = {**card, "error": str(error)}
        else:
            return {"python_decision": decision_to_wire(decision)}
