"""The audit trail: who asked, decided and changed what, in a chain of lines that nobody changes unseen."""

from osprey_executor.audit._export import exported
from osprey_executor.audit._trail import Trail
from osprey_executor.audit._verify import Verified, journal_mark, verify

__all__ = ["Trail", "Verified", "exported", "journal_mark", "verify"]
