"""What a post carries beside its text, described: ``{"type": ...}`` and what a reader would want to know of it."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from telethon.tl import types

Described = dict[str, Any]


def name_of(cls: type[Any], prefix: str) -> str:
    """A TL class as a type name: ``MessageMediaGeoLive`` without its prefix is ``geo_live``."""
    return _snake(cls.__name__.removeprefix(prefix))


@cache
def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def describe_media(media: Any) -> Described:
    """Never fails on a well-formed object: what isn't known is kept as its type name."""
    known = _KNOWN.get(type(media))
    if known is None:
        return {"type": name_of(type(media), "MessageMedia")}
    return known(media)


def _kept(described: Described) -> Described:
    return {field: value for field, value in described.items() if value is not None and value is not False}


def _photo_of(photo: Any) -> Described:
    """The largest size there is; a photo that has gone (expired, removed) has only its type."""
    described: Described = {"type": "photo"}
    if type(photo) is not types.Photo:
        return described
    described["id"] = photo.id
    width = 0
    for size in photo.sizes:
        if getattr(size, "w", 0) > width:
            width = size.w
            described["w"], described["h"] = size.w, size.h
            sizes = getattr(size, "sizes", None)
            described["size"] = max(sizes, default=0) if sizes is not None else getattr(size, "size", 0)
    return described


def _photo(media: Any) -> Described:
    described = _photo_of(media.photo)
    if media.spoiler:
        described["spoiler"] = True
    if media.ttl_seconds:
        described["ttl"] = media.ttl_seconds
    return described


def _document_of(document: Any) -> Described:
    described: Described = {"type": "document"}
    if type(document) is not types.Document:
        return described
    described.update(id=document.id, mime=document.mime_type, size=document.size)
    for attribute in document.attributes:
        known = _ATTRIBUTES.get(type(attribute))
        if known is not None:
            described.update(known(attribute))
    return described


def _document(media: Any) -> Described:
    described = _document_of(media.document)
    if media.spoiler:
        described["spoiler"] = True
    return described


def _video(attribute: Any) -> Described:
    kind = "round" if attribute.round_message else "video"
    return {"kind": kind, "duration": attribute.duration, "w": attribute.w, "h": attribute.h}


def _audio(attribute: Any) -> Described:
    described = {"duration": attribute.duration, "title": attribute.title, "performer": attribute.performer}
    return {"kind": "voice" if attribute.voice else "audio", **_kept(described)}


_ATTRIBUTES: dict[type, Callable[[Any], Described]] = {
    types.DocumentAttributeFilename: lambda attribute: {"file_name": attribute.file_name},
    types.DocumentAttributeVideo: _video,
    types.DocumentAttributeAudio: _audio,
    types.DocumentAttributeImageSize: lambda attribute: {"w": attribute.w, "h": attribute.h},
    types.DocumentAttributeSticker: lambda attribute: {"kind": "sticker", "emoji": attribute.alt},
    types.DocumentAttributeAnimated: lambda _: {"kind": "animation"},
}


def _webpage(media: Any) -> Described:
    page = media.webpage
    described = {"type": "webpage", "url": getattr(page, "url", None)}
    if type(page) is types.WebPage:
        described.update(site=page.site_name, title=page.title, description=page.description, page_type=page.type)
    return _kept(described)


def _poll(media: Any) -> Described:
    """Without results: they change with every vote, and a vote is no edit."""
    poll = media.poll
    return _kept(
        {
            "type": "poll",
            "id": poll.id,
            "question": _words(poll.question),
            "answers": [_words(answer.text) for answer in poll.answers if hasattr(answer, "text")],
            "closed": poll.closed,
            "quiz": poll.quiz,
            "multiple_choice": poll.multiple_choice,
        }
    )


def _words(text: Any) -> str:
    return str(getattr(text, "text", text))


def _place(media: Any, kind: str) -> Described:
    point = media.geo
    return {"type": kind, "lat": getattr(point, "lat", None), "long": getattr(point, "long", None)}


def _venue(media: Any) -> Described:
    return _place(media, "venue") | {"title": media.title, "address": media.address}


def _contact(media: Any) -> Described:
    return _kept(
        {"type": "contact", "first_name": media.first_name, "last_name": media.last_name, "phone": media.phone_number}
    )


def _invoice(media: Any) -> Described:
    return {"type": "invoice", "title": media.title, "currency": media.currency, "amount": media.total_amount}


def _to_do(media: Any) -> Described:
    items = [_words(item.title) for item in media.todo.list]
    return {"type": "to_do", "title": _words(media.todo.title), "items": items}


_KNOWN: dict[type, Callable[[Any], Described]] = {
    types.MessageMediaPhoto: _photo,
    types.MessageMediaDocument: _document,
    types.MessageMediaWebPage: _webpage,
    types.MessageMediaPoll: _poll,
    types.MessageMediaGeo: lambda media: _place(media, "geo"),
    types.MessageMediaGeoLive: lambda media: _place(media, "geo_live"),
    types.MessageMediaVenue: _venue,
    types.MessageMediaContact: _contact,
    types.MessageMediaInvoice: _invoice,
    types.MessageMediaToDo: _to_do,
    types.MessageMediaDice: lambda media: {"type": "dice", "emoji": media.emoticon, "value": media.value},
    types.MessageMediaGame: lambda media: {"type": "game", "id": media.game.id, "title": media.game.title},
    types.MessageMediaGiveaway: lambda media: {"type": "giveaway", "quantity": media.quantity},
    types.MessageMediaPaidMedia: lambda media: {"type": "paid_media", "stars": media.stars_amount},
}
