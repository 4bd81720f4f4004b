"""What a post carries beside its text."""

from typing import Any

from telethon.tl import types

from sandbox import files
from sandbox.channels import Channel
from sandbox.codec.files import (
    document_mime,
    document_name,
    document_size,
    file_hash,
    file_id,
    file_reference,
    photo_sizes,
)
from sandbox.codec.raw import OF_A_LATER_LAYER
from sandbox.posts import File, Post
from sandbox.world import World


def media(world: World, channel: Channel, post: Post) -> Any:
    file = file_id(channel, post)
    match post.media:
        case "":
            return None
        case "photo":
            sizes = [types.PhotoSize(kind, w, h, files.photo_size(w, h)) for kind, w, h in photo_sizes(post.file)]
            photo = types.Photo(file, file_hash(file), file_reference(world, file), post.date, sizes, world.files_dc)
            return types.MessageMediaPhoto(photo=photo)
        case "poll":
            question = types.TextWithEntities("?", [])
            answers = [types.PollAnswer(types.TextWithEntities(text, []), text.encode()) for text in ("1", "2")]
            return types.MessageMediaPoll(types.Poll(file, question, answers, hash=0), types.PollResults())
        case "webpage":
            url = f"https://example.org/read/{post.id}"
            return types.MessageMediaWebPage(types.WebPage(file, url, url, 0, type="article", title=channel.title))
        case "geo":
            return types.MessageMediaGeo(types.GeoPoint(long=37.6, lat=55.7, access_hash=0))
        case "unsupported":
            return types.MessageMediaUnsupported()
        case "unknown":
            return OF_A_LATER_LAYER
        case _:
            return _document(world, file, post)


def _document(world: World, file: int, post: Post) -> Any:
    known = post.file or File()
    width, height, duration = known.width or 640, known.height or 360, known.duration or 3.0
    attributes: list[Any] = []
    match post.media:
        case "video":
            attributes = [types.DocumentAttributeVideo(duration, width, height, supports_streaming=True)]
        case "animation":
            attributes = [types.DocumentAttributeVideo(duration, width, height), types.DocumentAttributeAnimated()]
        case "audio" | "voice":
            attributes = [types.DocumentAttributeAudio(int(duration), voice=(post.media == "voice") or None)]
        case "sticker":
            attributes = [
                types.DocumentAttributeImageSize(512, 512),
                types.DocumentAttributeSticker("🙂", types.InputStickerSetEmpty()),
            ]
    if name := document_name(post):
        attributes.append(types.DocumentAttributeFilename(name))
    document = types.Document(
        id=file,
        access_hash=file_hash(file),
        file_reference=file_reference(world, file),
        date=post.date,
        mime_type=document_mime(post),
        size=document_size(post),
        dc_id=world.files_dc,
        attributes=attributes,
    )
    return types.MessageMediaDocument(
        document=document, video=(post.media == "video") or None, voice=(post.media == "voice") or None
    )
