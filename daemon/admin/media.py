"""``GET /media``: which files a channel's posts carry, and the files themselves."""

import logging
import re
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from aiohttp import hdrs, web

from actors.errors import BlobsUnavailable
from actors.messages.files import Blob, FileRow
from actors.messages.ids import Sha256
from daemon.admin.access import Role
from daemon.admin.asking import BLOBS, STORE, find_channel, query, respond
from daemon.admin.channels import AFTER_POST, MESSAGE_ID_MAX, POSTS_LIMIT
from daemon.admin.params import CHANNEL
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

logger = logging.getLogger(__name__)

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PLAIN = frozenset(
    {"image/jpeg", "image/png", "image/gif", "image/webp", "video/mp4", "video/webm", "audio/mpeg", "audio/ogg"}
    | {"audio/mp4", "application/pdf"}
)
"""Types that are named as they are: none of them is a page that could act in this server's name."""
_BINARY = "application/octet-stream"


async def files(request: web.Request) -> web.Response:
    """One page of the files of a channel's posts, ascending by message; ``next_after_id`` leads to the next one."""
    params = query(request)
    after, limit = min(AFTER_POST.of(params), MESSAGE_ID_MAX), POSTS_LIMIT.of(params)
    channel = await find_channel(request, CHANNEL.of(params))
    page = await request.app[STORE].media.page(channel.channel_id, after_id=after, limit=limit + 1)
    # One post more than asked for tells whether there is a next page.
    posts = sorted({row.message_id for row in page})
    last = posts[limit - 1] if len(posts) > limit else None
    shown = [row for row in page if last is None or row.message_id <= last]
    return respond(Files(media=tuple(map(_file, shown)), next_after_id=last))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTold:
    post_id: int
    file: str
    """Telegram's name for it: of several posts with the same one it is fetched once."""
    kind: str
    name: str | None
    mime: str | None
    size: int | None
    state: str
    cause: str | None
    sha256: Sha256 | None
    url: str | None
    """Where its bytes are had, once they are stored."""
    stored_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    media: tuple[FileTold, ...]
    next_after_id: int | None
    """Where the next page begins; None on the last one."""


def _file(row: FileRow) -> FileTold:
    return FileTold(
        post_id=row.message_id,
        file=row.file_key,
        kind=row.kind,
        name=row.name,
        mime=row.mime,
        size=row.size,
        state=row.state,
        cause=row.cause,
        sha256=row.sha256,
        url=None if row.sha256 is None else f"/media/{row.sha256}",
        stored_at=row.stored_at,
    )


async def content(request: web.Request) -> web.StreamResponse:
    """A file's bytes, as an attachment."""
    query(request)
    name, blobs = request.match_info["sha256"], request.app[BLOBS]
    blob = await request.app[STORE].media.blob(Sha256(name)) if _SHA256.fullmatch(name) else None
    chunks = None if blob is None or blobs is None else await blobs.read(blob.sha256)
    if blob is None or chunks is None:
        raise Problem(404, f"There is no file {name[:80]!r} here: GET /media?channel=NAME lists those that there are")
    response = web.StreamResponse(headers=_headers(blob))
    response.content_length = blob.size
    async with aclosing(chunks):
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        left = blob.size
        try:
            async for chunk in chunks:
                left -= len(chunk)
                await response.write(chunk)
        except BlobsUnavailable as fault:
            logger.warning("file %s broke off: %s", name, fault)
    if left and request.transport is not None:
        request.transport.abort()  # the headers promised more: let nobody take this for the whole
    return response


def _headers(blob: Blob) -> dict[str, str]:
    named = f"; filename*=UTF-8''{quote(blob.name, safe='')}" if blob.name else ""
    return {
        hdrs.CONTENT_TYPE: blob.mime if blob.mime in _PLAIN else _BINARY,
        # Strangers uploaded it: never shown as a part of this site, whatever its type.
        hdrs.CONTENT_DISPOSITION: f"attachment{named}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        hdrs.ETAG: f'"{blob.sha256}"',
    }


ROUTES = (
    Route("GET", "/media", files, Role.VIEWER, Files, query=(CHANNEL, AFTER_POST, POSTS_LIMIT), problems=(404,)),
    Route("GET", "/media/{sha256}", content, Role.VIEWER, media=_BINARY),
)
