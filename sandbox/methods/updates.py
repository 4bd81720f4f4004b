from dataclasses import replace
from typing import Any

from telethon.tl import functions, types

from sandbox.channels import Channel, Event
from sandbox.codec.letters import letter, origins
from sandbox.codec.peers import channel_dialog, chat, history_page, parties, user
from sandbox.codec.posts import message, message_for
from sandbox.codec.updates import channel_changed, channel_update
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.letters import Letter
from sandbox.methods import peers

MAX_PAGE = 100
"""Steps of pts in one answer."""
TIMEOUT = 30
"""Seconds after which a client may ask for a channel again; it is told, not enforced."""


def state(call: Call, pts: int | None = None) -> Any:
    now = call.dc.clock.seconds()
    own = call.dc.world.boxes[call.account.id].pts if pts is None else pts
    return types.updates.State(pts=own, qts=1, date=now, seq=1, unread_count=0)


def get_state(call: Call, _: Any) -> Any:
    return state(call)


def get_difference(call: Call, request: Any) -> Any:
    """New private messages since `pts`, and by updateChannelTooLong each channel that moved since `date`."""
    me, world = call.account.id, call.dc.world
    if request.pts <= 0:
        raise RefusedError(400, "PERSISTENT_TIMESTAMP_EMPTY")
    since = int(request.date.timestamp()) if request.date else 0
    box = world.boxes[me]
    missed = box.steps[max(0, request.pts - 1) :]
    limit = call.dc.switches.account_too_long_above
    if len(missed) > (request.pts_total_limit or limit or len(missed)):
        return types.updates.DifferenceTooLong(pts=world.boxes[me].pts)
    page = missed[: max(1, min(request.pts_limit or MAX_PAGE, MAX_PAGE))]
    # Dates are whole seconds, so the second of `date` itself is named again: better twice than never.
    moved = [channel for channel in world.channels_of(me) if channel.moved_at >= max(since, 1)]
    told = [world.channels[each] for each, at in world.moves[me].items() if at >= max(since, 1)]
    if not (page or moved or told):
        return types.updates.DifferenceEmpty(date=call.dc.clock.seconds(), seq=1)
    steps = [
        (kind, row, pts)
        for pts, (kind, message_id) in enumerate(page, request.pts + 1)
        if (row := box.find(message_id))
    ]
    channels = {channel.id: channel for channel in (*moved, *told, *origins(world, [row for _, row, _ in steps]))}
    parts = {
        "new_messages": [letter(me, row) for kind, row, _ in steps if kind == "new"],
        "new_encrypted_messages": [],
        "other_updates": [
            *(types.UpdateEditMessage(letter(me, row), pts, 1) for kind, row, pts in steps if kind == "edit"),
            *(types.UpdateChannelTooLong(channel.id, channel.pts) for channel in moved),
            *(channel_changed(channel) for channel in told),
        ],
        "chats": [chat(world, me, channel) for channel in channels.values()],
        "users": _people(call, [row for _, row, _ in steps]),
    }
    if len(page) < len(missed):
        # The date stays as asked: only a finished difference may say that the channels have been told.
        middle = types.updates.State(pts=request.pts + len(page), qts=1, date=request.date, seq=1, unread_count=0)
        return types.updates.DifferenceSlice(**parts, intermediate_state=middle)
    return types.updates.Difference(**parts, state=state(call))


def _people(call: Call, letters: list[Letter]) -> list[Any]:
    me, world = call.account.id, call.dc.world
    return [user(world, me, world.accounts[peer]) for peer in {row.peer for row in letters} | {me}]


def get_channel_difference(call: Call, request: Any) -> Any:
    channel = peers.channel(call, request.channel)
    if request.pts <= 0:
        raise RefusedError(400, "PERSISTENT_TIMESTAMP_EMPTY")
    if request.pts > channel.pts:
        raise RefusedError(400, "PERSISTENT_TIMESTAMP_INVALID")
    if request.pts == channel.pts:
        return types.updates.ChannelDifferenceEmpty(pts=channel.pts, final=True, timeout=TIMEOUT)
    if _is_too_long(call, channel, request.pts):
        return _too_long(call, channel)
    events: list[Event] = []
    size = 0
    for event in channel.events_after(request.pts):
        if events and size + event.count > max(1, min(request.limit, MAX_PAGE)):
            break
        events.append(event)
        size += event.count
    return _page(call, channel, events)


def _is_too_long(call: Call, channel: Channel, pts: int) -> bool:
    switches = call.dc.switches
    if pts < channel.first_pts or channel.pts - pts > switches.too_long_above:
        return True
    oldest = next(channel.events_after(pts))
    return 0 < switches.too_long_after < call.dc.clock.moment() - oldest.moment


def _page(call: Call, channel: Channel, events: list[Event]) -> Any:
    """Messages come as they are now; one that is gone since is told by its deletion alone."""
    pts, world = events[-1].pts, call.dc.world
    new = [event.ids[0] for event in events if event.kind == "new" and event.ids[0] in channel.posts]
    if not call.dc.switches.difference_pts:
        events = [replace(event, pts=pts) for event in events]
    other = [channel_update(world, channel, event, call.account.id) for event in events if event.kind != "new"]
    named = {event.ids[0] for event in events if event.kind != "delete" and event.ids[0] in channel.posts}
    return types.updates.ChannelDifference(
        pts=pts,
        new_messages=[message_for(world, call.account.id, channel, post_id) for post_id in new],
        other_updates=[update for update in other if update is not None],
        **parties(world, call.account.id, channel, (message(world, channel, post_id) for post_id in named)),
        final=True if pts == channel.pts else None,
        timeout=TIMEOUT,
    )


def _too_long(call: Call, channel: Channel) -> Any:
    me, world = call.account.id, call.dc.world
    newest = channel.page(offset_id=0, offset_date=0, add_offset=0, limit=10)
    page = history_page(world, me, channel, newest)
    return types.updates.ChannelDifferenceTooLong(
        dialog=channel_dialog(channel),
        messages=page.messages,
        chats=page.chats,
        users=page.users,
        final=True,
        timeout=TIMEOUT,
    )


HANDLERS: Methods = {
    functions.updates.GetStateRequest: get_state,
    functions.updates.GetDifferenceRequest: get_difference,
    functions.updates.GetChannelDifferenceRequest: get_channel_difference,
}
