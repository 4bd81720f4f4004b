"""Who may ask over HTTP, and who asked for what."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

TokenRole = Literal["viewer", "operator", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    name: str
    role: TokenRole
    digest: bytes
    """SHA-256 of the token, which is kept nowhere."""
    created_by: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    token_id: int
    name: str
    role: TokenRole
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """Within a minute."""
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """A request that was to change something, and what was answered."""

    who: str
    role: str
    method: str
    path: str
    status: int
    at: datetime
    audit_id: int = 0
    """Larger ones are later; 0 for one that isn't kept yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that was sent before, under the same key."""

    same: bool
    """Whether it is the same request, as far as that can be told: not after the master key was replaced."""
    sealed: bytes | None
    """Its answer; None while there is none."""
