"""Who may do what: the people of a site, their tokens and their roles."""

from osprey_executor.access._approvers import Approvers, Decider
from osprey_executor.access._identity import Identity
from osprey_executor.access._people import People
from osprey_executor.access._table import may, system_person

__all__ = ["Approvers", "Decider", "Identity", "People", "may", "system_person"]
