"""Which channels an account follows: plain functions over settings and memberships."""

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from actors.messages.content import Membership, WantedName
from actors.messages.ids import AccountId, ChannelId
from actors.messages.rows import AccountRow, ChannelRow
from config.model import Collection as CollectionSettings
from config.values import bare_name

USABLE = frozenset({"active", "connecting", "flooded"})


def is_named(channel: Membership | ChannelRow, names: Collection[str]) -> bool:
    """Whether one of the bare ``names`` means this channel."""
    username = (channel.username or "").casefold()
    return (username != "" and username in names) or str(channel.channel_id) in names


def wanted_by(settings: CollectionSettings, known: Mapping[str, WantedName] | None) -> frozenset[str]:
    """What settings want, as bare names, and the ids of the channels that have borne those names."""
    names = {bare_name(name) for name in settings.channels}
    borne = (known[name].channel_ids for name in names if name in known) if known else ()
    return frozenset(names.union(str(channel_id) for channel_ids in borne for channel_id in channel_ids))


def followed(
    memberships: Iterable[Membership],
    settings: CollectionSettings,
    known: Mapping[str, WantedName] | None = None,
    choices: Mapping[ChannelId, bool] | None = None,
) -> tuple[Membership, ...]:
    """Of these, the ones that the user chose; where it chose nothing, those that ``collection.follow`` wants.

    ``known``: what is known of the names in settings.
    """
    names = wanted_by(settings, known)

    def is_wanted(membership: Membership) -> bool:
        chosen = None if choices is None else choices.get(membership.channel_id)
        if chosen is not None:
            return chosen
        return settings.follow == "dialogs" or is_named(membership, names)

    return tuple(membership for membership in memberships if is_wanted(membership))


def new_names(
    memberships: Iterable[Membership], settings: CollectionSettings, known: Mapping[str, WantedName]
) -> tuple[tuple[str, ChannelId], ...]:
    """Of the wanted names those that a channel bears, where that isn't known yet."""
    names = {bare_name(name) for name in settings.channels}
    borne = {each.username.casefold(): each.channel_id for each in memberships if each.username}
    return tuple(
        (name, borne[name])
        for name in sorted(names & borne.keys())
        if name not in known or borne[name] not in known[name].channel_ids
    )


def to_resolve(
    memberships: Iterable[Membership], settings: CollectionSettings, known: Mapping[str, WantedName] | None = None
) -> tuple[str, ...]:
    """Names that settings want and none of these memberships has, or had; ids can't be asked for by name."""
    theirs = tuple(memberships)

    def is_borne(name: str) -> bool:
        ids = known[name].channel_ids if known and name in known else ()
        return any(is_named(each, (name, *map(str, ids))) for each in theirs)

    names = dict.fromkeys(bare_name(name) for name in settings.channels)
    return tuple(name for name in names if name and not name.isdecimal() and not is_borne(name))


def resolver_of(name: str, accounts: Sequence[AccountRow]) -> AccountId | None:
    """The one account that asks for a name, so that a hundred don't: the same for all who look at the same accounts."""
    able = sorted(row.account_id for row in accounts if row.has_session and not row.bot and row.state in USABLE)
    return able[zlib.crc32(name.encode()) % len(able)] if able else None


def differ(known: Membership | None, seen: Membership) -> bool:
    """Whether a membership has changed in anything that is stored; top and pts are news, not a change."""
    return known is None or (
        (known.access_hash, known.username, known.title, known.broadcast, known.noforwards)
        != (seen.access_hash, seen.username, seen.title, seen.broadcast, seen.noforwards)
    )


def merged(stored: Iterable[Membership], seen: Iterable[Membership]) -> dict[ChannelId, Membership]:
    """By channel; what was seen now wins over what was stored."""
    return {each.channel_id: each for each in (*stored, *seen)}
