"""Every message and id type. Frozen, slotted, keyword-only: Pykka doesn't copy messages.

Commands are imperative, facts past tense. A ``Request`` has a reply, whose type it names. JSON parts of a post travel
as the bytes that PostgreSQL will keep (canonical JSON, UTF-8), so that they are immutable and encoded once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NewType

from actors.runtime.message import Request

AccountId = NewType("AccountId", int)
"""The account's Telegram user id."""
ChannelId = NewType("ChannelId", int)
"""Bare channel id, without the Bot API ``-100`` prefix."""
JobId = NewType("JobId", str)
SignInId = NewType("SignInId", str)
Sha256 = NewType("Sha256", str)
"""64 hexadecimal digits, lower case: the name of a blob."""

AccountState = Literal[
    "signed_out", "connecting", "active", "flooded", "frozen", "revoked", "banned", "duplicated", "parked", "disabled"
]
ChannelCondition = Literal["active", "private", "gone", "quarantined"]
Road = Literal["live", "catchup", "backfill"]
"""How a post came: pushed, fetched because it was missing, or older than the channel's start."""
JobKind = Literal["user", "all", "schedule", "backfill", "verify"]
JobState = Literal["queued", "running", "success", "failed", "cancelled"]

Span = tuple[int, int]
"""Message ids from the first to the second, both included; the first is never greater."""


# --- what Telegram has ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One message of a channel, decoded. ``kind`` tells posts from service messages; text may be empty."""

    channel_id: ChannelId
    message_id: int
    kind: Literal["post", "service", "undecodable"] = "post"
    date: datetime | None
    """None only for an undecodable message."""
    edited_at: datetime | None = None
    text: str = ""
    entities: bytes | None = None
    """JSON array of ``{"type", "offset", "length", ...}``; offsets in UTF-16 units as Telegram counts them."""
    media: bytes | None = None
    """JSON object with at least ``type``; docs/posts.md says what else."""
    forward: bytes | None = None
    action: bytes | None = None
    """JSON object of a service message."""
    reply_to_id: int | None = None
    """In the same channel; for a pin, what was pinned."""
    reply: bytes | None = None
    """JSON object where there is more to say: a quote, a thread, another peer, a story."""
    grouped_id: int | None = None
    author: str | None = None
    """The signature, where the channel signs."""
    sender: bytes | None = None
    """JSON ``{"type", "id"}`` of who wrote it, in groups and where the channel shows it."""
    discussion_id: int | None = None
    """The group in which the post is discussed."""
    details: bytes | None = None
    """JSON object of what few posts have: buttons, the bot it came by, restrictions."""
    views: int | None = None
    forwards: int | None = None
    reactions: bytes | None = None
    replies: int | None = None
    results: bytes | None = None
    """JSON object of a poll's votes or a list's done items: figures, never an edit."""
    pinned: bool = False
    silent: bool = False
    noforwards: bool = False
    raw: bytes | None = field(default=None, repr=False)
    """The TL object as compressed JSON, where ``collection.raw`` asks for it; written, never read back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A channel as one account sees it; ``access_hash`` is that account's own."""

    account_id: AccountId
    channel_id: ChannelId
    access_hash: int = field(repr=False)
    username: str | None
    title: str
    broadcast: bool = True
    noforwards: bool = False
    top_id: int | None = None
    """Newest message id when it was read; None where the answer didn't say."""
    pts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedName:
    """A name of a channel in the settings, and what is known of it."""

    name: str
    """Lower case, without @."""
    channel_ids: tuple[ChannelId, ...] = ()
    """Every channel that has borne it while it was wanted: a rename loses none."""
    tried_at: datetime | None = None
    """When it was last asked for in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Who an account is, as Telegram says."""

    account_id: AccountId
    username: str | None
    first_name: str | None
    last_name: str | None
    bot: bool = False


# --- to an account -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFetched:
    """One page, newest first."""

    channel_id: ChannelId
    posts: tuple[Post, ...]
    lowest_id: int | None
    """Lowest id that the page held, decoded or not; None for an empty page."""
    count: int
    """Messages on the page, decoded or not."""
    pts: int | None = None
    """The channel's when the page was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchHistory(Request[HistoryFetched]):
    """Ask an account for one page of a channel's history: one RPC.

    Raises: ``FloodWaited``, ``ChannelLost``, ``AccountUnusable``, ``TryAgain``, ``Refused``.
    """

    channel_id: ChannelId
    offset_id: int
    """Messages below this id; 0 for the newest."""
    limit: int = 100
    """Messages per page, 1 to 100."""
    road: Road = "catchup"
    """Backfill gives way to all else that waits for the same account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelHead:
    channel_id: ChannelId
    top_id: int
    """0 for an empty channel."""
    pts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceFetched:
    """What happened to a channel after a pts, or a slice of it; where too much did, only where it stands now."""

    channel_id: ChannelId
    posts: tuple[Post, ...] = ()
    edits: tuple[Post, ...] = ()
    deleted_ids: tuple[int, ...] = ()
    pts: int
    """Known now: what is above it is in the next slice."""
    final: bool = True
    head: ChannelHead | None = None
    """Too much has happened to be told, or what happened can't be read: go on from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchDifference(Request[DifferenceFetched]):
    """Ask what happened to a channel after ``pts``, edits and deletions included: one RPC, 100 steps of pts.

    A pts that the service doesn't know is answered by a head, at the cost of a second RPC. Raises as ``FetchHistory``.
    """

    channel_id: ChannelId
    pts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFound:
    channel_id: ChannelId
    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FindStart(Request[StartFound]):
    """Ask for the first id that the start policy wants: the ``newest``-th from the top, or the first since a date.

    One RPC. Answers 1 where the channel has fewer posts or none before the date. Raises as ``FetchHistory``.
    """

    channel_id: ChannelId
    newest: int | None = None
    since: datetime | None = None
    below: int = 0
    """With ``newest``: count from the first message below this id; 0 counts from the top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdsFetched:
    """The messages that there are of some ids, newest first."""

    channel_id: ChannelId
    posts: tuple[Post, ...]
    pts: int | None
    """The channel's when they were read; of several calls the first."""
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchIds(Request[IdsFetched]):
    """Ask for up to 100 messages by their ids: one RPC where all can be read, bisected otherwise. Gives way to all.

    Raises as ``FetchHistory``.
    """

    channel_id: ChannelId
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelsPeeked:
    heads: tuple[ChannelHead, ...]
    lost: tuple[ChannelId, ...] = ()
    """Named in the request, yet the account can't see them any more."""
    left: tuple[ChannelId, ...] = ()
    """Not answered, for the calls came to a wait or a fault: to be asked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeekChannels(Request[ChannelsPeeked]):
    """Ask for the top message and pts of up to 100 channels: one RPC where all can be seen, bisected otherwise."""

    channel_ids: tuple[ChannelId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAgain(Request[bool]):
    """Ask an account whether it can read a channel again that it had lost: one RPC. If so it belongs to it again.

    Raises as ``FetchHistory``.
    """

    membership: Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedFile:
    message_id: int
    file_key: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesLocated:
    """Of the messages that were asked for those that are there and carry a file."""

    files: tuple[LocatedFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocateFiles(Request[FilesLocated]):
    """Ask an account to read up to 100 messages again and remember where their files lie: one RPC.

    Where a file lies is known to this account alone, and not for long. Raises as ``FetchHistory``.
    """

    channel_id: ChannelId
    message_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    data: bytes = field(repr=False)
    """Shorter than asked for only at the file's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPart(Request[FilePart]):
    """Ask an account for a part of a file that it has located: one RPC, one more where the file has moved.

    Gives way to what channels ask for. Raises as ``FetchHistory``, and ``FileLost``.
    """

    channel_id: ChannelId
    file_key: str
    offset: int
    """A multiple of ``PART``."""


PART = 512 * 1024
"""Bytes of a part: within one megabyte and aligned, as core.telegram.org/api/files wants it, and Telethon's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSnapshot:
    """What may be told of an account; never a client."""

    account_id: AccountId
    username: str | None
    first_name: str | None
    last_name: str | None
    state: AccountState
    loop_id: int | None
    """Identity of the loop on which the client was built; None before it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAccount(Request[AccountSnapshot]):
    """Ask an account how it is. Never waits for Telegram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterUp:
    """A roster has started: an account that is up tells it ``AccountUp`` (again)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Tell an account, by the control lane, whose pushes it passes on; those of others it drops where they arrive."""

    channel_ids: frozenset[ChannelId]
    updates: bool
    """Whether it is needed as reader or standby at all. One that isn't connects without updates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingFor(Request[Reading]):
    """Ask the roster what an account is to read, before it connects."""

    account_id: AccountId


# --- to a channel --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPosted:
    """A push of a new or edited post."""

    post: Post
    pts: int
    pts_count: int
    edited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDeleted:
    channel_id: ChannelId
    message_ids: tuple[int, ...]
    pts: int
    pts_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFigures:
    """A push of figures that changed; they stand in no sequence. None for those that it doesn't tell."""

    channel_id: ChannelId
    message_id: int
    views: int | None = None
    forwards: int | None = None
    reactions: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelMoved:
    """The service says that something happened to the channel, up to ``pts`` where it tells that, and no more."""

    channel_id: ChannelId
    pts: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSeen:
    """A head was read on the channel's behalf: what lies above the known top is to be fetched."""

    head: ChannelHead


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseChannel:
    """Tell a channel to make itself complete up to ``head`` and answer the job with ``ChannelParsed``."""

    job_id: JobId
    head: ChannelHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend(Request[bool]):
    """Have recorded what was read of a span by ids; answers, once that is committed or refused, whether it was."""

    span: Span
    posts: tuple[Post, ...]
    pts: int | None
    series: bool = False
    """Whether the figures are kept as a point of each post's series too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalSet:
    """Down to which id older posts are wanted now; it stands in the store already. None: none are."""

    goal: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """A wait is over: go on."""


# --- to the recorder -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Tell the recorder to commit posts and the coverage that they prove, together. Answered by ``Recorded``."""

    channel_id: ChannelId
    road: Road
    posts: tuple[Post, ...] = ()
    covered: Span | None = None
    absent: Span | None = None
    """Posts stored in this span that aren't among ``posts`` are deleted, unless their copy is newer than ``pts``."""
    doubt: Span | None = None
    """Subtracted from what is covered, before ``covered`` is added: it is to be read again."""
    doubt_why: str = ""
    deleted_ids: tuple[int, ...] = ()
    figures: tuple[ChannelFigures, ...] = ()
    """Of posts that are stored; others are passed over."""
    start_id: int | None = None
    """Set once, when the start policy was applied."""
    top_id: int | None = None
    """Raises the stored top; never lowers it."""
    floor_id: int = 0
    """Written with ``channel_pts``: the newest id that there was at that pts."""
    channel_pts: int | None = None
    """Written as it is: all updates up to it are in this record or in those before it."""
    pts: int | None = None
    """When these copies were made, in the channel's pts: orders the copies of one post."""
    series: bool = False
    """Whether the posts' figures are kept as a point of their series too."""
    reply_key: str = ""
    """Key of the actor that is told ``Recorded``."""
    ticket: int = 0
    """Given back in ``Recorded``; ascending within a channel."""
    generation: int = 0
    """The recorder refuses all of a generation after the first that it refused: nothing may overtake that one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    channel_id: ChannelId
    ticket: int
    added: int
    edited: int
    deleted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFailed:
    """The store didn't take it; the sender still has it to do."""

    channel_id: ChannelId
    ticket: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderUp:
    """A recorder has started: whatever its predecessor hadn't answered is to be handed over again."""


AlertKind = Literal[
    "flood_wait",
    "method_parked",
    "unknown_wait",
    "frozen",
    "key_dead",
    "key_incident",
    "account_parked",
    "channel_private",
    "name_unknown",
    "refused",
    "service_failing",
    "overfull",
]
"""docs/alerts.md says of each when it is raised and when it is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseAlert:
    """Tell the operator: a row, an event and a metric; counted up while the same is still open."""

    kind: AlertKind
    account_id: AccountId | None = None
    channel_id: ChannelId | None = None
    cause: str
    """Names of methods and errors, never a payload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndAlert:
    """It is over. Without ``cause`` all of the kind about these."""

    kind: AlertKind
    account_id: AccountId | None = None
    channel_id: ChannelId | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    alert_id: int
    kind: str
    account_id: AccountId | None
    channel_id: ChannelId | None
    cause: str
    count: int
    first_at: datetime
    last_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseAlert(Request[AlertRow | None]):
    """The operator has dealt with it. Replies with the alert as it is then, None where none has this number."""

    alert_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Told to accounts by the recorder: whether what they would fetch of posts could be kept until it is stored."""

    enough: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """The recorder's own mail: commit what has gathered."""


# --- to the roster -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipsRead:
    account_id: AccountId
    memberships: tuple[Membership, ...]
    complete: bool
    """Whether these are all that the account has (channels missing from a complete list were left)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUp:
    account_id: AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduce(Request[Reading]):
    """Ask the roster to take in an account that is up; answered once its memberships are stored and readers elected."""

    account_id: AccountId
    memberships: tuple[Membership, ...]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDown:
    """The account can't read any more; ``state`` says why."""

    account_id: AccountId
    state: AccountState


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipLost:
    account_id: AccountId
    channel_id: ChannelId
    cause: str = "not a member"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelsUp:
    """The supervisor of the channels has started: the roster fills it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderFor(Request[AccountId | None]):
    """Ask which account reads a channel; None where no usable account belongs to it now."""

    channel_id: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    by_account: Mapping[AccountId, tuple[ChannelId, ...]]
    awaited: tuple[ChannelId, ...]
    """Their reader is away but not lost: it is waited for, or replaced within a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadersFor(Request[Readers]):
    """Ask who reads these channels; those without a usable member are in neither part of the answer."""

    channel_ids: tuple[ChannelId, ...]


# --- jobs ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A parse as it stands; also what HTTP answers."""

    job_id: JobId
    kind: JobKind
    user_id: AccountId | None
    state: JobState
    channels_total: int = 0
    channels_done: int = 0
    posts_added: int = 0
    posts_edited: int = 0
    error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseUser(Request[Job]):
    """Start a parse of a user's active channels, or answer the one that is running.

    Raises: ``UserUnknown``, ``UserNotSignedIn``.
    """

    account_id: AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseAll(Request[Job]):
    kind: JobKind = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitJob(Request[Job]):
    """Answered when the job is done, or with the job as it stands after ``wait``. Raises: ``JobUnknown``."""

    job_id: JobId
    wait: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeJob(Request[Job]):
    """Raises: ``JobUnknown``."""

    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelUp:
    """A channel's actor has started: a job that waits for its predecessor asks anew."""

    channel_id: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelParsed:
    """A channel is complete up to the head that the job named, or says why not."""

    job_id: JobId
    channel_id: ChannelId
    error: str | None = None


# --- signing in ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInStep:
    """Where a sign-in stands; also what HTTP answers. ``error`` is a sentence that can be shown, without secrets."""

    sign_in_id: SignInId
    state: Literal["code_needed", "password_needed", "done", "failed"]
    account_id: AccountId | None = None
    """Who has signed in; only when done."""
    error: str | None = None
    """Why it failed; or, while a code or password is still needed, what was wrong with the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSignIn(Request[SignInStep]):
    """Ask ``signin`` to have Telegram send a code. Takes as long as Telegram does: allow 60 s. Ends in 10 minutes."""

    phone: str = field(repr=False)


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


# --- what the store answers ----------------------------------------------------------------------------------------


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
    """When its session was stored first."""


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
class SessionKey:
    """An auth key and where it lives. Whoever has it has the account."""

    account_id: AccountId
    dc_id: int
    address: str
    port: int
    auth_key: bytes = field(repr=False)


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
class Summary:
    """What was added and edited by any road since the last summary of the same kind."""

    channel_id: ChannelId
    added: int
    edited: int


# --- files of posts ------------------------------------------------------------------------------------------------

FileState = Literal["wanted", "stored", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostFile:
    """The file of a stored post, as its description tells. The same file has the same key in every post."""

    channel_id: ChannelId
    message_id: int
    file_key: str
    """``photo-ID`` (its largest size) or ``document-ID``."""
    kind: str
    """One of ``config.model.MediaKind``."""
    size: int | None
    """Bytes, where Telegram says so."""
    mime: str | None
    name: str | None = None
    protected: bool = False
    """Whether its post or channel forbids saving it."""
    skipped: str | None = None
    """Why it isn't wanted; None for one that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFiles:
    """A channel in which files may be that nobody has looked at, under the rules as they are now."""

    channel_id: ChannelId
    username: str | None
    counted: int
    """How much had happened to its posts before the question was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFile:
    file_key: str
    size: int | None
    attempts: int
    carriers: tuple[tuple[ChannelId, int], ...]
    """Some posts that carry it, newest message first: channel and message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """A post's file as it stands; also what HTTP answers."""

    message_id: int
    file_key: str
    kind: str
    size: int | None
    mime: str | None
    name: str | None
    state: FileState
    cause: str | None
    sha256: Sha256 | None
    stored_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    sha256: Sha256
    size: int
    mime: str | None
    """As Telegram named it: an uploader's word, not to be trusted."""
    name: str | None


# --- rereading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReread:
    """A plan of one channel whose time to be looked at has come."""

    channel_id: ChannelId
    after: timedelta
    """After publication."""
    since: datetime
    """When the plan began: posts that had fallen due before aren't read again."""
    upto_id: int
    """Posts up to this id are done with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A post's figures at one time; also what HTTP answers."""

    at: datetime | None
    """None for the present ones."""
    views: int | None
    forwards: int | None
    replies: int | None
    reactions: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostStats:
    message_id: int
    date: datetime | None
    deleted_at: datetime | None
    now: Figures
    series: tuple[Figures, ...]
    """At each planned rereading, the oldest first."""
