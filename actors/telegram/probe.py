"""A probe: the calls that our switches and assumptions hang on, made once, and written down without content.

It reads and nothing else: it joins, sends and marks nothing, takes no updates, and counts no view. ``PLAN`` in
``probe_trace.py`` lists all that it may ask. See docs/probe.md.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import metadata

from telethon import version
from telethon.tl.alltlobjects import LAYER

from actors.errors import ActorsError
from actors.messages.rows import SessionKey
from actors.runtime.clock import Clock, LoopClock
from actors.telegram.client import AccountClient, build_client, is_loopback
from actors.telegram.faults import FAULTS
from actors.telegram.link import CONNECT_LIMIT, close
from actors.telegram.probe_asker import Asker, Pace, Stopped
from actors.telegram.probe_differences import ChannelDifferences, account_differences
from actors.telegram.probe_history import history
from actors.telegram.probe_steps import (
    AccountIsBot,
    ChannelUnknown,
    Findings,
    find_channel,
    look_round,
    peer_dialogs,
    posts,
)
from actors.telegram.probe_trace import Finding, Trace
from actors.telegram.session import AccountSession
from config.model import Datacenter, Telegram
from config.values import bare_name

FASTEST = 1.0
"""Calls a second to anything but loopback."""
SWITCHES = {
    "difference_pts": "not asked",
    "too_long_above": "not asked",
    "too_long_after": "not asked: how old a pts is can't be told apart from how far behind it is",
    "peer_batch_fails": "not asked",
    "account_too_long_above": "not asked",
    "max_joined": "not asked: nothing is joined",
}
"""Every switch of the sandbox, and what its evidence is as long as there is none."""


class ProbeRefused(ActorsError):
    """The probe can't begin, or found no channel to go on with; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an operator wants probed, and how."""

    channel: str
    """``@name``, ``t.me/name`` or id."""
    others: Sequence[str] = ()
    """Channels that batches shall name too; more are taken from the dialog page."""
    pace: float = FASTEST
    waits: Mapping[str, datetime] = field(default_factory=dict)
    """Flood waits that aren't over."""
    tell: Callable[[str], None] = lambda _: None
    """Hears of each call as it is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    trace: Trace
    flood: tuple[str, timedelta] | None
    """The method and the wait that ended it, for whoever keeps such."""


async def probe(
    key: SessionKey,
    wish: Wish,
    *,
    settings: Telegram,
    datacenter: Datacenter | None = None,
    loopback_only: bool = False,
    clock: Clock | None = None,
) -> Probed:
    """Probe with this session, which must be connected nowhere else. After a FLOOD_WAIT nothing more is asked.

    Raises:
        ProbeRefused: nothing was found out.
        SettingsIncomplete, LoopbackViolated: as ``build_client`` says; nothing was asked.
    """
    clock = clock or LoopClock()
    if loopback_only and datacenter is None and settings.datacenter is None:
        datacenter = Datacenter(id=key.dc_id, address=key.address, port=key.port)
    session = AccountSession(key)
    client = build_client(
        session,
        settings,
        datacenter=datacenter,
        loopback_only=loopback_only,
        on_update=lambda _: None,
        on_doubt=lambda: None,
        receive_updates=False,
    )
    local = is_loopback(session.server_address)
    if wish.pace <= 0 or (wish.pace > FASTEST and not local):
        raise ProbeRefused(f"at most {FASTEST:g} call a second may be made, except to a sandbox on loopback")
    if not bare_name(wish.channel):
        raise ProbeRefused("--channel is empty: give a channel's @name, t.me link or id")
    placed = datacenter or settings.datacenter
    trace = Trace(
        layer=LAYER,
        telethon=version.__version__,
        telewarden=metadata.version("telewarden"),
        target="loopback" if local else "telegram" if placed is None else "other",
        pace=wish.pace,
    )
    asker = Asker(
        client,
        Pace(wish.pace, clock),
        clock,
        timeout=settings.request_timeout.total_seconds(),
        waits=wish.waits,
        tell=wish.tell,
    )
    try:
        await _connect(client)
        await _walk(asker, wish, trace)
    finally:
        await close(client)
    flood = None if asker.flood is None else (asker.flood[0], timedelta(seconds=asker.flood[1]))
    return Probed(trace=trace, flood=flood)


async def _connect(client: AccountClient) -> None:
    try:
        async with asyncio.timeout(CONNECT_LIMIT):
            await client.connect()
        # After a reconnect Telethon sends again what was pending: more calls than the operator agreed to.
        client._sender._auto_reconnect = False  # noqa: SLF001
    except FAULTS as fault:
        raise ProbeRefused(f"Telegram can't be reached: {type(fault).__name__}") from None


async def _walk(ask: Asker, wish: Wish, trace: Trace) -> None:
    findings: Findings = {}
    try:
        around = await look_round(ask, findings)
        target = await find_channel(ask, around, wish.channel)
        await peer_dialogs(ask, target, around, wish.others, findings)
        await history(ask, target, findings)
        await posts(ask, target, findings)
        if target.pts:
            await ChannelDifferences(ask, target, findings).run()
        else:
            ask.skip("channel_difference", "the channel's dialog told no pts")
        await account_differences(ask, around.state, findings)
    except (AccountIsBot, ChannelUnknown) as fault:
        raise ProbeRefused(str(fault)) from None
    except Stopped:
        last = ask.records[-1]
        trace.stopped = {"step": last.step, "error": last.error}
    trace.records, trace.skipped = ask.records, ask.skipped
    trace.switches = {
        name: findings.pop(name, Finding(value=None, evidence=evidence)) for name, evidence in SWITCHES.items()
    }
    trace.assumptions = findings
    trace.seen = {name: sorted(fields) for name, fields in sorted(ask.seen.items())}
