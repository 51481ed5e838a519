"""The wiring of the pipeline, on one screen.

generate -> analyse -> rehearse -> ask -> approve -> execute -> collect: a program that tried no write in its rehearsal
is finished, and goes to `collect`; where a rule of the site decides about its writes, nobody is asked. From a failure
the way leads back to `generate` (other code) or to `rehearse` and `execute` (the same code, after an infrastructure
error). Each node names the next one in `state["next"]`.
"""

# langgraph ships without py.typed in places, and its overloads are partly unknown.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from osprey_executor.pipeline.nodes.analyse import analyse
from osprey_executor.pipeline.nodes.approve import approve
from osprey_executor.pipeline.nodes.ask import ask
from osprey_executor.pipeline.nodes.collect import collect
from osprey_executor.pipeline.nodes.execute import execute
from osprey_executor.pipeline.nodes.generate import generate
from osprey_executor.pipeline.nodes.rehearse import rehearse
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State

RunGraph = CompiledStateGraph[State, Rooms, State, State]


async def _next(state: State) -> str:  # asynchronous, or else it would be called in a thread
    return state.get("next", "collect")


def build_graph(checkpointer: BaseCheckpointSaver[str]) -> RunGraph:
    """Return the compiled graph; the thread id is the run id."""
    graph: StateGraph[State, Rooms, State, State] = StateGraph(State, context_schema=Rooms)
    graph.add_node("generate", generate)
    graph.add_node("analyse", analyse)
    graph.add_node("rehearse", rehearse)
    graph.add_node("ask", ask)
    graph.add_node("approve", approve)
    graph.add_node("execute", execute)
    graph.add_node("collect", collect)
    graph.add_edge(START, "generate")
    graph.add_conditional_edges("generate", _next, ["generate", "analyse", "collect"])
    graph.add_conditional_edges("analyse", _next, ["generate", "approve", "rehearse", "execute", "collect"])
    graph.add_conditional_edges("rehearse", _next, ["ask", "collect"])
    graph.add_conditional_edges("ask", _next, ["approve", "execute", "collect"])
    graph.add_conditional_edges("approve", _next, ["generate", "analyse", "rehearse", "execute", "collect"])
    graph.add_conditional_edges("execute", _next, ["collect"])
    graph.add_conditional_edges(
        "collect", _next, {"generate": "generate", "rehearse": "rehearse", "execute": "execute", "end": END}
    )
    return graph.compile(checkpointer=checkpointer)
