"""What outlives a process: the index of runs and decisions in SQLite, the lock of a run, its events."""

from osprey_executor.storage._approvals import Remembered
from osprey_executor.storage._events import EventLog, follow, last_output
from osprey_executor.storage._guard import WriteGuard
from osprey_executor.storage._keys import Claim
from osprey_executor.storage._leases import Lease
from osprey_executor.storage._lock import RunLock, is_driven
from osprey_executor.storage._runs import Decided, RunStore, UnfinishedExecution
from osprey_executor.storage._schema import make_private

__all__ = [
    "Claim",
    "Decided",
    "EventLog",
    "Lease",
    "Remembered",
    "RunLock",
    "RunStore",
    "UnfinishedExecution",
    "WriteGuard",
    "follow",
    "is_driven",
    "last_output",
    "make_private",
]
