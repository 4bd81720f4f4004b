"""What the sandbox tells about itself: the ledger that a collector is compared with, the requests, what exists."""

from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from sandbox.channels import Channel
from sandbox.clock import Clock
from sandbox.datacentre import DataCentre
from sandbox.faults import Rule
from sandbox.posts import Post
from sandbox.world import Account, World


def ledger(world: World, only: str | int | None = None) -> dict[str, Any]:
    """What exists and what was deleted: the truth that a collector's rows are compared with. Raises WorldError."""
    channels = [world.channel(only)] if only is not None else world.channels.values()
    return {"channels": [ledger_of(channel) for channel in channels]}


def ledger_of(channel: Channel) -> dict[str, Any]:
    head = {"id": channel.id, "username": channel.username, "title": channel.title}
    posts = [_post(channel, post) for post in channel.posts.values()]
    return {**head, "top": channel.top, "pts": channel.pts, "posts": posts, "deleted": sorted(channel.deleted)}


def _post(channel: Channel, post: Post) -> dict[str, Any]:
    counted = channel.broadcast and not post.service
    return {
        "id": post.id,
        "date": iso(post.date),
        "text": post.text,
        "edited": iso(post.edited) if post.edited else None,
        "media": post.media or None,
        "service": post.service or None,
        "grouped_id": post.grouped_id or None,
        "reply_to": post.reply_to or post.thread or None,
        "views": post.views if counted else 0,
        "forwards": post.forwards if counted else 0,
        "reactions": dict(post.reactions),
    }


def requests(dc: DataCentre) -> dict[str, Any]:
    """Every request since the counts were reset, and what became of pushes."""
    counts = dc.dispatcher.counts
    return {
        "total": counts.by_account.total(),
        "by_account": _nested(counts.by_account),
        "history": _nested(counts.history),
        "floods": _nested(counts.floods),
        "parallel": {str(account): count for account, count in sorted(counts.parallel.items())},
        "published": dc.published,
        "pushes": {"sent": dc.hub.pushed, **dc.hub.turbulence.happened},
        "unknown": sorted(counts.unknown),
    }


def _nested(counts: Any) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (outer, inner), count in sorted(counts.items()):
        nested.setdefault(str(outer), {})[str(inner)] = count
    return nested


def describe(world: World) -> dict[str, Any]:
    return {
        "accounts": [describe_account(account) for account in world.accounts.values()],
        "channels": [describe_channel(channel) for channel in world.channels.values()],
        "memberships": {str(account): [row.id for row in world.channels_of(account)] for account in world.accounts},
    }


def describe_account(account: Account) -> dict[str, Any]:
    absent = {"phone": account.phone or None, "token": account.token or None}
    return {**asdict(account), **absent, "bot": account.is_bot, "password": bool(account.password)}


_PLAIN = ("id", "username", "title", "broadcast", "generated", "top", "noforwards", "silent", "approval")


def describe_channel(channel: Channel) -> dict[str, Any]:
    return {
        **{name: getattr(channel, name) for name in _PLAIN},
        "members": sorted(channel.members),
        "waiting": sorted(channel.waiting),
        "banned": sorted(channel.banned),
        "invite": f"https://t.me/+{channel.invite}",
        "linked_id": channel.linked_id or None,
    }


def describe_rule(rule: Rule) -> dict[str, Any]:
    row = {each.name: getattr(rule, each.name) for each in fields(rule) if each.init and each.name != "born"}
    return {**row, "error": {"code": rule.error[0], "message": rule.error[1]} if rule.error else None}


def describe_limits(dc: DataCentre) -> dict[str, Any]:
    rules = dc.dispatcher.limits.rules.items()
    return {
        "enforce": {method: [[limit.calls, limit.seconds] for limit in limits] for method, limits in rules},
        "one_connection_per_key": dc.dispatcher.one_connection_per_key,
    }


def describe_clock(clock: Clock) -> dict[str, Any]:
    return {"now": iso(clock.seconds()), "skew": clock.skew, "leap": clock.leap}


def iso(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat()
