"""What a generator is told of earlier runs and of its user, and how a run becomes an example for later ones."""

from __future__ import annotations

from datetime import UTC, datetime

from osprey_executor.errors import InvalidRequestError
from osprey_executor.models import Example, ProvenScript, Recalled, Remembered, RunResult, RunStatus
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State
from osprey_executor.text import one_line


async def recall(state: State, rooms: Rooms) -> tuple[Recalled, State]:
    """Return what the generator of a run is given, and what its state has to say of it.

    A memory that cannot be read keeps nobody from working, and the result says that the generator had none: it makes
    code better, while what makes code safe stands after it.
    """
    try:
        found = await rooms.memory.recall(rooms.request.requester, rooms.request.user_query)
    except Exception as error:  # whatever another's row or a plug-in's text makes of it, the run goes on
        found, told = Remembered(), [f"the generator was given no notes and no examples: {one_line(str(error), 1000)}"]
    else:
        told = _missing(found)
    used = [each.model_dump_json() for each in found.used]
    examples = [Example(run_id=one.id, task=one.task, code=one.code) for one in found.scripts]
    return Recalled(notes=tuple(note.text for note in found.notes), examples=tuple(examples)), {
        "memory": list(dict.fromkeys([*state.get("memory", []), *used])),
        "notes": list(dict.fromkeys([*state.get("notes", []), *told])),
    }


def _missing(found: Remembered) -> list[str]:
    told: list[str] = []
    if found.left_out:
        told.append(f"{found.left_out} notes were left out: a prompt takes only so many, own and new ones first")
    if found.scripts_left_out:
        told.append(
            f"{found.scripts_left_out} similar programs were left out: a prompt takes only so many, own ones first"
        )
    if found.damaged:
        more = f" and {len(found.damaged) - 5} more" if len(found.damaged) > 5 else ""
        told.append(
            f"the generator was not given what is damaged in the memory: {', '.join(found.damaged[:5])}{more}; its "
            "owner can delete it (`osprey-executor memory delete ID`)"
        )
    return told


def proven(result: RunResult, by: str, *, shared: bool) -> ProvenScript:
    """Return the program of a run as an example, because `by` has marked it as good.

    Raises:
        InvalidRequestError: it did not succeed, or it is not the run of `by`.
    """
    if result.requester != by:
        # Or else one person's task and code would reach another without having been shared.
        raise InvalidRequestError(
            f"run {result.run_id} is of {one_line(result.requester)}: nobody else can keep it; they may, with --shared"
        )
    if result.status is not RunStatus.SUCCEEDED or result.code is None:
        raise InvalidRequestError(
            f"run {result.run_id} is no example for others: it is {result.status.replace('_', ' ')}; only a run that "
            "succeeded can be kept"
        )
    return ProvenScript(
        id=result.run_id, task=result.task, code=result.code, owner=by, shared=shared, kept_at=datetime.now(UTC)
    )
