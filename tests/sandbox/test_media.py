"""Photos and documents as stock Telethon downloads them, from either data centre."""

import pytest
from telethon import TelegramClient, errors, functions, types
from telethon.crypto import rsa

from sandbox import files, methods
from sandbox.client import Sandbox
from sandbox.codec.files import PHOTO_SIZES, document_mime, document_size, file_id, file_origin
from sandbox.posts import File, Post
from sandbox.world import OTHER_DC_ID
from tests.sandbox.conftest import Connect, hear, signed_in, soon
from tests.sandbox.rawclient import Sealer, initialised, raw

MEGABYTE = 1024 * 1024
exports = pytest.mark.skipif(
    functions.auth.ExportAuthorizationRequest not in methods.ALL, reason="auth.exportAuthorization isn't there yet"
)


def publish(dc: Sandbox, channel: str, media: str, **file) -> int:
    made = File(**file) if file else None
    draft = lambda post_id: Post(id=post_id, date=1_780_000_000, media=media, file=made)  # noqa: E731 - one line
    return dc.dc.publish_drafts(dc.world.channel(channel), [draft])[0]


def whole(dc: Sandbox, channel: str, post_id: int) -> bytes:
    """What a document holds, made past every method."""
    found = dc.world.channel(channel)
    post = found.posts[post_id]
    size = document_size(post)
    return files.document_part(file_id(found, post), size, 0, size, mime=document_mime(post))


async def media_of(client: TelegramClient, channel: str, post_id: int):
    return await client.get_messages(channel, ids=post_id)


async def test_photos_are_downloaded_in_every_size(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    post_id = publish(dc, "gorod_news", "photo")
    message = await media_of(client, "gorod_news", post_id)
    for place, (name, width, height) in enumerate(PHOTO_SIZES):
        data = await client.download_media(message, bytes, thumb=place)
        assert (message.photo.sizes[place].type, message.photo.sizes[place].size) == (name, len(data))
        assert data == files.photo(message.photo.id, width, height)
    assert await client.download_media(message, bytes) == data
    own = publish(dc, "gorod_news", "photo", width=1280, height=960)
    message = await media_of(client, "gorod_news", own)
    assert [(size.w, size.h) for size in message.photo.sizes] == [(1280, 960)]
    assert await client.download_media(message, bytes) == files.photo(message.photo.id, 1280, 960)
    assert dc.requests()["unknown"] == []


@pytest.mark.parametrize("size", [1, 4096, 131_072, 3 * MEGABYTE + 5])
async def test_documents_are_downloaded_whole(dc: Sandbox, connect: Connect, size: int) -> None:
    client = await connect()
    post_id = publish(dc, "gorod_news", "document", name="годовой отчёт.pdf", size=size)
    message = await media_of(client, "gorod_news", post_id)
    assert (message.file.name, message.file.mime_type, message.file.size) == (
        "годовой отчёт.pdf",
        "application/pdf",
        size,
    )
    assert await client.download_media(message, bytes) == whole(dc, "gorod_news", post_id)


@pytest.mark.parametrize("media", ["document", "video", "animation", "audio", "voice", "sticker"])
async def test_every_kind_of_document_has_its_content(dc: Sandbox, connect: Connect, media: str) -> None:
    client = await connect()
    post_id = publish(dc, "gorod_news", media)
    message = await media_of(client, "gorod_news", post_id)
    assert [kind for kind in ("video", "gif", "audio", "voice", "sticker") if getattr(message, kind)] == {
        "document": [],
        "video": ["video"],
        "animation": ["video", "gif"],
        "audio": ["audio"],
        "voice": ["voice"],
        "sticker": ["sticker"],
    }[media]
    assert await client.download_media(message, bytes) == whole(dc, "gorod_news", post_id)


async def test_a_document_whose_reference_expires_on_the_way_is_read_again(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    post_id = publish(dc, "gorod_news", "document", size=2 * MEGABYTE)
    message = await media_of(client, "gorod_news", post_id)

    def expire_once(done: int, _: int) -> None:
        if done <= 512 * 1024:
            dc.world.expire_references()

    data = await client.download_media(message, bytes, progress_callback=expire_once)
    assert data == whole(dc, "gorod_news", post_id)
    counts = dc.requests()["by_account"][str(dc.world.account("ann").id)]
    assert dc.world.references > 1
    assert counts["channels.getMessages"] > 1


async def test_a_photo_whose_reference_expired_needs_its_message_again(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    post_id = publish(dc, "gorod_news", "photo")
    message = await media_of(client, "gorod_news", post_id)
    dc.world.expire_references()
    with pytest.raises(errors.FileReferenceExpiredError):
        await client.download_media(message, bytes)
    fresh = await media_of(client, "gorod_news", post_id)
    assert fresh.photo.file_reference != message.photo.file_reference
    assert await client.download_media(fresh, bytes)


def location(message, **changed) -> types.InputDocumentFileLocation:
    document = message.document
    fields = {"id": document.id, "access_hash": document.access_hash, "file_reference": document.file_reference}
    return types.InputDocumentFileLocation(**{**fields, "thumb_size": "", **changed})


async def test_wrong_locations_are_refused_by_what_is_wrong(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    message = await media_of(client, "gorod_news", publish(dc, "gorod_news", "document"))
    photo = (await media_of(client, "gorod_news", publish(dc, "gorod_news", "photo"))).photo
    own, reference = message.document, message.document.file_reference
    named = {"id": photo.id, "access_hash": photo.access_hash, "file_reference": photo.file_reference}
    for wrong, error in (
        (location(message, access_hash=own.access_hash + 1), errors.LocationInvalidError),
        (location(message, id=own.id + 70), errors.LocationInvalidError),
        (location(message, id=-own.id), errors.LocationInvalidError),
        (location(message, thumb_size="m"), errors.LocationInvalidError),
        (location(message, **named), errors.LocationInvalidError),
        (types.InputPhotoFileLocation(**named, thumb_size=""), errors.LocationInvalidError),
        (types.InputPhotoFileLocation(**named, thumb_size="w"), errors.LocationInvalidError),
        (types.InputTakeoutFileLocation(), errors.LocationInvalidError),
        (location(message, file_reference=b""), errors.FileReferenceEmptyError),
        (location(message, file_reference=reference[:-1]), errors.FileReferenceInvalidError),
        (location(message, file_reference=photo.file_reference), errors.FileReferenceInvalidError),
    ):
        with pytest.raises(error):
            await client(functions.upload.GetFileRequest(wrong, 0, 4096))


@pytest.mark.parametrize(
    ("offset", "limit", "precise", "error"),
    [
        (0, 4096, False, None),
        (0, MEGABYTE, False, None),
        (4096, 8192, False, None),
        (1024, 4096, False, errors.OffsetInvalidError),
        (-4096, 4096, False, errors.OffsetInvalidError),
        (0, 0, False, errors.LimitInvalidError),
        (0, 1024, False, errors.LimitInvalidError),
        (0, 12_288, False, errors.LimitInvalidError),
        (0, 2 * MEGABYTE, False, errors.LimitInvalidError),
        (MEGABYTE - 4096, 8192, False, errors.LimitInvalidError),
        (1024, 3072, True, None),
        (0, 12_288, True, None),
        (512, 1024, True, errors.OffsetInvalidError),
        (0, 1000, True, errors.LimitInvalidError),
        (MEGABYTE - 1024, 2048, True, errors.LimitInvalidError),
    ],
)
async def test_parts_are_asked_for_by_the_documented_rules(
    dc: Sandbox, connect: Connect, offset: int, limit: int, error: type | None, *, precise: bool
) -> None:
    client = await connect()
    post_id = publish(dc, "gorod_news", "document", size=MEGABYTE + 50_000)
    message = await media_of(client, "gorod_news", post_id)
    request = functions.upload.GetFileRequest(location(message), offset, limit, precise=precise)
    if error:
        with pytest.raises(error):
            await client(request)
        return
    answer = await client(request)
    assert answer.bytes == whole(dc, "gorod_news", post_id)[offset : offset + limit]
    assert isinstance(answer.type, types.storage.FilePdf)


async def test_behind_the_end_of_a_file_there_is_nothing(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    message = await media_of(client, "gorod_news", publish(dc, "gorod_news", "document", size=5000))
    sizes = [
        len((await client(functions.upload.GetFileRequest(location(message), offset, 4096))).bytes)
        for offset in (0, 4096, 8192)
    ]
    assert sizes == [4096, 904, 0]


async def test_files_go_with_their_posts_and_stay_with_their_readers(dc: Sandbox, connect: Connect) -> None:
    private = next(channel for channel in dc.world.channels.values() if channel.username is None)
    member = dc.world.accounts[min(private.members)]
    stranger = next(a for a in dc.world.accounts.values() if a.id != member.id and not a.is_bot)
    post_id = publish(dc, str(private.id), "document")
    client = await connect(member.username)
    await client.get_dialogs()
    message = await client.get_messages(types.PeerChannel(private.id), ids=post_id)
    assert await client.download_media(message, bytes)
    other = await connect(stranger.username)
    request = functions.upload.GetFileRequest(location(message), 0, 4096)
    with pytest.raises(errors.ChannelPrivateError):
        await other(request)
    dc.dc.delete(private, [post_id])
    with pytest.raises(errors.LocationInvalidError):
        await client(request)


async def test_files_of_channels_with_large_ids_are_told_apart(dc: Sandbox) -> None:
    channel = dc.world.channel("gorod_news")
    for channel_id in (2**31 + 5, 997_852_516_352):
        moved = type(channel)(id=channel_id, username=None, title="Large")
        moved.fill([Post(id=2**31 - 1, date=1, media="photo")])
        dc.world.channels[channel_id] = moved
        file = file_id(moved, moved.posts[2**31 - 1])
        assert 0 < file < 2**63
        assert file_origin(dc.world, file) == (moved, moved.posts[2**31 - 1])


# The other data centre


async def test_files_are_had_where_they_lie_and_nowhere_else(dc: Sandbox, connect: Connect) -> None:
    post_id = publish(dc, "gorod_news", "document", size=5000)
    home = await connect()
    rsa.add_key(dc.public_key, old=False)
    other = await home._borrow_exported_sender(OTHER_DC_ID)
    message = await media_of(home, "gorod_news", post_id)
    assert message.document.dc_id == 203
    request = functions.upload.GetFileRequest(location(message), 0, 8192)
    assert len((await home(request)).bytes) == 5000
    dc.world.move_files(OTHER_DC_ID)
    assert (await media_of(home, "gorod_news", post_id)).document.dc_id == OTHER_DC_ID
    assert len((await home._call(other, request)).bytes) == 5000
    with pytest.raises(errors.FileMigrateError) as refusal:
        await home._call(home._sender, request)  # Telethon's own way round would have it moved
    assert refusal.value.new_dc == OTHER_DC_ID


async def test_nothing_is_pushed_to_where_an_account_only_fetches_files(dc: Sandbox, connect: Connect) -> None:
    home, key = await connect(), dc.dc.keys.mint(dc.world.account("ann").id, dc_id=OTHER_DC_ID)
    heard, other = hear(home), Sealer(key.key, dc.dc.salts.current(key))
    async with raw(dc.dc.doors.find(OTHER_DC_ID).port) as connection:
        connection.send(other.seal(bytes(initialised(functions.help.GetNearestDcRequest()))))
        await connection.hear_result(other)
        await dc.publish("gorod_news", text="at home")
        assert (await soon(heard)).text == "at home"
    assert dc.dc.hub.pushed == 1


@exports
@pytest.mark.parametrize("moved", ["before it is read", "after"])
async def test_telethon_downloads_from_the_other_data_centre(moved: str) -> None:
    async with Sandbox(seed=4) as dc, signed_in(dc) as client:
        rsa.add_key(dc.public_key, old=False)
        post_id = publish(dc, "gorod_news", "document", size=300_000)
        if moved == "after":
            message = await media_of(client, "gorod_news", post_id)
            dc.world.move_files(OTHER_DC_ID)
        else:
            dc.world.move_files(OTHER_DC_ID)
            message = await media_of(client, "gorod_news", post_id)
        assert await client.download_media(message, bytes) == whole(dc, "gorod_news", post_id)
        assert dc.requests()["unknown"] == []


async def test_a_forward_carries_the_file_of_its_origin(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    first = publish(dc, "gorod_news", "document", size=5000)
    origin = dc.world.channel("gorod_news").id
    second = publish(dc, "gorod_news", "document", size=5000, of=(origin, first))
    one, two = await media_of(client, "gorod_news", first), await media_of(client, "gorod_news", second)
    assert one.document.id == two.document.id
    assert await client.download_media(two, bytes) == whole(dc, "gorod_news", first)
