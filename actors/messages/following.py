"""What a user's account is asked to follow, to join, and not to follow any more."""

from dataclasses import dataclass
from typing import Literal

from actors.messages.ids import ChannelId
from actors.places import Place
from actors.runtime.message import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What became of a wish; also what HTTP answers."""

    channel_id: ChannelId | None
    """None behind an invite: who hasn't joined isn't told."""
    title: str
    username: str | None
    state: Literal["followed", "already", "join_needed", "join_requested"]
    """``join_needed``: only members can read it, and nobody has asked to join; ``join_requested``: its administrators
    must let the account in first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowChannel(Request[Followed]):
    """Ask an account to follow a channel: up to two RPCs, one more to join.

    Raises: ``FloodWaited`` (joining is paced too), ``Refused`` (nobody bears the name, the invite has expired, the
    account can join no more), ``LimitReached``, ``NotAChannel``, ``AccountUnusable``, ``TryAgain``.
    """

    place: Place
    join: bool = False
    """Become a member, where the account isn't one. Only on a person's explicit request."""
    limit: int | None = None
    """Channels that it may follow; None for no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfollowChannel(Request[bool]):
    """Ask an account not to follow a channel any more, whether or not it belongs to it; whether it did follow it.

    No RPC: the account stays a member.
    """

    channel_id: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    folder_id: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFolders(Request[tuple[Folder, ...]]):
    """Ask an account for the folders of its dialogs: one RPC. Raises as ``FollowChannel``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did; also what HTTP answers."""

    followed: int
    """Channels that are followed now and weren't before."""
    already: int
    over_limit: int
    """Left out, for no more may be followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportChannels(Request[Imported]):
    """Ask an account to follow all channels among its dialogs, or in one folder: an RPC for 100 dialogs, one more for
    the folder. Raises as ``FollowChannel``, and ``FolderUnknown``.
    """

    folder_id: int | None = None
    limit: int | None = None


Wish = FollowChannel | UnfollowChannel | ListFolders | ImportChannels
