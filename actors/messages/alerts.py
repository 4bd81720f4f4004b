"""What an operator has to know."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from actors.messages.ids import AccountId, ChannelId
from actors.runtime.message import Request

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
    "room_short",
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
