import base64
from typing import Any

from telethon.tl import functions, types

from sandbox import files
from sandbox.codec.files import (
    LETTER_PICTURES,
    document_mime,
    document_size,
    file_hash,
    file_origin,
    photo_sizes,
    reference_fault,
)
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.letters import Letter
from sandbox.posts import Post

_MEGABYTE = 1024 * 1024
MAX_PARTS = 256
MAX_UPLOADED = 32 * _MEGABYTE
"""Bytes of all files on their way; the oldest are forgotten."""
_KEEPING = 1024
"""Bytes that a part costs beside its own, rounded up."""
_FILE_TYPES = {
    "application/pdf": types.storage.FilePdf,
    "audio/mpeg": types.storage.FileMp3,
    "image/gif": types.storage.FileGif,
    "image/jpeg": types.storage.FileJpeg,
    "image/png": types.storage.FilePng,
    "image/webp": types.storage.FileWebp,
    "video/mp4": types.storage.FileMp4,
    "video/quicktime": types.storage.FileMov,
}


def get_file(call: Call, request: Any) -> Any:
    """A part of a post's photo or document; behind its end there is nothing, and that is no fault."""
    if (letter := _letter(call, request.location)) is not None:
        _check_part(request.offset, request.limit, 1024 if request.precise else 4096)
        whole = base64.b64decode(letter.picture)
        part = whole[request.offset : request.offset + request.limit]
        kind = types.storage.FilePng if whole.startswith(b"\x89PNG") else types.storage.FileJpeg
        return types.upload.File(kind(), mtime=letter.date, bytes=part)
    post, file = _located(call, request.location)
    _check_part(request.offset, request.limit, 1024 if request.precise else 4096)
    if call.dc.world.files_dc != call.key.dc_id:
        raise RefusedError(303, f"FILE_MIGRATE_{call.dc.world.files_dc}")
    if isinstance(request.location, types.InputPhotoFileLocation):
        mime = "image/jpeg"
        width, height = _side(post, request.location.thumb_size)
        part = files.photo(file, width, height)[request.offset : request.offset + request.limit]
    else:
        mime = document_mime(post)
        part = files.document_part(file, document_size(post), request.offset, request.limit, mime=mime)
    return types.upload.File(_FILE_TYPES.get(mime, types.storage.FileUnknown)(), mtime=post.date, bytes=part)


def _letter(call: Call, location: Any) -> Letter | None:
    """The private message of one's own whose picture this is, if it is one."""
    wanted = getattr(location, "id", 0)
    if not isinstance(location, types.InputPhotoFileLocation) or wanted >= LETTER_PICTURES:
        return None
    letter = call.dc.world.boxes[call.account.id].find(wanted & ((1 << 20) - 1))
    if letter is None or not letter.picture or letter.pts != location.access_hash:
        raise RefusedError(400, "LOCATION_INVALID")
    return letter


def save_file_part(call: Call, request: Any) -> bool:
    """Kept until it is sent, or until newer files need the room."""
    if not 0 <= request.file_part < MAX_PARTS:
        raise RefusedError(400, "FILE_PART_INVALID")
    if not 0 < len(request.bytes) <= 512 * 1024:
        raise RefusedError(400, "FILE_PART_SIZE_INVALID")
    uploads = call.dc.uploads
    uploads.setdefault((call.account.id, request.file_id), {})[request.file_part] = request.bytes
    kept = sum(_KEEPING + len(part) for parts in uploads.values() for part in parts.values())
    while kept > MAX_UPLOADED:
        oldest = uploads.pop(next(iter(uploads)))
        kept -= sum(_KEEPING + len(part) for part in oldest.values())
    return True


def _located(call: Call, location: Any) -> tuple[Post, int]:
    """The post whose file this is, and the file's id. A deleted post's file is gone with it."""
    me, world = call.account.id, call.dc.world
    if not isinstance(location, (types.InputPhotoFileLocation, types.InputDocumentFileLocation)):
        raise RefusedError(400, "LOCATION_INVALID")
    found = file_origin(world, location.id)
    if found is None or location.access_hash != file_hash(location.id):
        raise RefusedError(400, "LOCATION_INVALID")
    channel, post = found
    if isinstance(location, types.InputPhotoFileLocation):
        fits = post.media == "photo" and _side(post, location.thumb_size) != (0, 0)
    else:  # documents have no thumbnails here
        fits = bool(document_mime(post)) and not location.thumb_size
    if not fits:
        raise RefusedError(400, "LOCATION_INVALID")
    if fault := reference_fault(world, location.id, location.file_reference):
        raise RefusedError(400, fault)
    if not channel.can_be_read_by(me):
        raise RefusedError(400, "CHANNEL_PRIVATE")
    return post, location.id


def _side(post: Post, kind: str) -> tuple[int, int]:
    """Width and height of one size of a photo; zeros for one that it doesn't have."""
    return next(((width, height) for name, width, height in photo_sizes(post.file) if name == kind), (0, 0))


def _check_part(offset: int, limit: int, step: int) -> None:
    """As core.telegram.org/api/files has it: in steps of 4 KB (1 KB if `precise`), within one megabyte of the file."""
    if offset < 0 or offset % step:
        raise RefusedError(400, "OFFSET_INVALID")
    fits = 0 < limit <= _MEGABYTE and limit % step == 0 and (step == 1024 or _MEGABYTE % limit == 0)
    if not fits or offset // _MEGABYTE != (offset + limit - 1) // _MEGABYTE:
        raise RefusedError(400, "LIMIT_INVALID")


HANDLERS: Methods = {
    functions.upload.GetFileRequest: get_file,
    functions.upload.SaveFilePartRequest: save_file_part,
}
