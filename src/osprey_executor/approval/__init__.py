"""Approval: who must be asked, what they see, and what exactly their yes allows."""

from osprey_executor.approval.card import build_card, granted_channels, kinds_of
from osprey_executor.approval.digest import digest_of
from osprey_executor.approval.grant import grant_allows, issue_grant, verify_grant
from osprey_executor.approval.key import approval_key
from osprey_executor.approval.policy import POLICY_VERSION, Asking, must_ask

__all__ = [
    "POLICY_VERSION",
    "Asking",
    "approval_key",
    "build_card",
    "digest_of",
    "grant_allows",
    "granted_channels",
    "issue_grant",
    "kinds_of",
    "must_ask",
    "verify_grant",
]
