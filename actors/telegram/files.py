"""Files of messages: where they lie, as one client knows it, and their parts.

A location holds what belongs to one account and expires (access hash, file reference), so it is kept in memory alone,
for as long as its client lives.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from telethon.tl import functions, types

from actors.errors import FileLost, Refused, TryAgain
from actors.messages.account import PART, FetchPart, FilePart, FilesLocated, LocatedFile, LocateFiles
from actors.telegram.caller import Caller
from actors.telegram.faults import FileMoved, Unreadable

REMEMBERED = 1000
"""Locations that a client remembers; those beyond it are read again when they are needed."""
EXPIRED = ("FILE_REFERENCE_", "LOCATION_INVALID", "FILE_ID_INVALID")
"""What a location that isn't good any more is answered with, by how the name begins."""


@dataclass(slots=True)
class Place:
    """Where a file lies."""

    location: Any
    dc_id: int
    size: int


class Files:
    """Locates files and fetches their parts, one call at a time."""

    def __init__(self, call: Caller) -> None:
        self._call = call
        self._places: dict[str, Place] = {}

    async def locate(self, peer: Any, request: LocateFiles) -> FilesLocated:
        """One call, unless a message among them can't be read: then the others are found without it."""
        found = []
        for message in await self._read(peer, request):
            placed = place_of(message)
            if placed is not None:
                file_key, place = placed
                self._places.pop(file_key, None)
                self._places[file_key] = place
                found.append(LocatedFile(message_id=message.id, file_key=file_key, size=place.size))
        for file_key in list(self._places)[:-REMEMBERED]:
            del self._places[file_key]
        return FilesLocated(files=tuple(found))

    async def _read(self, peer: Any, request: LocateFiles) -> list[Any]:
        messages: list[Any] = []
        groups = [request.message_ids]
        while groups:
            group = groups.pop()
            ids = [types.InputMessageID(number) for number in group]
            ask = functions.channels.GetMessagesRequest(types.InputChannel(peer.channel_id, peer.access_hash), ids)
            try:
                messages += (await self._call(ask, channel_id=request.channel_id)).messages
            except Unreadable:
                middle = len(group) // 2
                groups += [half for half in (group[:middle], group[middle:]) if middle]
        return messages

    async def fetch(self, request: FetchPart) -> FilePart:
        """One call, one more where the file has moved to another data centre. Raises: FileLost."""
        place = self._places.get(request.file_key)
        if place is None:
            raise FileLost(self._call.account_id, request.file_key, "it wasn't located", expired=False)
        try:
            return await self._fetch(place, request)
        except FileMoved as fault:
            place.dc_id = fault.dc_id
            return await self._fetch(place, request)
        except (TryAgain, Refused) as fault:
            if not fault.cause.startswith(EXPIRED):
                raise
            self._places.pop(request.file_key, None)
            raise FileLost(fault.account_id, request.file_key, fault.cause, expired=True) from fault

    async def _fetch(self, place: Place, request: FetchPart) -> FilePart:
        ask = functions.upload.GetFileRequest(place.location, offset=request.offset, limit=PART)
        answer = await self._call(ask, channel_id=request.channel_id, dc_id=place.dc_id)
        if type(answer) is not types.upload.File:
            # Only who says cdn_supported is sent there.
            raise Refused(self._call.account_id, "upload.getFile", type(answer).__name__)
        return FilePart(data=answer.bytes)


def place_of(message: Any) -> tuple[str, Place] | None:
    """The key and the place of a message's own file; previews' and polls' files aren't its own."""
    media = getattr(message, "media", None)
    match media:
        case types.MessageMediaPhoto(photo=types.Photo() as photo):
            size = largest(photo.sizes)
            if size is None:
                return None
            return f"photo-{photo.id}", Place(_located(types.InputPhotoFileLocation, photo, size.type), photo.dc_id,
                                              bytes_of(size))  # fmt: skip
        case types.MessageMediaDocument(document=types.Document() as file):
            location = _located(types.InputDocumentFileLocation, file, "")
            return f"document-{file.id}", Place(location, file.dc_id, file.size)
    return None


def _located(kind: Any, file: Any, thumb_size: str) -> Any:
    return kind(
        id=file.id, access_hash=file.access_hash, file_reference=file.file_reference, thumb_size=thumb_size
    )  # fmt: skip


def largest(sizes: Iterable[Any]) -> Any | None:
    """Of a photo's sizes the widest that a server holds."""
    held = (types.PhotoSize, types.PhotoSizeProgressive, types.PhotoCachedSize)
    return max((size for size in sizes if isinstance(size, held)), key=lambda size: size.w, default=None)


def bytes_of(size: Any) -> int:
    if isinstance(size, types.PhotoSizeProgressive):
        return max(size.sizes, default=0)
    return len(size.bytes) if isinstance(size, types.PhotoCachedSize) else int(size.size)
