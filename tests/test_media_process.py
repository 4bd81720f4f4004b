"""Files of posts, by a daemon that is killed on the way."""

import asyncio
from hashlib import sha256

import aiohttp

from sandbox import files
from sandbox.codec.files import PHOTO_SIZES
from tests.postgres import fresh_database
from tests.processes import DaemonProcess, breathe


def content_of(row):
    """What the sandbox makes of a file's id, past every method."""
    number = int(row["file"].partition("-")[2])
    if row["kind"] == "photo":
        _, width, height = PHOTO_SIZES[-1]
        return files.photo(number, width, height)
    return files.document_part(number, row["size"], 0, row["size"], mime=row["mime"])


async def rows_of(daemon):
    rows = []
    for channel in (await daemon.get("/channels"))["channels"]:
        page = await daemon.get(f"/media?channel={channel['id']}&limit=5000")
        assert page["next_after_id"] is None
        rows += page["media"]
    return rows


async def until(daemon, true, within=90):
    """Ask over HTTP until it is so."""
    async with asyncio.timeout(within):
        while not true(rows := await rows_of(daemon)):
            await breathe()
    return rows


async def test_killed_on_the_way_it_ends_with_every_file_and_each_once(tmp_path, postgres):
    config = tmp_path / "config.yaml"
    lines = [
        "sandbox: {enabled: true, accounts: 3, channels: 6, posts: 400}",
        "collection: {start: all}",
        "media: {channels: [{channel: '*', kinds: [photo, document, video], max_size: 1MiB}]}",
    ]
    config.write_text("\n".join(lines), encoding="utf-8")
    async with fresh_database(postgres) as dsn:
        env = {"TELEWARDEN__DATABASE__DSN": dsn}
        async with DaemonProcess(tmp_path / "var", env=env, config=config) as daemon:
            await daemon.signed_in(3)
            await daemon.parse_all()
            await until(daemon, lambda rows: sum(row["state"] == "stored" for row in rows) >= 15)
            await daemon.kill()
        async with DaemonProcess(tmp_path / "var", env=env, config=config) as daemon:
            await daemon.signed_in(3)
            assert (await daemon.parse_all())["state"] == "success"
            rows = await until(daemon, lambda rows: rows and all(row["state"] != "wanted" for row in rows))
            assert {row["state"] for row in rows} <= {"stored", "skipped"}
            kept = [row for row in rows if row["state"] == "stored"]
            assert len(kept) > 20
            assert {row["kind"] for row in rows if row["state"] == "skipped"}.isdisjoint({"photo", "document"})
            async with aiohttp.ClientSession() as session:
                for row in kept:
                    async with session.get(daemon.url + row["url"]) as answer:
                        body = await answer.read()
                    assert body == content_of(row)
                    assert row["sha256"] == sha256(body).hexdigest()
    blobs = {path.name for path in tmp_path.rglob("*") if path.is_file() and len(path.name) == 64}
    assert blobs == {row["sha256"] for row in kept}
    assert not [path for path in tmp_path.rglob("partial/*") if path.is_file()]
