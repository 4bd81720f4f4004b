"""What the roster is told and asked: who belongs to what, who is up, who reads."""

from collections.abc import Mapping
from dataclasses import dataclass

from actors.messages.account import Reading
from actors.messages.content import Membership
from actors.messages.ids import AccountId, AccountState, ChannelId
from actors.runtime.message import Request


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget(Request[None]):
    """Ask the roster to count on an account no more: it belongs to no channel from now on."""

    account_id: AccountId
