"""The ledger: what is known of every id from 1 to the newest, and since when something is in doubt.

Each id is in exactly one state. Those that were asked about are ``stored``, ``deleted``, ``service``, ``undecodable``
or ``empty``; the others are ``missing``, ``awaited`` or ``unasked``. A post that is stored and to be read again counts
as stored and as missing too: ``doubted`` says how many those are.
"""

from dataclasses import dataclass
from datetime import datetime

from actors.coverage import Coverage, missing, size
from actors.messages.ids import ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Of one channel: counts of ids in [1, ``top_id``].

    stored + deleted + service + undecodable + empty + unknown - doubted = top_id.
    """

    channel_id: ChannelId
    top_id: int
    start_id: int | None
    """Where following began; None while that isn't known."""
    goal_id: int | None
    """The id down to which older posts are wanted, or were."""
    stored: int
    """Posts that Telegram still showed when they were last read."""
    restricted: int
    """Of those stored, the posts that may not be passed on (``noforwards``)."""
    deleted: int
    """Whatever was deleted, whether or not it was seen before; kept, and marked."""
    service: int
    undecodable: int
    empty: int
    """Ids that Telegram was asked about and showed nothing for."""
    unknown: int
    """missing + awaited + unasked."""
    missing: int
    """From the start up: to be asked for, or to be asked for again."""
    awaited: int
    """Below the start: a backfill is to bring them."""
    unasked: int
    """Below what anybody wants."""
    doubted: int
    """Of those unknown, ids of which something is stored; it may have changed unseen since ``doubt_since``."""
    doubt_since: datetime | None
    doubt_why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTotals:
    """Over all channels, from their coverage alone: ids below their tops, and posts by the channels' counters."""

    covered: int
    missing: int
    awaited: int
    unasked: int
    stored: int
    deleted: int
    channels_in_doubt: int
    oldest_doubt: float
    """Seconds by the database's clock; 0 without doubt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Ids of [1, top] that aren't covered, told apart."""

    missing: int
    awaited: int
    unasked: int

    @property
    def total(self) -> int:
        return self.missing + self.awaited + self.unasked


def unknown_of(covered: Coverage, *, start: int | None, goal: int | None, top: int) -> Unknown:
    """Before the start is known nobody has asked for anything."""
    if start is None:
        return Unknown(missing=0, awaited=0, unasked=size(missing(covered, 1, top)))
    bottom = start if goal is None else min(start, goal)
    return Unknown(
        missing=size(missing(covered, start, top)),
        awaited=size(missing(covered, bottom, min(start - 1, top))),
        unasked=size(missing(covered, 1, min(bottom - 1, top))),
    )
