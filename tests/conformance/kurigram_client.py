"""Kurigram against a sandbox: a client of another family (Pyrogram's), with TL classes and cryptography of its own.

``python -m tests.conformance.kurigram_client --place PLACE --phone PHONE --channel CHANNEL``, where PLACE is the first
line of ``telewarden sandbox``. It makes a key, signs in (with ``--password`` if asked for one), reads the channel down
to its first post, waits for pushes and with ``--download`` gets the newest photo; stdout is one line of JSON.
"""

from tests.conformance import guard

guard.shut()

import argparse  # noqa: E402 -- the guard comes first
import asyncio  # noqa: E402
import hashlib  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402
from urllib.request import Request, urlopen  # noqa: E402

import pyrogram  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: E402
from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: E402
from pyrogram.crypto import rsa  # noqa: E402
from pyrogram.errors import SessionPasswordNeeded  # noqa: E402
from pyrogram.handlers import DeletedMessagesHandler, EditedMessageHandler, MessageHandler  # noqa: E402
from pyrogram.raw.all import layer  # noqa: E402
from pyrogram.raw.core import Bytes  # noqa: E402
from pyrogram.session import Auth, Session  # noqa: E402
from pyrogram.storage.sqlite_storage import SQLiteStorage  # noqa: E402
from pyrogram.types import Message, User  # noqa: E402

DEADLINE = 60
PUSHED = "Conformance: a post that is pushed"
EDITED = "Conformance: the same post, edited"


class Place(SQLiteStorage):
    """Storage in memory that names the sandbox: empty storage would name the real service."""

    def __init__(self, dc: dict[str, Any]) -> None:
        super().__init__("sandbox", workdir=Path(), in_memory=True)
        self.dc = dc
        self.key = b""

    async def open(self) -> None:
        await super().open()
        await self.dc_id(self.dc["id"])
        await self.server_address(self.dc["address"])
        await self.port(self.dc["port"])
        await self.api_id(1)
        await self.test_mode(False)
        await self.auth_key(self.key)
        # Anything but None, or the client takes this for empty and fills in its own addresses.
        await self.user_id(0)
        await self.is_bot(False)


class Complaints(logging.Handler):
    """What the client only logs: it would ask again, or connect again, and be content in the end."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        if record.levelno >= logging.WARNING or said.startswith(("Restarting", "Discarding")):
            self.heard.append(said)


class Control:
    """The sandbox's control interface."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return await asyncio.to_thread(self._call, path, body)

    def _call(self, path: str, body: dict[str, Any] | None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        asked = Request(self._url + path, data, {"Content-Type": "application/json"})
        with urlopen(asked, timeout=DEADLINE) as answer:
            return json.load(answer)


def trust(pem: str) -> None:
    """The sandbox's key alone is known from here on."""
    key = load_pem_public_key(pem.encode())
    assert isinstance(key, RSAPublicKey)
    numbers = key.public_numbers()
    written = b"".join(Bytes(each.to_bytes((each.bit_length() + 7) // 8, "big")) for each in (numbers.n, numbers.e))
    fingerprint = int.from_bytes(hashlib.sha1(written).digest()[-8:], "little", signed=True)
    rsa.server_public_keys.clear()
    rsa.server_public_keys[fingerprint] = rsa.PublicKey(numbers.n, numbers.e)


async def sign_in(client: pyrogram.Client, control: Control, phone: str, password: str | None) -> User:
    sent = await client.send_code(phone)
    code = (await control.call(f"/codes/{phone}"))["code"]
    try:
        user = await client.sign_in(phone, sent.phone_code_hash, code)
    except SessionPasswordNeeded:
        if password is None:
            raise
        return await client.check_password(password)
    assert isinstance(user, User)
    return user


def told(message: Message) -> dict[str, Any]:
    """What the client understood of a post, in the words of the ledger."""
    place = {"id": message.id, "date": int(message.date.timestamp()), "service": message.service is not None}
    if message.service:
        return place
    reactions = message.reactions.reactions if message.reactions else []
    entities = message.entities or message.caption_entities or []
    return place | {
        "text": str(message.text or message.caption or ""),
        "entities": [[entity.type.value.__name__, entity.offset, entity.length] for entity in entities],
        "edited": int(message.edit_date.timestamp()) if message.edit_date else None,
        "media": message.media.name.lower() if message.media else None,
        "grouped_id": str(message.media_group_id) if message.media_group_id else None,
        "reply_to": message.reply_to_message_id,
        "views": message.views,
        "forwards": message.forwards,
        "reactions": {each.emoji: each.count for each in reactions},
    }


async def be_told(client: pyrogram.Client, control: Control, channel: str) -> dict[str, Any]:
    """A post that is published, edited and deleted, as it was pushed."""
    heard: asyncio.Queue[Any] = asyncio.Queue()
    for kind in (MessageHandler, EditedMessageHandler, DeletedMessagesHandler):
        client.add_handler(kind(lambda _, what: heard.put_nowait(what)))
    await client.initialize()
    (new,) = (await control.call("/posts", {"channel": channel, "text": PUSHED}))["ids"]
    pushed = told(await heard.get())
    await control.call("/edits", {"channel": channel, "id": new, "text": EDITED})
    edited = told(await heard.get())
    await control.call("/deletes", {"channel": channel, "ids": [new]})
    deleted = [message.id for message in await heard.get()]
    await client.terminate()
    return {"pushed": pushed, "edited": edited, "deleted": deleted}


async def download(client: pyrogram.Client, photo: Message) -> dict[str, Any]:
    data = (await client.download_media(photo, in_memory=True)).getvalue()
    return {"post": photo.id, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


async def use(options: argparse.Namespace) -> dict[str, Any]:
    complaints = Complaints()
    logging.basicConfig(level=logging.INFO, handlers=[complaints, logging.StreamHandler(sys.stderr)])
    storage, control = Place(options.place["dc"]), Control(options.place["control"])
    trust(storage.dc["public_key"])
    client = pyrogram.Client("sandbox", 1, "hash", storage_engine=storage)
    Auth.MAX_RETRIES = 0
    Session.START_TIMEOUT = DEADLINE  # 2 s, on a busy machine, would be the machine's fault
    begun = time.perf_counter()
    storage.key = await Auth(client, storage.dc["id"], storage.dc["address"], storage.dc["port"], False).create()
    await client.connect()
    user = await sign_in(client, control, options.phone, options.password)
    signed_in = time.perf_counter()
    messages = [message async for message in client.get_chat_history(options.channel)]
    read = time.perf_counter()
    pushes = await be_told(client, control, options.channel)
    file = await download(client, next(each for each in messages if each.photo)) if options.download else None
    await client.disconnect()
    return {
        "layer": layer,
        "user": user.id,
        "posts": [told(message) for message in messages],
        **pushes,
        "file": file,
        "seconds": {"sign_in": round(signed_in - begun, 2), "history": round(read - signed_in, 2)},
        "complaints": complaints.heard,
        "refused": guard.refused,
    }


async def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--place", type=json.loads, required=True)
    parser.add_argument("--phone", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--password")
    parser.add_argument("--download", action="store_true")
    options = parser.parse_args(arguments)
    async with asyncio.timeout(DEADLINE):
        result = await use(options)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
