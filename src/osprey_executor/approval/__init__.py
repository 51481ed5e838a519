"""Approval: who must be asked, what they see, and what exactly their yes allows."""

from osprey_executor.approval.card import build_card, kinds_of, named_channels
from osprey_executor.approval.digest import digest_of
from osprey_executor.approval.grant import issue_grant, plan_digest, verify_grant
from osprey_executor.approval.key import approval_key
from osprey_executor.approval.policy import (
    POLICY_VERSION,
    Asking,
    bound_by_policy,
    must_ask,
    must_ask_to_write,
    rehearses,
)
from osprey_executor.approval.rules import Situation

__all__ = [
    "POLICY_VERSION",
    "Asking",
    "Situation",
    "approval_key",
    "bound_by_policy",
    "build_card",
    "digest_of",
    "issue_grant",
    "kinds_of",
    "must_ask",
    "must_ask_to_write",
    "named_channels",
    "plan_digest",
    "rehearses",
    "verify_grant",
]
