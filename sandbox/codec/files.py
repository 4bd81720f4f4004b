"""A file's id, hash, reference, sizes and kind: all follow from its post, nothing is kept of it."""

import struct
from collections.abc import Sequence

from sandbox.channels import Channel
from sandbox.posts import File, Post
from sandbox.world import World

PHOTO_SIZES = (("m", 320, 213), ("x", 800, 533))
"""Types and dimensions of a photo, unless it says its own; the last is the whole one."""
LETTER_PICTURES = 1 << 60
"""Ids of pictures in private messages are below this, those of a channel's files above."""


def file_id(channel: Channel, post: Post) -> int:
    """Names the post too, so that nothing needs to be kept of a file. Of a channel's id only 31 bits have room."""
    channel_id, post_id = post.file.of if post.file and post.file.of else (channel.id, post.id)
    return (channel_id & _LOW) << 32 | post_id


_LOW = 2**31 - 1


def file_origin(world: World, file: int) -> tuple[Channel, Post] | None:
    """The post that a file belongs to; None when there is none, or it was deleted."""
    for high in range(2**9):  # ids go on to 40 bits, nearly all of them are the first or second guess
        channel = world.channels.get(high << 31 | file >> 32)
        post = channel.posts.get(file & 0xFFFF_FFFF) if channel else None
        if channel and post:
            return channel, post
    return None


def file_hash(file: int) -> int:
    return file ^ 0x5A5A5A5A


_REFERENCE = struct.Struct("<7siq")


def file_reference(world: World, file: int) -> bytes:
    """Good until the world's references expire all at once."""
    return _REFERENCE.pack(b"sandbox", world.references, file)


def reference_fault(world: World, file: int, reference: bytes) -> str:
    """What is wrong with a file reference, in the service's words; '' for a good one."""
    if not reference:
        return "FILE_REFERENCE_EMPTY"
    if len(reference) != _REFERENCE.size or _REFERENCE.unpack(reference)[::2] != (b"sandbox", file):
        return "FILE_REFERENCE_INVALID"
    return "" if reference == file_reference(world, file) else "FILE_REFERENCE_EXPIRED"


def photo_sizes(file: File | None) -> Sequence[tuple[str, int, int]]:
    return (("x", file.width, file.height),) if file and file.width and file.height else PHOTO_SIZES


def document_size(post: Post) -> int:
    return (post.file.size if post.file else 0) or 120_000 + post.id % 50_000


_MIMES = {
    "document": "application/pdf",
    "video": "video/mp4",
    "animation": "video/mp4",
    "audio": "audio/mpeg",
    "voice": "audio/ogg",
    "sticker": "image/webp",
}


def document_mime(post: Post) -> str:
    """'' when the post has no document."""
    made = _MIMES.get(post.media, "")
    return (post.file.mime if post.file else "") or made if made else ""


def document_name(post: Post) -> str:
    """'' for none."""
    return (post.file.name if post.file else "") or (f"table-{post.id}.pdf" if post.media == "document" else "")
