"""Contents of photos and documents, made from nothing but their id: the same ones each time, and kept nowhere."""

import re
from collections.abc import Callable
from hashlib import shake_128

MAX_SIDE = 65_500
"""Pixels; libjpeg decodes nothing wider or higher, though the format goes on to 65,535."""
_COMMENT = b"telewarden sandbox %016x"
_BLOCK = 4096
"""Bytes that are made at once; a part costs at most two blocks that it doesn't need whole."""


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def _head(file_id: int, width: int, height: int) -> bytes:
    """Everything before a JPEG's picture.

    Grey, with two Huffman codes for the steps between blocks (`0` none, `10` one of seven bits) and one for what is
    inside a block (`0` nothing): a block that looks like the one before it takes two bits.
    """
    comment = _COMMENT % (file_id & 0xFFFF_FFFF_FFFF_FFFF)
    frame = b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x01\x01\x11\x00"
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
            _segment(0xFE, comment),
            _segment(0xDB, b"\x00" + b"\x08" * 64),
            _segment(0xC0, frame),
            _segment(0xC4, b"\x00\x01\x01" + bytes(14) + b"\x00\x07"),
            _segment(0xC4, b"\x10\x01" + bytes(15) + b"\x00"),
            _segment(0xDA, b"\x01\x01\x00\x00\x3f\x00"),
        )
    )


def _blocks(width: int, height: int) -> int:
    return -(-width // 8) * -(-height // 8)


def _picture_size(width: int, height: int) -> int:
    """Bytes of the picture itself: ten bits for the first block of 8 × 8 pixels, two for each other."""
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise ValueError(f"a photo measures 1 to {MAX_SIDE} pixels each way, not {width} × {height}")
    return (10 + 2 * (_blocks(width, height) - 1) + 7) // 8


_HEAD_SIZE = len(_head(0, 1, 1))


def photo_size(width: int, height: int) -> int:
    """The exact length of a photo of these dimensions, whatever its id. Raises ValueError as `photo` does."""
    return _HEAD_SIZE + _picture_size(width, height) + 2


def photo(file_id: int, width: int, height: int) -> bytes:
    """A baseline JPEG, all of one grey; no two ids of 64 bits share a file.

    800 × 533 pixels take 2 KB. Raises ValueError for sides outside 1 to `MAX_SIDE`.
    """
    size = _picture_size(width, height)
    # The first block steps 64 to 127 shades away from the middle grey; a number with its top bit clear steps down.
    step = shake_128(b"grey/%d" % file_id).digest(1)[0] & 0x7F
    others = 2 * (_blocks(width, height) - 1)
    padding = size * 8 - 10 - others
    # Beside the first ten bits and the padding there are only zeros: 0xFF, which would need stuffing, never comes up.
    bits = (0b10 << 8 | step << 1) << others + padding | (1 << padding) - 1
    return _head(file_id, width, height) + bits.to_bytes(size, "big") + b"\xff\xd9"


def _zip(_: int) -> bytes:
    return b"PK\x03\x04\x14\x00"


_HEADS: dict[str, Callable[[int], bytes]] = {
    "application/pdf": lambda _: b"%PDF-1.4\n",
    "application/zip": _zip,
    "application/gzip": lambda _: b"\x1f\x8b\x08\x00",
    "audio/mpeg": lambda _: b"ID3\x03\x00\x00\x00\x00\x00\x00\xff\xfb\x90\x00",
    "audio/mp4": lambda _: b"\x00\x00\x00\x18ftypM4A \x00\x00\x02\x00M4A isom",
    "audio/ogg": lambda _: b"OggS\x00\x02",
    "image/gif": lambda _: b"GIF89a",
    "image/jpeg": lambda _: b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "image/png": lambda _: b"\x89PNG\r\n\x1a\n",
    "image/webp": lambda size: b"RIFF" + max(0, size - 8).to_bytes(8, "little")[:4] + b"WEBPVP8 ",
    "video/mp4": lambda _: b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
    "video/quicktime": lambda _: b"\x00\x00\x00\x14ftypqt  \x00\x00\x02\x00qt  ",
    "video/webm": lambda _: b"\x1a\x45\xdf\xa3",
}
"""How a file of a kind begins, by its size."""
_ZIPS = re.compile(
    r"application/(vnd\.openxmlformats-.*|vnd\.oasis\.opendocument.*|epub\+zip|vnd\.android\.package-.*)"
)


def _begin(mime: str, size: int) -> bytes:
    head = _HEADS.get(mime) or (_zip if _ZIPS.fullmatch(mime) else None)
    return head(size) if head else b""


def document_part(file_id: int, size: int, offset: int, limit: int, *, mime: str = "application/pdf") -> bytes:
    """`limit` bytes of a document of `size` bytes, from `offset` on; fewer at its end, none behind it.

    The document begins as files of its mime type do and goes on at random. Nothing of it is made but the part.
    Raises ValueError for negative numbers.
    """
    if min(size, offset, limit) < 0:
        raise ValueError("sizes, offsets and limits of a document aren't negative")
    end = min(size, offset + limit)
    if offset >= end:
        return b""
    first = offset // _BLOCK
    blocks = [shake_128(b"%d/%d" % (file_id, n)).digest(_BLOCK) for n in range(first, -(-end // _BLOCK))]
    head = _begin(mime, size)
    if first == 0 and head:
        blocks[0] = head + blocks[0][len(head) :]
    start = offset - first * _BLOCK
    return b"".join(blocks)[start : start + end - offset]
