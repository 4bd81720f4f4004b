"""What the tests of both independent clients share: the world they read, how they are run, and what they must say.

A client is a process of its own that prints one line of JSON: what it understood, in the words of the ledger.
"""

import asyncio
import json
import os
import re
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from telethon import TelegramClient
from telethon.sessions import StringSession

from sandbox.channels import Channel
from sandbox.client import Sandbox
from sandbox.world import DC_ID, Account

ROOT = Path(__file__).parents[2]
POSTS = 3000
PUSHED = "Conformance: a post that is pushed"
EDITED = "Conformance: the same post, edited"
PASSWORD = "correct horse, батарея"
OUTSIDE = "192.0.2.1"
"""An address for documentation (RFC 5737): nobody is there, should a guard let it pass."""


def world(posts: int = 100) -> Sandbox:
    """One account that follows one channel whose posts have all that generated posts have."""
    return Sandbox(accounts=1, channels=1, posts=posts)


def account_of(dc: Sandbox) -> Account:
    return next(iter(dc.world.accounts.values()))


def place(dc: Sandbox) -> dict[str, Any]:
    """As the first line of ``telewarden sandbox``."""
    address = {"id": DC_ID, "address": dc.address, "port": dc.port, "public_key": dc.public_key}
    return {"dc": address, "control": dc.control_url}


def channel_of(dc: Sandbox) -> Channel:
    return next(iter(dc.world.channels.values()))


async def run(command: Sequence[str | Path], *, cwd: Path = ROOT) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a client. TZ: kurigram tells dates in local time, which may have some twice."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=cwd,
        env=os.environ | {"TZ": "UTC"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def target(dc: Sandbox) -> tuple[str, ...]:
    """The options that send a client to this sandbox."""
    username = channel_of(dc).username
    assert username
    return ("--place", json.dumps(place(dc)), "--phone", account_of(dc).phone, "--channel", username)


async def use(dc: Sandbox, command: Sequence[str | Path], *options: str, cwd: Path = ROOT) -> dict[str, Any]:
    """What a client says that was sent to this sandbox."""
    code, out, err = await run([*command, *target(dc), *options], cwd=cwd)
    assert code == 0, f"{err[-4000:]}\n{dc.requests()}"
    told = json.loads(out)
    assert isinstance(told, dict)
    return told


def _entity(kind: str) -> str:
    return "MessageEntity" + "".join(map(str.title, kind.split("_")))


def truth(dc: Sandbox) -> list[dict[str, Any]]:
    """The ledger of the channel as a client should have understood it, newest first."""
    channel = channel_of(dc)
    (rows,) = dc.ledger(channel.id)["channels"]
    return [_understood(row, channel.posts[row["id"]].entities) for row in reversed(rows["posts"])]


def _understood(row: dict[str, Any], entities: Sequence[tuple[str, int, int, str]]) -> dict[str, Any]:
    understood = {"id": row["id"], "date": _seconds(row["date"]), "service": row["service"] is not None}
    if row["service"]:
        return understood
    return understood | {
        "text": row["text"],
        "entities": [[_entity(kind), offset, length] for kind, offset, length, _ in entities],
        "edited": row["edited"] and _seconds(row["edited"]),
        "media": row["media"],
        "grouped_id": row["grouped_id"] and str(row["grouped_id"]),
        "reply_to": row["reply_to"],
        "views": row["views"],
        "forwards": row["forwards"],
        "reactions": row["reactions"],
    }


def _seconds(date: str) -> int:
    return int(datetime.fromisoformat(re.sub(r"Z$", "+00:00", date)).timestamp())


def judge(dc: Sandbox, told: dict[str, Any], before: list[dict[str, Any]]) -> None:
    """All posts were read as they are, what happened was pushed, and neither side has anything to complain of."""
    assert (told["refused"], told["complaints"]) == ([], [])
    assert told["user"] == account_of(dc).id
    assert [post["id"] for post in told["posts"]] == [post["id"] for post in before]
    assert [(post, true) for post, true in zip(told["posts"], before, strict=True) if post != true] == []
    new = before[0]["id"] + 1
    assert (told["pushed"]["id"], told["pushed"]["text"], told["pushed"]["edited"]) == (new, PUSHED, None)
    assert (told["edited"]["id"], told["edited"]["text"]) == (new, EDITED)
    assert told["edited"]["edited"] >= told["edited"]["date"]
    assert told["deleted"] == [new]
    assert dc.requests()["unknown"] == []


async def judge_file(dc: Sandbox, file: dict[str, Any]) -> None:
    """A photo that an independent client downloaded is the one that stock Telethon gets."""
    client = TelegramClient(StringSession(dc.session(account_of(dc).id)), 1, "hash")
    await client.connect()
    try:
        message = await client.get_messages(channel_of(dc).username, ids=file["post"])
        data = await client.download_media(message, bytes)
    finally:
        await client.disconnect()
    assert (file["size"], file["sha256"]) == (len(data), sha256(data).hexdigest())
