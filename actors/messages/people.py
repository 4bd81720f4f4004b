"""Who the users are to the operator: roles, invites, and what a removal did."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from actors.messages.ids import AccountId, SignInId

UserRole = Literal["owner", "admin", "user"]
RANKS: dict[UserRole, int] = {"user": 0, "admin": 1, "owner": 2}
"""A role may do what those below it may, and give away what isn't above it."""
DEFAULT_PLAN = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """An invite as it is kept; its code isn't."""

    invite_id: int
    role: UserRole
    plan: str
    uses: int
    uses_left: int
    created_by: AccountId | None
    """None: the operator, over HTTP."""
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvite:
    code: str = field(repr=False)
    role: UserRole = "user"
    plan: str = DEFAULT_PLAN
    uses: int = 1
    expires_at: datetime
    created_by: AccountId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What is gone with a user; also what HTTP answers."""

    user_id: AccountId
    signed_out: bool
    """Whether Telegram confirmed that the session is over; True also where there was none."""
    channels: int
    """That nobody follows now."""
    posts: int
    """Deleted with those channels; 0 unless it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInLink:
    """What a key to the sign-in page is for."""

    user_id: AccountId | None
    """Who is to sign in; None: anybody."""
    sign_in_id: SignInId | None = None
    """A sign-in that goes on there; None: one begins."""
