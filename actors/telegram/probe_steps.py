"""What a probe asks of the account, its dialogs and the channel's posts by id."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from telethon.tl import functions, types

from actors.telegram import probe_shape as shape
from actors.telegram.probe_asker import Asker, nothing
from actors.telegram.probe_trace import Finding
from config.values import bare_name

PAGE = 100
MISSING = 100_000
"""So far above the top no post is."""
SEVERAL = 3

Findings = dict[str, Finding]


class ChannelUnknown(Exception):
    """The account can't name the channel; the text says what to do."""


class AccountIsBot(Exception):
    """A bot is refused nearly all that a probe asks; the text says what to do."""


@dataclass(slots=True, kw_only=True)
class Target:
    """The channel that is probed, as the account knows it."""

    channel_id: int
    access_hash: int
    top: int = 0
    pts: int = 0
    """The newest that is known: it moves on while the channel does."""
    page: list[Any] = field(default_factory=list)
    """Its newest messages, the newest first."""

    @property
    def peer(self) -> Any:
        return types.InputPeerChannel(self.channel_id, self.access_hash)

    @property
    def input(self) -> Any:
        return types.InputChannel(self.channel_id, self.access_hash)

    @property
    def ids(self) -> list[int]:
        return [message.id for message in self.page]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the first calls tell of the account."""

    state: Any
    channels: Mapping[int, Any]
    """Channels of the dialog page that can be read, in its order."""
    forbidden: tuple[Any, ...]
    """Peers of channels on it that can't be read any more."""


async def look_round(ask: Asker, findings: Findings) -> Surroundings:
    """Config, state, self and one page of dialogs: four calls. Raises: AccountIsBot."""
    await ask("config", functions.help.GetConfigRequest(), {})
    state = await ask("state", functions.updates.GetStateRequest(), {}, lambda it: {"pts_above_0": it.pts > 0})
    me = await ask(
        "self",
        functions.users.GetUsersRequest([types.InputUserSelf()]),
        {"users": "self"},
        lambda it: {"came": len(it), "is_self": shape.all_of(bool(getattr(user, "is_self", False)) for user in it)},
        within=nothing,
    )
    if any(getattr(user, "bot", False) for user in me or ()):
        raise AccountIsBot("a bot can't be asked for dialogs, histories and differences: give a user's session")
    page = await ask(
        "dialogs",
        functions.messages.GetDialogsRequest(
            offset_date=None, offset_id=0, offset_peer=types.InputPeerEmpty(), limit=PAGE, hash=0
        ),
        {"limit": PAGE},
        shape.dialogs_shape,
        within=lambda it: [dialog for dialog in it.dialogs if shape.is_channel(dialog)],
    )
    chats = {chat.id: chat for chat in page.chats} if page else {}
    on_page = [dialog.peer.channel_id for dialog in page.dialogs if shape.is_channel(dialog)] if page else []
    if on_page:
        facts = shape.dialogs_shape(page)
        for name, fact in (("dialogs_carry_pts", "channels_carry_pts"), ("dialog_tops_come_along", "tops_come_along")):
            findings[name] = Finding(value=facts[fact], evidence="the first page of dialogs")
    readable = {each: chats[each] for each in on_page if type(chats.get(each)) is types.Channel}
    lost = [chats[each] for each in on_page if type(chats.get(each)) is types.ChannelForbidden]
    return Surroundings(
        state=state,
        channels=readable,
        forbidden=tuple(types.InputPeerChannel(chat.id, chat.access_hash) for chat in lost),
    )


async def find_channel(ask: Asker, around: Surroundings, name: str) -> Target:
    """Among the dialogs; by contacts.resolveUsername only where that fails and it is a name: one call at most.

    Raises: ChannelUnknown.
    """
    wanted = bare_name(name)
    for chat in around.channels.values():
        if wanted in (str(chat.id), (chat.username or "").casefold()):
            ask.skip("resolve", "the channel is on the dialog page")
            return Target(channel_id=chat.id, access_hash=chat.access_hash)
    if wanted.isdecimal():
        raise ChannelUnknown("--channel isn't among the account's first 100 dialogs: name it by its @name, or another")
    found = await ask(
        "resolve",
        functions.contacts.ResolveUsernameRequest(wanted),
        {"username": "of_the_channel"},
        shape.resolved_shape,
    )
    for chat in found.chats if found else ():
        if type(chat) is types.Channel and chat.access_hash:
            return Target(channel_id=chat.id, access_hash=chat.access_hash)
    raise ChannelUnknown("--channel is no channel that this account can see")


async def peer_dialogs(
    ask: Asker, target: Target, around: Surroundings, wanted: Iterable[str], found: Findings
) -> None:
    """Batches of one, several and many, and with one that can't be read; learns the channel's top and pts."""
    first = await _batch(ask, "peer_dialogs/one", [target.peer])
    for dialog in first.dialogs if first else ():
        if shape.is_channel(dialog) and dialog.peer.channel_id == target.channel_id:
            target.top, target.pts = dialog.top_message, dialog.pts or 0
    others = _named_first(ask, around, target, {bare_name(name) for name in wanted})
    peers = [target.peer, *(types.InputPeerChannel(chat.id, chat.access_hash) for chat in others)]
    if len(peers) > 1:
        await _batch(ask, "peer_dialogs/several", peers[:SEVERAL])
        await _batch(ask, "peer_dialogs/many", peers[:PAGE])
    else:
        for step in ("peer_dialogs/several", "peer_dialogs/many"):
            ask.skip(step, "the account has no second channel")
    if first is None:
        for step in ("peer_dialogs/one_wrong_hash", "peer_dialogs/one_forbidden"):
            ask.skip(step, "a batch of one good peer was refused anyway")
        return
    stranger = peers[-1]
    good = [peer for peer in peers[:2] if peer is not stranger] or peers
    wrong = types.InputPeerChannel(stranger.channel_id, stranger.access_hash ^ 1)
    await _batch_with(ask, "peer_dialogs/one_wrong_hash", good, wrong, found)
    if around.forbidden:
        await _batch_with(ask, "peer_dialogs/one_forbidden", good, around.forbidden[0], found)
    else:
        ask.skip("peer_dialogs/one_forbidden", "no channel of the page is forbidden")


def _named_first(ask: Asker, around: Surroundings, target: Target, names: set[str]) -> list[Any]:
    """The page's other channels; a sort keeps their order among those that aren't named."""
    others = [chat for chat in around.channels.values() if chat.id != target.channel_id]
    words = {chat.id: {str(chat.id), (chat.username or "").casefold()} & names for chat in others}
    if names - set().union(*words.values()):
        ask.skip("other_channels", "not all that were named are on the dialog page")
    return sorted(others, key=lambda chat: not words[chat.id])


async def _batch(ask: Asker, step: str, peers: list[Any], bad: Any = None) -> Any:
    asked = [peer.channel_id for peer in peers]
    request = functions.messages.GetPeerDialogsRequest(
        [types.InputDialogPeer(peer) for peer in (*peers, *([bad] if bad else ()))]
    )
    count = "one" if len(peers) == 1 else "several"
    return await ask(
        step,
        request,
        {"readable": count, "unreadable": int(bad is not None)},
        lambda it: shape.peer_dialogs_shape(it, asked),
        within=lambda it: [dialog for dialog in it.dialogs if shape.is_channel(dialog)],
    )


async def _batch_with(ask: Asker, step: str, good: list[Any], bad: Any, found: Findings) -> None:
    """The last of these that can be judged decides: a channel that was lost is the usual case, a wrong hash is not."""
    before = len(ask.records)
    result = await _batch(ask, step, good, bad)
    if len(ask.records) == before:
        return
    if result is None:
        error = ask.records[-1].error or {}
        if error.get("code") in (400, 403):
            found["peer_batch_fails"] = Finding(value=True, evidence=f"{step}: {error['name']}")
        return
    answered = {dialog.peer.channel_id for dialog in result.dialogs if shape.is_channel(dialog)}
    if {peer.channel_id for peer in good} <= answered:
        found["peer_batch_fails"] = Finding(value=False, evidence=f"{step}: those that can be read were answered")


async def posts(ask: Asker, target: Target, findings: Findings) -> None:
    """Some posts by their ids, of which one never was; and the figures of three: three calls."""
    ids = target.ids
    if len(ids) < SEVERAL:
        for step in ("messages", "views", "reactions"):
            ask.skip(step, "the channel holds too few posts")
        return
    hole = next((number for number in range(ids[0], ids[-1], -1) if number not in ids), None)
    missing = ids[0] + MISSING
    asked = [ids[0], missing, ids[1], *([hole] if hole is not None else [])]
    result = await ask(
        "messages",
        functions.channels.GetMessagesRequest(target.input, [types.InputMessageID(number) for number in asked]),
        {"ids": ["place_0", "missing", "place_1", *(["hole"] if hole is not None else [])]},
        lambda it: shape.messages_shape(it, asked, missing=missing, hole=hole),
    )
    if result is not None:
        is_empty = any(type(message) is types.MessageEmpty and message.id == missing for message in result.messages)
        findings["missing_ids_come_empty"] = Finding(value=is_empty, evidence="messages: an id far above the top")
    plain = [message.id for message in target.page if type(message) is types.Message][:SEVERAL]
    await ask(
        "views",
        functions.messages.GetMessagesViewsRequest(target.peer, plain, increment=False),
        {"ids": len(plain), "increment": False},
        lambda it: shape.views_shape(it, len(plain)),
    )
    await ask("reactions", functions.messages.GetMessagesReactionsRequest(target.peer, plain), {"ids": len(plain)})
