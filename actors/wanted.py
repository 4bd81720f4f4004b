"""Which files are wanted, and who fetches which: plain functions over rules, files and readers."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from actors.messages.files import PostFile, WantedFile
from actors.messages.ids import AccountId, ChannelId
from config.model import MediaRule
from config.values import bare_name

EVERY = "*"
BATCH = 20
"""Most files that one account fetches in a row before others may have it: they are located by one call."""


class Rules:
    """``media.channels``, as it is asked. Of two rules for one channel the first holds."""

    def __init__(self, rules: Sequence[MediaRule]) -> None:
        self._by_name = {bare_name(rule.channel): rule for rule in reversed(rules)}
        self.all_channels = EVERY in self._by_name
        names = [name for name in self._by_name if name != EVERY]
        self.ids = tuple(int(name) for name in names if name.isdecimal())
        self.usernames = tuple(name for name in names if not name.isdecimal())
        told = "\n".join(rule.model_dump_json() for rule in rules)
        self.digest = hashlib.sha256(told.encode()).hexdigest()[:16]
        """Another one for other rules."""

    def rule_for(self, channel_id: ChannelId, username: str | None) -> MediaRule | None:
        for name in (str(channel_id), (username or "").casefold(), EVERY):
            if name in self._by_name:
                return self._by_name[name]
        return None


def why_skipped(file: PostFile, rule: MediaRule) -> str | None:
    """Which part of the rule a file doesn't meet, for an operator to read; None for one that is wanted."""
    if file.kind not in rule.kinds:
        return f"kind: {file.kind}"
    if file.protected and not rule.protected:
        return "protected"
    if file.size is not None and file.size > rule.max_size:
        return f"size: {file.size}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Files of one channel for one account, each with the message that carries it."""

    account_id: AccountId
    channel_id: ChannelId
    files: tuple[tuple[WantedFile, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    batches: tuple[Batch, ...]
    waiting: frozenset[ChannelId]
    """Channels of files whose account is there and has no time, or is awaited."""
    unread: tuple[WantedFile, ...]
    """Of no carrier's channel is there a reader."""
    gone: tuple[WantedFile, ...]


def plan(
    wanted: Iterable[WantedFile],
    readers: Mapping[ChannelId, AccountId],
    *,
    awaited: Collection[ChannelId] = (),
    resting: Collection[AccountId],
    most: int,
) -> Plan:
    """At most ``most`` batches, one an account, in the order in which their first files are due."""
    batches: dict[AccountId, tuple[ChannelId, list[tuple[WantedFile, int]]]] = {}
    waiting: set[ChannelId] = set()
    unread: list[WantedFile] = []
    gone: list[WantedFile] = []
    for file in wanted:
        carrier = next(((each, number) for each, number in file.carriers if each in readers), None)
        if carrier is None:
            held_up = [each for each, _ in file.carriers if each in awaited]
            waiting.update(held_up)
            if not held_up:
                (unread if file.carriers else gone).append(file)
            continue
        channel_id, message_id = carrier
        account_id = readers[channel_id]
        if account_id not in batches and account_id not in resting and len(batches) < most:
            batches[account_id] = (channel_id, [])
        chosen, files = batches.get(account_id, (None, []))
        if chosen == channel_id and len(files) < BATCH:
            files.append((file, message_id))
        else:
            waiting.add(channel_id)
    return Plan(
        batches=tuple(
            Batch(account_id=account_id, channel_id=channel_id, files=tuple(files))
            for account_id, (channel_id, files) in batches.items()
        ),
        waiting=frozenset(waiting),
        unread=tuple(unread),
        gone=tuple(gone),
    )
