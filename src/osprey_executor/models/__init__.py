"""The data on its way through the rooms: frozen, typed, nothing of ours above it."""

from osprey_executor.models.analysis import (
    AnalysisReport,
    Confidence,
    Effect,
    Finding,
    FindingKind,
    Severity,
    Step,
    Verdict,
    WriteTarget,
)
from osprey_executor.models.approval import (
    ApprovalCard,
    Approve,
    ControlSystemReport,
    Decision,
    Digest,
    Edit,
    Grant,
    Reject,
    decision_to_wire,
    parse_decision,
)
from osprey_executor.models.channel_limits import LimitsCheck, LimitsFinding, LimitsReport
from osprey_executor.models.control import AlarmSeverity, ControlSession, History, Reading
from osprey_executor.models.endpoint import Endpoint
from osprey_executor.models.execution import (
    IsolationReport,
    MachineEffects,
    Outcome,
    Program,
    Refusal,
    RunStatus,
    Settled,
    Usage,
    Write,
)
from osprey_executor.models.gateways import Gateway, Gateways, Place
from osprey_executor.models.generation import Assignment, Example, Generation, ModelCall, Recalled
from osprey_executor.models.limits import Limits, Size, show_size
from osprey_executor.models.machine import WHOLE_MACHINE, common_channel, machine_of, same_machine
from osprey_executor.models.memory import Imported, Note, ProvenScript, Remembered, Used
from osprey_executor.models.people import Action, Person, PersonRecord, Role
from osprey_executor.models.plan import (
    AttemptedWrite,
    ChannelStart,
    Envelope,
    EnvelopeChannel,
    Plan,
    PlannedWrite,
)
from osprey_executor.models.probe import Probe
from osprey_executor.models.report import ErrorReport, Stage
from osprey_executor.models.request import PythonExecutionRequest, slug, system_user
from osprey_executor.models.restoring import LeftChannel, RestoredChannel, Restoring
from osprey_executor.models.result import Attempt, Rehearsal, RunResult, RunSummary, Timings
from osprey_executor.models.settlement import Settlement, Unsettled

__all__ = [
    "WHOLE_MACHINE",
    "Action",
    "AlarmSeverity",
    "AnalysisReport",
    "ApprovalCard",
    "Approve",
    "Assignment",
    "Attempt",
    "AttemptedWrite",
    "ChannelStart",
    "Confidence",
    "ControlSession",
    "ControlSystemReport",
    "Decision",
    "Digest",
    "Edit",
    "Effect",
    "Endpoint",
    "Envelope",
    "EnvelopeChannel",
    "ErrorReport",
    "Example",
    "Finding",
    "FindingKind",
    "Gateway",
    "Gateways",
    "Generation",
    "Grant",
    "History",
    "Imported",
    "IsolationReport",
    "LeftChannel",
    "Limits",
    "LimitsCheck",
    "LimitsFinding",
    "LimitsReport",
    "MachineEffects",
    "ModelCall",
    "Note",
    "Outcome",
    "Person",
    "PersonRecord",
    "Place",
    "Plan",
    "PlannedWrite",
    "Probe",
    "Program",
    "ProvenScript",
    "PythonExecutionRequest",
    "Reading",
    "Recalled",
    "Refusal",
    "Rehearsal",
    "Reject",
    "Remembered",
    "RestoredChannel",
    "Restoring",
    "Role",
    "RunResult",
    "RunStatus",
    "RunSummary",
    "Settled",
    "Settlement",
    "Severity",
    "Size",
    "Stage",
    "Step",
    "Timings",
    "Unsettled",
    "Usage",
    "Used",
    "Verdict",
    "Write",
    "WriteTarget",
    "common_channel",
    "decision_to_wire",
    "machine_of",
    "parse_decision",
    "same_machine",
    "show_size",
    "slug",
    "system_user",
]
