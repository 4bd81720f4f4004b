"""What an account is asked and told, and what it answers."""

from dataclasses import dataclass, field
from datetime import datetime

from actors.messages.content import ChannelHead, Membership, Post
from actors.messages.ids import AccountId, AccountState, ChannelId, Road, Span
from actors.runtime.message import Request


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
class MethodCalls:
    """How often an account may call a method, and how often it has."""

    method: str
    calls: int | None
    """At most so many in ``seconds``; None where no limit is known."""
    seconds: float | None
    made: int
    """In the last ``seconds``; of a method without a known limit, that are remembered."""
    ready_in: float
    """Seconds until the next may be made, by pace or wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCalls(Request[tuple[MethodCalls, ...]]):
    """Ask an account about its methods, by name. Never waits for Telegram. Raises: ``TryAgain`` while not connected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetLimits(Request[bool]):
    """Have an account forget the wait and the learned pace of a method; whether there was either. The next call shows
    whether Telegram has forgotten too.
    """

    method: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Told to accounts by the recorder: whether what they would fetch of posts could be kept until it is stored."""

    enough: bool
