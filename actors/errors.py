"""One class per decision that a caller makes; facts as attributes."""

from datetime import timedelta
from typing import Literal

from actors.messages.ids import AccountId, AccountState, ChannelId, JobId

REFUSED_REST = 3600.0
"""Seconds for which nobody asks again by himself for what was ``Refused``: asking sooner won't change it."""


class ActorsError(Exception):
    """Base of all that actors raise on purpose."""


class FloodWaited(ActorsError):
    """Telegram told this account to wait; ask again after ``wait``, not before, and nobody else for it."""

    def __init__(self, account_id: AccountId, method: str, wait: timedelta) -> None:
        super().__init__(f"account {account_id} must wait {wait} before {method}")
        self.account_id = account_id
        self.method = method
        self.wait = wait


class ChannelLost(ActorsError):
    """This account can't read this channel any more; another member may."""

    def __init__(self, account_id: AccountId, channel_id: ChannelId, cause: str) -> None:
        super().__init__(f"account {account_id} can't read channel {channel_id}: {cause}")
        self.account_id = account_id
        self.channel_id = channel_id
        self.cause = cause


class AccountUnusable(ActorsError):
    """The account is revoked, banned or frozen: park it, never restart it, never ask again with its key."""

    park = True

    def __init__(self, account_id: AccountId, state: AccountState, cause: str) -> None:
        super().__init__(f"account {account_id} is {state}: {cause}")
        self.account_id = account_id
        self.state: AccountState = state
        self.cause = cause


class TryAgain(ActorsError):
    """A passing fault of the service or the line; retry with backoff."""

    def __init__(self, account_id: AccountId, method: str, cause: str) -> None:
        super().__init__(f"account {account_id}: {method} failed for now: {cause}")
        self.account_id = account_id
        self.method = method
        self.cause = cause


class NotConnected(TryAgain):
    """The account isn't connected just now: it is on its way, or was set aside meanwhile."""

    def __init__(self, account_id: AccountId, method: str) -> None:
        super().__init__(account_id, method, "not connected")


class Refused(ActorsError):
    """The service refused for a reason that asking again won't change."""

    def __init__(self, account_id: AccountId, method: str, cause: str) -> None:
        super().__init__(f"account {account_id}: {method} was refused: {cause}")
        self.account_id = account_id
        self.method = method
        self.cause = cause


class UserUnknown(ActorsError):
    def __init__(self, account_id: AccountId) -> None:
        super().__init__(f"there is no user {account_id}")
        self.account_id = account_id


class InviteRefused(ActorsError):
    """An invite lets nobody in: ``cause`` is unknown, expired (or revoked), or used (up)."""

    def __init__(self, cause: Literal["unknown", "expired", "used"]) -> None:
        super().__init__(f"the invite is {cause}")
        self.cause = cause


class NameTaken(ActorsError):
    """A token that isn't revoked has this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a token named {name!r} already")
        self.name = name


class LimitReached(ActorsError):
    """A user follows as many channels as its plan allows."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"no more than {limit} channels may be followed")
        self.limit = limit


class NotAChannel(ActorsError):
    """What was named is a person, a bot or a plain group, or no account knows it."""


class FolderUnknown(ActorsError):
    def __init__(self, folder_id: int) -> None:
        super().__init__(f"there is no folder {folder_id}")
        self.folder_id = folder_id


class UserNotSignedIn(ActorsError):
    def __init__(self, account_id: AccountId, state: AccountState) -> None:
        super().__init__(f"user {account_id} isn't signed in: {state}")
        self.account_id = account_id
        self.state: AccountState = state


class JobUnknown(ActorsError):
    def __init__(self, job_id: JobId) -> None:
        super().__init__(f"there is no job {job_id}")
        self.job_id = job_id


class ChannelUnknown(ActorsError):
    def __init__(self, channel_id: ChannelId) -> None:
        super().__init__(f"there is no channel {channel_id}")
        self.channel_id = channel_id


class ErrandRuns(ActorsError):
    """Another job of this kind runs for the channel, and was asked for something else."""

    def __init__(self, job_id: JobId, kind: str, asked: str) -> None:
        super().__init__(f"a {kind} of this channel runs already ({asked}): {job_id}")
        self.job_id = job_id
        self.kind = kind
        self.asked = asked


class StoreUnavailable(ActorsError):
    """The database can't be reached or asks to try again; nothing was written."""


class BlobsUnavailable(ActorsError):
    """The store of files can't be used just now: a full disk, a server that is away. What was written stays."""


class FileLost(ActorsError):
    """An account doesn't know (any more) where a file lies, or its reference has expired: have it located again."""

    def __init__(self, account_id: AccountId, file_key: str, cause: str, *, expired: bool) -> None:
        super().__init__(f"account {account_id} must locate {file_key} again: {cause}")
        self.account_id = account_id
        self.file_key = file_key
        self.cause = cause
        self.expired = expired
        """Whether the service said so; else this client was never told where it lies."""


class PostRefused(ActorsError):
    """PostgreSQL can't keep a value of this batch; nothing was written. Its text names the error, never the value."""


class OwnershipLost(StoreUnavailable):
    """Another daemon owns the database now: nothing is written any more.

    An actor needs no handling of its own for it: whoever watches the ownership (``telegram.fence``) ends the process.
    """


class SessionRejected(ActorsError):
    """A sealed session doesn't open: wrong key, another account's, or changed."""


class LoopbackViolated(ActorsError):
    """In sandbox mode something asked for a connection that leaves this machine."""

    park = True
