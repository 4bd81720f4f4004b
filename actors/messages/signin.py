"""Signing in."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from actors.messages.ids import AccountId, SignInId
from actors.messages.people import Removed
from actors.runtime.message import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInStep:
    """Where a sign-in stands; also what HTTP answers. ``error`` is a sentence that can be shown, without secrets."""

    sign_in_id: SignInId
    state: Literal["code_needed", "scan_needed", "password_needed", "done", "failed"]
    account_id: AccountId | None = None
    """Who has signed in; only when done."""
    error: str | None = None
    """Why it failed; or, while a code or password is still needed, what was wrong with the last one."""
    qr_link: str | None = field(default=None, repr=False)
    """What a QR code is to show, while a scan is needed. Whoever's app scans it is signed in here."""
    qr_expires_at: datetime | None = None
    """Before that the next link stands here: a link lives for about 30 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSignIn(Request[SignInStep]):
    """Ask ``signin`` to have Telegram send a code. Takes as long as Telegram does: allow 60 s. Ends in 10 minutes."""

    phone: str = field(repr=False)
    expected: AccountId | None = None
    """Who is to sign in: another is refused and signed out again. None: anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartQrSignIn(Request[SignInStep]):
    """Ask ``signin`` for a QR code to be scanned by the account's own app; otherwise as ``StartSignIn``."""

    expected: AccountId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSignIn(Request[SignInStep]):
    """Ask how far a sign-in is; with ``wait`` answered when its step changes next, or after that time."""

    sign_in_id: SignInId
    wait: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterCode(Request[SignInStep]):
    """A wrong code leaves the sign-in at ``code_needed``; an unknown or expired id answers ``failed``."""

    sign_in_id: SignInId
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterPassword(Request[SignInStep]):
    """A wrong password leaves the sign-in at ``password_needed``; an unknown or expired id answers ``failed``."""

    sign_in_id: SignInId
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSession(Request[SignInStep]):
    """Ask ``signin`` to take over a session of Telethon's; the step is ``done`` or ``failed``."""

    session: str | bytes = field(repr=False)
    """The text of a StringSession, or the content of a ``.session`` file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSignIn(Request[SignInStep]):
    """End a sign-in; whatever it was, it is ``failed`` then unless it was done."""

    sign_in_id: SignInId


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSignedIn:
    """Tell ``accounts`` that a new session is stored: start the account, or start it anew."""

    account_id: AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOut(Request[bool]):
    """Ask ``signin`` to end a user's session, at Telegram and here; whether Telegram confirmed it, or there was none.

    Raises: UserUnknown, StoreUnavailable.
    """

    account_id: AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableUser(Request[None]):
    """Ask ``signin`` to leave an account alone: it disconnects and keeps its session; others read its channels on.

    Raises: UserUnknown, UserNotSignedIn, StoreUnavailable.
    """

    account_id: AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableUser(Request[None]):
    """Ask ``signin`` to take a disabled account up again; harmless for any other.

    Raises: UserUnknown, StoreUnavailable.
    """

    account_id: AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveUser(Request[Removed]):
    """Ask ``signin`` to sign a user out and delete all that is kept of it. Raises as ``SignOut``."""

    account_id: AccountId
    posts: bool = False
    """Also the channels that nobody else follows, with their posts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAccount(Request[None]):
    """Ask ``accounts`` to have no client of a user any more; answered once it has none."""

    account_id: AccountId
