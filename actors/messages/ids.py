"""Ids and states: plain values that everybody names."""

from typing import Literal, NewType

AccountId = NewType("AccountId", int)
"""The account's Telegram user id."""
ChannelId = NewType("ChannelId", int)
"""Bare channel id, without the Bot API ``-100`` prefix."""
JobId = NewType("JobId", str)
SignInId = NewType("SignInId", str)
Sha256 = NewType("Sha256", str)
"""64 hexadecimal digits, lower case: the name of a blob."""
AccountState = Literal[
    "signed_out",
    "signing_in",
    "connecting",
    "active",
    "flooded",
    "frozen",
    "revoked",
    "banned",
    "duplicated",
    "parked",
    "disabled",
]
UP: frozenset[AccountState] = frozenset({"active", "flooded"})
"""States in which an account collects."""
Language = Literal["ru", "en"]
ChannelCondition = Literal["active", "private", "gone", "quarantined"]
Road = Literal["live", "catchup", "backfill"]
"""How a post came: pushed, fetched because it was missing, or older than the channel's start."""
JobKind = Literal["user", "all", "schedule", "backfill", "verify"]
PARSES: tuple[JobKind, ...] = ("user", "all", "schedule")
JobState = Literal["queued", "running", "success", "failed", "cancelled"]
ENDED: frozenset[JobState] = frozenset({"success", "failed", "cancelled"})
"""States that a job keeps."""
Span = tuple[int, int]
"""Message ids from the first to the second, both included; the first is never greater."""
