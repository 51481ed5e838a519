"""An example agent with a scripted model: the approval interrupts the agent's graph and is resumed from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolCall
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command

from osprey_executor import PythonExecutorService
from osprey_executor.generation import MockCodeGenerator
from osprey_executor.interfaces.capability import CapabilityState, PythonCapability

WRITE = """
from osprey_executor.runtime import write_channel
write_channel("MAG:1:SP", context.setpoint)
results = {"set": context.setpoint}
"""
THREAD: Any = {"configurable": {"thread_id": "conversation"}}


def service(home: Path, *programs: str) -> PythonExecutorService:
    generator = MockCodeGenerator()
    generator.set_code_sequence(list(programs))
    config = {"execution": {"code_generator": "mock"}, "control_system": {"type": "mock", "writes_enabled": True}}
    return PythonExecutorService.from_config(config, generator=generator, home=home)


def agent(capability: PythonCapability) -> Any:
    graph = StateGraph(CapabilityState)
    graph.add_node("python", capability.node())
    graph.add_edge(START, "python")
    graph.add_edge("python", END)
    return graph.compile(checkpointer=InMemorySaver())


async def test_the_interrupt_reaches_the_parent_and_resumes_from_it(home: Path) -> None:
    async with service(home, WRITE) as opened:
        graph = agent(PythonCapability(opened, name="SETPOINT"))
        asked = {"task": "set the magnet", "capability_context_data": {"setpoint": 1.5}}
        state = await graph.ainvoke(asked, THREAD)
        [question] = state["__interrupt__"]
        assert "MAG:1:SP" in str(question.value["writes"])
        state = await graph.ainvoke(Command(resume={"decision": "approve", "digest": question.value["digest"]}), THREAD)
        assert state["python_run"]["status"] == "succeeded"
        assert state["capability_context_data"] == {"setpoint": 1.5, "SETPOINT": {"set": 1.5}}
        assert len(await opened.runs()) == 1


async def test_what_is_not_a_decision_is_asked_again(home: Path) -> None:
    async with service(home, WRITE) as opened:
        graph = agent(PythonCapability(opened))
        await graph.ainvoke({"task": "set", "capability_context_data": {"setpoint": 1.5}}, THREAD)
        state = await graph.ainvoke(Command(resume={"approved": "no"}), THREAD)
        [question] = state["__interrupt__"]
        assert "not a decision" in question.value["error"]
        assert len(await opened.pending()) == 1
        state = await graph.ainvoke(Command(resume={"approved": False}), THREAD)
        assert state["python_run"]["status"] == "rejected"


async def test_a_decision_at_another_door_counts(home: Path) -> None:
    async with service(home, WRITE) as opened:
        graph = agent(PythonCapability(opened))
        await graph.ainvoke({"task": "set", "capability_context_data": {"setpoint": 1.5}}, THREAD)
        [card] = await opened.pending()
        await opened.cancel(card.run_id)
        state = await graph.ainvoke(Command(resume={"approved": True}), THREAD)
        assert state["python_run"]["status"] == "cancelled"


async def test_results_of_one_run_are_context_of_the_next(home: Path) -> None:
    programs = "results = {'mean': 2.5}", "results = {'double': 2 * context.first.mean}"
    async with service(home, *programs) as opened:
        graph = StateGraph(CapabilityState)
        graph.add_node("one", PythonCapability(opened, name="first").node())
        graph.add_node("two", PythonCapability(opened, name="second").node())
        graph.add_edge(START, "one")
        graph.add_edge("one", "two")
        state = await graph.compile().ainvoke({"task": "mean, then double"})
    assert state["capability_context_data"] == {"first": {"mean": 2.5}, "second": {"double": 5.0}}


async def test_arrays_and_frames_of_one_run_reach_the_next_as_they_are(home: Path) -> None:
    programs = (
        "import numpy as np, pandas as pd\n"
        "results = {'orbit': np.arange(5000.0), 'frame': pd.DataFrame({'x': [1, 2]}), 'n': 1}",
        "import numpy as np\n"
        "first = context['first']\n"
        "results = {'sum': float(np.sum(first['orbit'])), 'columns': list(first['frame'].columns),"
        " 'kind': type(first['orbit']).__name__}",
    )
    async with service(home, *programs) as opened:
        graph = StateGraph(CapabilityState)
        graph.add_node("measure", PythonCapability(opened, name="first").node())
        graph.add_node("judge", PythonCapability(opened, name="second").node())
        graph.add_edge(START, "measure")
        graph.add_edge("measure", "judge")
        state = await graph.compile().ainvoke({"task": "measure, then judge"})
        assert state["capability_context_data"]["second"] == {"sum": 12497500.0, "columns": ["x"], "kind": "ndarray"}
        # The state of the agent holds ids, and not the data itself.
        assert set(state["python_results"]) == {"first", "second"}
        later = await agent(PythonCapability(opened, name="later")).ainvoke(
            {
                "task": "again",
                "code": "results = {'n': context['mine']['n']}",
                "python_results": {"mine": state["python_results"]["first"]},
            },
            THREAD,
        )
    assert later["capability_context_data"]["later"] == {"n": 1}


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ([{"type": "accept", "args": None}], "succeeded"),
        ({"type": "accept", "args": None}, "succeeded"),
        ([{"type": "response", "args": "not today"}], "rejected"),
    ],
)
async def test_an_inbox_decides(home: Path, answer: Any, status: str) -> None:
    async with service(home, WRITE) as opened:
        graph = agent(PythonCapability(opened))
        asked = {"task": "set", "code": WRITE, "capability_context_data": {"setpoint": 1.5}}
        [question] = (await graph.ainvoke(asked, THREAD))["__interrupt__"]
        assert question.value["action_request"]["args"]["code"] == WRITE
        assert not question.value["config"]["allow_ignore"]
        assert "MAG:1:SP" in question.value["description"]
        state = await graph.ainvoke(Command(resume=answer), THREAD)
        assert state["python_run"]["status"] == status


async def test_what_an_inbox_cannot_say_and_what_it_edits_is_asked_again(home: Path) -> None:
    async with service(home, WRITE) as opened:
        graph = agent(PythonCapability(opened))
        asked = {"task": "set", "code": WRITE, "capability_context_data": {"setpoint": 1.5}}
        [question] = (await graph.ainvoke(asked, THREAD))["__interrupt__"]
        request = question.value["action_request"]
        for wrong in (
            [{"type": "ignore", "args": None}],
            [{"type": "accept", "args": {**request, "args": {**request["args"], "code": "results = {}"}}}],
            [{"type": "accept", "args": {**request, "args": {**request["args"], "digest": "0" * 64}}}],
            [{"type": "response", "args": ""}],
            [{"type": "edit", "args": None}],
            [{"type": "accept"}, {"type": "accept"}],
            [],
            "accept",
            True,
        ):
            [question] = (await graph.ainvoke(Command(resume=wrong), THREAD))["__interrupt__"]
            assert "not" in question.value["error"]
        edited = WRITE.replace("MAG:1", "MAG:2")
        answer = [{"type": "edit", "args": {**request, "args": {"code": edited}}}]
        [question] = (await graph.ainvoke(Command(resume=answer), THREAD))["__interrupt__"]
        assert "MAG:2:SP" in str(question.value["writes"])
        state = await graph.ainvoke(
            Command(resume=[{"type": "accept", "args": question.value["action_request"]}]), THREAD
        )
        assert state["python_run"]["status"] == "succeeded"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_tool_calling_agent(home: Path) -> None:
    call = ToolCall(name="run_python", args={"task": "set the magnet to 1.5"}, id="call-1", type="tool_call")
    replies = iter([AIMessage(content="", tool_calls=[call]), AIMessage(content="The magnet is set.")])
    model = GenericFakeChatModel(messages=replies)

    async def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    def goes_on(state: MessagesState) -> str:
        return "tools" if getattr(state["messages"][-1], "tool_calls", None) else END

    async with service(home, WRITE.replace("context.setpoint", "1.5")) as opened:
        graph = StateGraph(MessagesState)
        graph.add_node("model", think)
        graph.add_node("tools", ToolNode([PythonCapability(opened).tool()]))
        graph.add_edge(START, "model")
        graph.add_conditional_edges("model", goes_on, ["tools", END])
        graph.add_edge("tools", "model")
        compiled = graph.compile(checkpointer=InMemorySaver())
        state = await compiled.ainvoke({"messages": [HumanMessage("set the magnet")]}, THREAD)
        [question] = state["__interrupt__"]
        assert question.value["digest"]
        state = await compiled.ainvoke(Command(resume={"approved": True}), THREAD)
        assert state["messages"][-1].content == "The magnet is set."
        assert "succeeded" in state["messages"][-2].content
        assert len(await opened.runs()) == 1
