"""What the store answers of accounts and channels."""

from dataclasses import dataclass, field
from datetime import datetime

from actors.messages.ids import (
    AccountId,
    AccountState,
    ChannelCondition,
    ChannelId,
    JobId,
    JobKind,
    JobState,
    Language,
    Span,
)
from actors.messages.people import DEFAULT_PLAN, UserRole


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    account_id: AccountId
    username: str | None
    first_name: str | None
    last_name: str | None
    bot: bool
    state: AccountState
    cause: str | None
    has_session: bool
    channels: int
    """Active memberships."""
    since: datetime
    """When the user became known."""
    state_since: datetime
    """When its state, or the cause, changed last."""
    role: UserRole = "user"
    plan: str = DEFAULT_PLAN
    language: Language | None = None
    """Of the person's app, as the bot last heard it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateState:
    """An account's common update state."""

    pts: int
    qts: int
    date: int
    """Unix seconds."""
    seq: int


@dataclass(frozen=True, slots=True)
class Pace:
    """At most ``calls`` within any ``seconds``."""

    calls: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What a client calls itself; the account's owner reads it in Telegram > Settings > Devices."""

    model: str = "Telewarden"
    system: str = "Linux"
    app: str = "0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKey:
    """An auth key and where it lives. Whoever has it has the account."""

    account_id: AccountId
    dc_id: int
    address: str
    port: int
    auth_key: bytes = field(repr=False)
    device: Device = Device()
    """As it called itself when it was made: a session whose name changes looks stolen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRow:
    channel_id: ChannelId
    username: str | None
    title: str
    condition: ChannelCondition
    reader_id: AccountId | None
    subscriptions: int
    """Active memberships."""
    posts: int
    start_id: int | None
    top_id: int
    floor_id: int
    """The newest id that there was at ``pts``."""
    pts: int | None
    covered: tuple[Span, ...]
    goal_id: int | None = None
    """The id down to which a backfill goes, or went."""
    backfilled: int = 0
    """Posts that came by backfill."""
    doubt_since: datetime | None = None
    """Since when something that was covered is to be read again."""
    doubt_why: str | None = None
    noforwards: bool = False
    migrated_from: int | None = None
    """The basic group that became this one, once its first message is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodRow:
    """A wait that Telegram told an account; also what HTTP answers."""

    account_id: AccountId
    method: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job in a list; also what HTTP answers. Of one that runs, its beginning: ask for it by its id for more."""

    number: int
    """Larger ones were accepted later."""
    job_id: JobId
    kind: JobKind
    user_id: AccountId | None
    channel_id: ChannelId | None
    schedule: str | None
    asked: str | None
    """Of a backfill or a verification, in words."""
    state: JobState
    channels_total: int
    channels_done: int
    posts_added: int
    posts_edited: int
    error: str | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What was added and edited by any road since the last summary of the same kind."""

    channel_id: ChannelId
    added: int
    edited: int
