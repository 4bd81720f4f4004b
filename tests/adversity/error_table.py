"""The table of errors as the tests see it: what each name asks for, and of what the operator is told."""

from dataclasses import dataclass

WAIT = 40
"""Seconds."""


@dataclass(frozen=True)
class Row:
    code: int
    name: str
    action: str
    """wait, again, park, stop, lost, renew or refuse: see ``Cell``."""
    alert: str | None = None
    wait: int = WAIT


ROWS = (
    Row(420, f"FLOOD_WAIT_{WAIT}", "wait"),
    Row(420, f"FLOOD_PREMIUM_WAIT_{WAIT}", "wait"),
    Row(420, f"SLOWMODE_WAIT_{WAIT}", "wait"),
    Row(420, f"STRANGE_NEW_WAIT_{WAIT}", "wait", "unknown_wait"),
    Row(420, "FLOOD_OF_A_NEW_KIND", "wait", "unknown_wait", wait=60),
    Row(500, "RPC_CALL_FAIL", "again"),
    Row(400, "HISTORY_GET_FAILED", "again"),
    Row(-503, "Timeout", "again"),
    Row(500, "INTERNAL", "again"),
    Row(-500, "No workers running", "again"),
    Row(599, "NEVER_HEARD_OF", "again"),
    Row(500, "PERSISTENT_TIMESTAMP_OUTDATED", "again"),
    Row(400, "PERSISTENT_TIMESTAMP_INVALID", "again"),
    Row(400, "FILE_REFERENCE_3_EXPIRED", "again"),
    Row(406, "AUTH_KEY_DUPLICATED", "park", "key_dead"),
    Row(401, "AUTH_KEY_UNREGISTERED", "park", "key_dead"),
    Row(401, "AUTH_KEY_INVALID", "park", "key_dead"),
    Row(401, "SESSION_REVOKED", "park", "key_dead"),
    Row(401, "SESSION_EXPIRED", "park", "key_dead"),
    Row(401, "USER_DEACTIVATED", "park", "account_parked"),
    Row(401, "USER_DEACTIVATED_BAN", "park", "account_parked"),
    Row(400, "PHONE_NUMBER_BANNED", "park", "account_parked"),
    Row(401, "SOMETHING_NEW", "park", "account_parked"),
    Row(420, "FROZEN_METHOD_INVALID", "park", "frozen"),
    Row(400, "FROZEN_PARTICIPANT_MISSING", "park", "frozen"),
    Row(400, "PEER_FLOOD", "stop", "method_parked"),
    Row(400, "CHANNEL_PRIVATE", "lost"),
    Row(406, "CHANNEL_PRIVATE", "lost"),
    Row(400, "CHANNEL_INVALID", "renew"),
    Row(400, "SOMETHING_ELSE", "refuse", "refused"),
    Row(403, "CHAT_ADMIN_REQUIRED", "refuse", "refused"),
    Row(406, "SOMETHING_ELSE", "refuse", "refused"),
    Row(404, "METHOD_GONE", "refuse", "refused"),
)
