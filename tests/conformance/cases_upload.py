"""upload.getFile: photos and documents of posts."""

from typing import Any

from telethon import errors, functions, types

from tests.conformance.cases import case
from tests.conformance.stage import Row, Stage, refuses

STEP = 4096


async def post_with(stage: Stage, client: Any, media: str, **file: Any) -> tuple[Row, Any]:
    """A channel, and its only post as the client reads it."""
    row = await stage.found("Files", "ann")
    await stage.publish(row["id"], posts=[{"media": media, "file": file} if file else {"media": media}])
    (message,) = await client.get_messages(row["username"], limit=1)
    return row, message


def part(location: Any, offset: int = 0, limit: int = STEP, **fields: Any) -> Any:
    return functions.upload.GetFileRequest(location, offset=offset, limit=limit, **fields)


def document(message: Any, **fields: Any) -> Any:
    file = message.document
    usual = {"access_hash": file.access_hash, "file_reference": file.file_reference, "thumb_size": ""}
    return types.InputDocumentFileLocation(file.id, **usual | fields)


@case("upload.getFile")
async def a_document_comes_in_parts_that_make_its_whole_size(stage: Stage) -> None:
    client = await stage.client("ann")
    _, message = await post_with(stage, client, "document", name="table.pdf", mime="application/pdf", size=10_000)
    whole = await client.download_media(message, bytes)
    assert (len(whole), whole[:5]) == (10_000, b"%PDF-")
    location = document(message)
    parts = [await client(part(location, offset)) for offset in range(0, 4 * STEP, STEP)]
    assert b"".join(each.bytes for each in parts) == whole
    assert ([len(each.bytes) for each in parts], type(parts[0].type)) == ([4096, 4096, 1808, 0], types.storage.FilePdf)
    precise = await client(part(location, 1024, 2048, precise=True))
    assert precise.bytes == whole[1024 : 1024 + 2048]


@case("upload.getFile")
async def a_photo_is_a_jpeg_of_the_size_that_was_promised(stage: Stage) -> None:
    client = await stage.client("ann")
    _, message = await post_with(stage, client, "photo")
    whole = await client.download_media(message, bytes)
    assert (whole[:3], whole[-2:]) == (b"\xff\xd8\xff", b"\xff\xd9")
    assert len(whole) == message.photo.sizes[-1].size
    small = await client.download_media(message, bytes, thumb=0)
    assert (len(small), small[:3]) == (message.photo.sizes[0].size, b"\xff\xd8\xff")


@case("upload.getFile")
async def parts_that_fit_no_step_and_places_that_are_none_are_refused(stage: Stage) -> None:
    client = await stage.client("ann")
    _, message = await post_with(stage, client, "document")
    location = document(message)
    await refuses(client, errors.OffsetInvalidError, part(location, 1), part(location, -STEP))
    await refuses(client, errors.LimitInvalidError, part(location, 0, 0), part(location, 0, STEP + 1))
    await refuses(client, errors.LimitInvalidError, part(location, 0, 2**21), part(location, 2**20 - STEP, 2 * STEP))
    strange = (
        document(message, access_hash=1),
        document(message, thumb_size="m"),
        types.InputDocumentFileLocation(1, 1, b"", ""),
        types.InputStickerSetThumb(types.InputStickerSetEmpty(), 1),
    )
    await refuses(client, errors.LocationInvalidError, *(part(each) for each in strange))


@case("upload.getFile")
async def references_expire_and_reading_again_brings_new_ones(stage: Stage) -> None:
    client = await stage.client("ann")
    row, message = await post_with(stage, client, "document")
    await refuses(client, errors.FileReferenceEmptyError, part(document(message, file_reference=b"")))
    await refuses(client, errors.FileReferenceInvalidError, part(document(message, file_reference=b"nonsense")))
    await stage.control.delete("/references")
    await refuses(client, errors.FileReferenceExpiredError, part(document(message)))
    (again,) = await client.get_messages(row["username"], limit=1)
    assert len((await client(part(document(again)))).bytes) == STEP


@case("upload.getFile")
async def a_file_is_shut_with_its_channel_and_gone_with_its_post(stage: Stage) -> None:
    client = await stage.client("ann")
    row, message = await post_with(stage, client, "document")
    await stage.control.post(f"/channels/{row['id']}", username="")
    await stage.control.post("/members", channel=row["id"], account="ann", standing="left")
    await refuses(client, errors.ChannelPrivateError, part(document(message)))
    await stage.control.post("/deletes", channel=row["id"], ids=[message.id])
    await refuses(client, errors.LocationInvalidError, part(document(message)))
