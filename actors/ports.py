"""What the actors need from the outside, as protocols. ``daemon`` provides them."""

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from actors.errand import Difference, ErrandRow
from actors.ledger import Ledger, LedgerTotals
from actors.messages.access import Asked, Audited, NewToken, Token
from actors.messages.alerts import AlertRow, EndAlert, RaiseAlert
from actors.messages.content import Membership, Post, Profile, WantedName
from actors.messages.files import Blob, ChannelFiles, FileRow, PostFile, WantedFile
from actors.messages.ids import (
    AccountId,
    AccountState,
    ChannelCondition,
    ChannelId,
    JobId,
    JobKind,
    JobState,
    Language,
    Sha256,
    Span,
)
from actors.messages.jobs import Job
from actors.messages.people import Invite, NewInvite, SignInLink, UserRole
from actors.messages.recorder import Record, Recorded
from actors.messages.rereads import DueReread, PostStats
from actors.messages.rows import AccountRow, ChannelRow, FloodRow, JobRow, Pace, SessionKey, Summary, UpdateState
from actors.timetable import Mark

# Every method raises StoreUnavailable when the database can't be reached, and every write OwnershipLost when another
# daemon has taken over (the owner's epoch is checked in the write's own transaction).


class Posts(Protocol):
    async def record(self, batch: Sequence[Record]) -> tuple[Recorded, ...]:
        """Commit a batch in one transaction: posts, versions, deletion marks, coverage, top, pts, start, counters.

        Idempotent: a post that is stored already and hasn't changed counts as neither added nor edited. A copy older
        by (pts, edit date) never undoes a newer one; a deleted post is never resurrected. Only live and catchup
        posts count into ``added_total`` of the channel; backfill is counted apart. Answers stand in the batch's order.

        Raises: PostRefused where PostgreSQL can't keep one of the values.
        """

    async def page(self, channel_id: ChannelId, *, after_id: int, limit: int) -> tuple[Post, ...]:
        """Posts of kind ``post`` that aren't deleted, ascending by id, ids above ``after_id``."""

    async def latest(self, channel_ids: Iterable[ChannelId], *, limit: int) -> tuple[Post, ...]:
        """The newest posts of these channels together, the newest first."""

    async def differences(
        self, channel_id: ChannelId, span: Span, posts: Sequence[Post], pts: int | None
    ) -> tuple[Difference, ...]:
        """Where what is stored of the covered ids in ``span`` isn't as in ``posts``, all that was read at ``pts``.

        Newest first, one difference an id. Rows stored from a copy newer than ``pts`` are left out.
        """

    async def stats(self, channel_id: ChannelId, message_id: int) -> PostStats | None:
        """A stored post's figures, now and at each planned rereading; None where there is no such post."""


class Rereads(Protocol):
    async def begin(self, plans: Sequence[timedelta], now: datetime) -> None:
        """See that each plan stands in each followed channel; a new one begins with what falls due from now on."""

    async def due(self, plans: Sequence[timedelta], now: datetime, *, limit: int) -> tuple[DueReread, ...]:
        """Of these plans those to be looked at by now, longest due first; of channels that can be read."""

    async def waiting(self, due: DueReread, *, limit: int) -> tuple[tuple[int, datetime], ...]:
        """The first messages above those that are done with, ascending, and when each was published."""

    async def skip_old(self, due: DueReread) -> None:
        """Be done with all that had fallen due before the plan began."""

    async def keep(self, due: DueReread, *, upto_id: int, due_at: datetime) -> None: ...


class Accounts(Protocol):
    async def all(self) -> tuple[AccountRow, ...]: ...

    async def one(self, account_id: AccountId) -> AccountRow | None: ...

    async def save_profile(self, profile: Profile) -> None: ...

    async def set_state(self, account_id: AccountId, state: AccountState, cause: str | None) -> None: ...

    async def session(self, account_id: AccountId) -> SessionKey | None:
        """Raises: SessionRejected when the stored blob doesn't open."""

    async def save_session(self, key: SessionKey) -> None:
        """Seal and store; replaces the account's former key. The account's row must exist (save_profile first)."""

    async def reseal(self) -> int:
        """Seal with the present master key what was sealed with another; how many. All of them or none.

        One that no known key opens is left as it is, and told of in the log.
        """

    async def wipe_session(self, account_id: AccountId) -> None: ...

    async def update_state(self, account_id: AccountId) -> UpdateState | None: ...

    async def save_update_state(self, account_id: AccountId, state: UpdateState) -> None: ...

    async def floods(self, account_id: AccountId) -> Mapping[str, datetime]:
        """Method -> until when the account must not call it; past ones are left out."""

    async def save_flood(self, account_id: AccountId, method: str, until: datetime) -> None: ...

    async def all_floods(self) -> Sequence[FloodRow]:
        """Waits that aren't over, of all accounts."""

    async def forget_limits(self, account_id: AccountId, method: str) -> bool:
        """The wait and the learned pace of a method; whether there was either."""

    async def paces(self, account_id: AccountId) -> Mapping[str, Pace]:
        """What floods have taught, by method."""

    async def save_pace(self, account_id: AccountId, method: str, pace: Pace) -> None: ...


class Channels(Protocol):
    async def all(self) -> tuple[ChannelRow, ...]: ...

    async def one(self, channel_id: ChannelId) -> ChannelRow | None: ...

    async def by_name(self, name: str) -> ChannelRow | None:
        """By ``name``, ``@name``, ``t.me/name``, bare id or ``-100…`` id, case folded."""

    async def of_account(self, account_id: AccountId) -> tuple[ChannelId, ...]:
        """Channels of the account's active memberships."""

    async def memberships(self, account_id: AccountId | None = None) -> tuple[Membership, ...]:
        """Active memberships of one account, or of all of them."""

    async def save_memberships(
        self, account_id: AccountId, memberships: Iterable[Membership], *, complete: bool
    ) -> None:
        """Upsert channels and memberships; a complete list deactivates what it doesn't name.

        A username that another channel has now is taken from the one that had it (renames).
        """

    async def former_members(self, channel_id: ChannelId) -> tuple[Membership, ...]:
        """Memberships that have ended, the last first."""

    async def lost_since(self) -> Mapping[ChannelId, datetime]:
        """The channels that nobody can read any more, and since when."""

    async def wanted_names(self) -> Mapping[str, WantedName]:
        """What is known of the names that settings want or wanted."""

    async def keep_name(self, name: str, channel_id: ChannelId) -> None:
        """The channel bears this name, or did while it was wanted."""

    async def miss_name(self, name: str, cause: str, at: datetime) -> None:
        """It was asked for in vain."""

    async def end_membership(self, account_id: AccountId, channel_id: ChannelId) -> None: ...

    async def set_reader(self, channel_id: ChannelId, account_id: AccountId | None) -> None: ...

    async def set_condition(self, channel_id: ChannelId, condition: ChannelCondition, cause: str | None) -> None: ...

    async def set_goal(self, channel_id: ChannelId, goal: int | None) -> None:
        """Down to which id older posts are wanted; the channel's actor is told apart."""

    async def ledger(self, channel_id: ChannelId) -> Ledger | None:
        """What is known of each of a channel's ids, at one moment; None for an unknown channel."""

    async def conditions(self) -> Mapping[ChannelCondition, int]:
        """Channels that somebody follows, by their condition."""

    async def ledger_totals(self) -> LedgerTotals: ...

    async def traffic(self, now: datetime) -> Mapping[ChannelId, float]:
        """Posts a day by channel, from the times of its newest 200; 0 where there are none."""


class Jobs(Protocol):
    async def save(self, job: Job) -> None:
        """Insert or replace."""

    async def one(self, job_id: JobId) -> Job | None: ...

    async def page(self, *, before: int, limit: int, state: JobState | None, kind: JobKind | None) -> Sequence[JobRow]:
        """The newest first, all of them or those of a state or kind, with numbers below ``before``."""

    async def end_interrupted(self, now: datetime) -> int:
        """Mark what an earlier process left queued or running as failed ("interrupted by a restart"); how many.

        Backfills are left alone: they go on. Verifications too: ``errands`` ends them.
        """

    async def save_errand(self, errand: ErrandRow) -> None:
        """Insert or replace."""

    async def errand(self, job_id: JobId) -> ErrandRow | None: ...

    async def unfinished_errands(self) -> tuple[ErrandRow, ...]: ...

    async def summarize(self, account_id: AccountId | None, channel_id: ChannelId) -> Summary:
        """Posts added and edited by any road but backfill since the last summary of a channel for a user; moves it.

        None: for all users together. A first summary counts all.
        """


class Media(Protocol):
    """Which files the stored posts carry, which of them are wanted, and what became of those.

    Nothing is noted while posts are recorded: what is wanted is derived from the posts, again and again, and a mark
    moves only with what was noted. So no end of the process loses a file.
    """

    async def unseen_channels(
        self, rules: str, *, ids: Iterable[int], usernames: Iterable[str], all_channels: bool
    ) -> tuple[ChannelFiles, ...]:
        """Of the channels named by id or username (lower case), or of all: those whose posts have changed since their
        files were noted, or whose files were noted under other ``rules``.
        """

    async def unseen(self, channel_id: ChannelId, *, limit: int) -> tuple[PostFile, ...]:
        """Files of posts that aren't noted yet, deleted posts left out."""

    async def forget_skipped(self, channel_id: ChannelId) -> None:
        """The rules have changed: what was skipped by them is unseen again."""

    async def note(self, files: Iterable[PostFile]) -> None:
        """Remember these; what isn't skipped is wanted, unless the same file was fetched for another post."""

    async def mark(self, channel_id: ChannelId, *, counted: int, rules: str) -> None:
        """All files of the channel are noted, as of ``counted`` and under ``rules``."""

    async def rules_of(self, channel_id: ChannelId) -> str | None:
        """Under which rules the channel's files were noted; None for one whose files never were."""

    async def wanted(self, *, limit: int, besides: Iterable[int] = ()) -> tuple[WantedFile, ...]:
        """What is due, longest due first; what was met first in one of the channels ``besides`` is left out.

        A file without carriers has lost its last post.
        """

    async def waiting(self) -> int:
        """How many files are wanted, due or not."""

    async def keep(self, file_key: str, sha256: Sha256, size: int) -> bool:
        """The file is stored as this blob; whether that is a new one."""

    async def postpone(self, file_key: str, cause: str, wait: timedelta, *, failed: bool) -> None:
        """Due again after ``wait``; ``failed`` counts as one more attempt."""

    async def give_up(self, file_key: str, cause: str) -> None: ...

    async def lose(self, file_key: str, channel_id: ChannelId, message_id: int) -> None:
        """The post doesn't carry it any more, or is gone. With its last post the file is given up."""

    async def page(self, channel_id: ChannelId, *, after_id: int, limit: int) -> tuple[FileRow, ...]:
        """All files of ``limit`` messages, ascending by message id, ids above ``after_id``."""

    async def blob(self, sha256: Sha256) -> Blob | None: ...

    async def release_unused(self, limit: int) -> tuple[Sha256, ...]:
        """Forget up to ``limit`` blobs that no post carries any more; the caller removes what they name."""


class Blobs(Protocol):
    """Files by content. Every method raises BlobsUnavailable."""

    async def held(self, file_key: str) -> int:
        """Bytes that are there of a file on its way; 0 where nothing is."""

    async def append(self, file_key: str, offset: int, data: bytes) -> None:
        """Write a part, and lose what stood behind it. Once this returns it outlives a power cut."""

    async def discard(self, file_key: str) -> None:
        """Lose what there is of a file on its way; harmless where nothing is."""

    async def finish(self, file_key: str) -> Sha256:
        """Make a blob of what has come, all or nothing. The same content twice is one blob."""

    async def read(self, sha256: Sha256) -> AsyncGenerator[bytes, None] | None:
        """The content, piece by piece; None for a blob that isn't there. Read it to its end, or ``aclose`` it."""

    async def remove(self, sha256: Sha256) -> None:
        """Harmless where it isn't there."""


class Alerts(Protocol):
    async def raise_alert(self, alert: RaiseAlert) -> bool:
        """Open an alert, or count one up that is open. Returns whether it is new."""

    async def end_alerts(self, alert: EndAlert) -> int:
        """Returns how many were open."""

    async def close_alert(self, alert_id: int) -> AlertRow | None:
        """End that one, unless it is over already. Returns it, None where there is none."""

    async def open_counts(self) -> Mapping[str, int]:
        """By kind, those that aren't over."""

    async def untold(self, before: datetime, *, limit: int) -> Sequence[AlertRow]:
        """The open ones raised until then that nobody was told of, the first raised first."""

    async def mark_told(self, alert_ids: Iterable[int]) -> None: ...

    async def one(self, alert_id: int) -> AlertRow | None: ...

    async def page(self, *, ended: bool, after: int | None = None, limit: int) -> Sequence[AlertRow]:
        """The open ones, the last met first; with ``ended`` the others after them. Those listed after ``after``."""


class People(Protocol):
    """Who the users are to the operator. Who they are to Telegram stands in ``Accounts``."""

    async def set_role(self, user_id: AccountId, role: UserRole) -> None:
        """Raises: UserUnknown."""

    async def set_plan(self, user_id: AccountId, plan: str) -> None:
        """Raises: UserUnknown."""

    async def set_language(self, user_id: AccountId, language: Language) -> None:
        """In what language the bot speaks first. Raises: UserUnknown."""

    async def invite(self, new: NewInvite) -> Invite:
        """Keep an invite; of its code only the digest."""

    async def invites(self, *, before_id: int, limit: int) -> tuple[Invite, ...]:
        """The last made first."""

    async def revoke(self, invite_id: int) -> bool:
        """Whether there is such an invite; twice is harmless."""

    async def redeem(self, code: str, profile: Profile, now: datetime) -> Invite:
        """Take somebody in by an invite: one use, also of two who come at once. A second time costs nothing.

        Nobody loses a role by it. Raises: InviteRefused.
        """

    async def consent(self, user_id: AccountId, text_version: str, road: str) -> None:
        """The user agreed to that text, in the bot or on the page."""

    async def consented_at(self, user_id: AccountId, text_version: str) -> datetime | None: ...

    async def make_link(self, token: str, link: SignInLink, expires_at: datetime) -> None:
        """Keep a key to the sign-in page: its digest, and what it is for."""

    async def link_stands(self, token: str, now: datetime) -> bool:
        """Whether it can still be opened."""

    async def open_link(self, token: str, now: datetime) -> SignInLink | None:
        """Use a key up; None where there is none, or it was opened before, or its time is over."""

    async def followed_alone(self, user_id: AccountId) -> tuple[ChannelId, ...]:
        """Channels, former ones too, that no other user follows."""

    async def remove(self, user_id: AccountId, channels: Iterable[ChannelId]) -> int:
        """Delete the user with all that is kept about it, and these channels with their posts; how many posts.

        Raises: UserUnknown.
        """

    async def choices(self, account_id: AccountId) -> Mapping[ChannelId, bool]:
        """What the user chose to follow, and not to follow, whatever the settings say."""

    async def choose(self, account_id: AccountId, channel_ids: Iterable[ChannelId], *, wanted: bool) -> None:
        """Both the user and the channels must be known."""


class Schedules(Protocol):
    """When each schedule was last due."""

    async def marks(self) -> Mapping[str, Mark]:
        """By the schedule's name."""

    async def save(self, marks: Collection[Mark]) -> None:
        """Insert or replace."""

    async def keep_only(self, names: Collection[str]) -> None:
        """Forget those of schedules with other names."""


class Retention(Protocol):
    """Posts that are older than they are kept."""

    async def older(self, channel_id: ChannelId, than: datetime) -> int:
        """How many there are, deleted ones left out."""

    async def begin(self, channel_id: ChannelId, than: datetime) -> int | None:
        """Have the channel begin with its oldest post that is younger; that id, or None where none is older.

        Below it nothing counts as covered, missing or wanted any more. The posts are there until ``expire``.
        """

    async def expire(self, channel_id: ChannelId, below: int, *, limit: int) -> tuple[int, int]:
        """Delete the oldest rows below an id with all that belongs to them; how many, and how many posts among them."""


class Access(Protocol):
    """Tokens for HTTP, and the audit."""

    async def create(self, token: NewToken) -> Token:
        """Raises: NameTaken."""

    async def find(self, digest: bytes) -> Token | None:
        """Whatever has become of it since."""

    async def tokens(self, *, after_id: int, limit: int) -> tuple[Token, ...]:
        """By id, those that are over too."""

    async def revoke(self, token_id: int) -> Token | None: ...

    async def used(self, token_id: int, at: datetime) -> None: ...

    async def note(self, audited: Audited) -> None: ...

    async def forget(self, now: datetime) -> int:
        """What is older than the audit goes back; how much."""

    async def audit(self, *, before_id: int, limit: int) -> tuple[Audited, ...]:
        """The newest first."""


class Repeats(Protocol):
    """Requests that whoever sends them may repeat, each under a key of its sender's."""

    async def begin(self, who: str, key: str, asked: bytes, now: datetime) -> Asked | None:
        """What is known of the key; None for one that is new, and taken from now on. ``asked``: the whole request."""

    def open(self, who: str, key: str, sealed: bytes) -> bytes:
        """An answer. Raises: SessionRejected where the master key was changed since."""

    async def end(self, who: str, key: str, answer: bytes) -> None: ...

    async def drop(self, who: str, key: str) -> None:
        """Nothing was done: the key is new again."""

    async def forget(self, now: datetime) -> int:
        """What is over; how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The one way in to the database."""

    posts: Posts
    accounts: Accounts
    channels: Channels
    jobs: Jobs
    media: Media
    alerts: Alerts
    rereads: Rereads
    people: People
    schedules: Schedules
    access: Access
    retention: Retention
    repeats: Repeats


class Keys(Protocol):
    """Seals sessions and answers: AES-256-GCM, bound to the account or the name, and to the key's version."""

    @property
    def current(self) -> bytes:
        """The id of the key that seals now."""

    def sealed_with(self, sealed: bytes) -> bytes:
        """The id of the key that a session was sealed with."""

    def seal(self, account_id: AccountId, plain: bytes) -> bytes: ...

    def open(self, account_id: AccountId, sealed: bytes) -> bytes:
        """Raises: SessionRejected."""

    def digest(self, plain: bytes) -> bytes: ...

    def is_digest_of(self, digest: bytes, plain: bytes) -> bool | None:
        """None where the key that it was made with isn't known any more."""

    def seal_answer(self, name: bytes, plain: bytes) -> bytes: ...

    def open_answer(self, name: bytes, sealed: bytes) -> bytes:
        """Raises: SessionRejected."""
