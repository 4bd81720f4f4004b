"""Made photos and documents: valid, deterministic, and the same whole or in slices."""

import struct
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.files import MAX_SIDE, document_part, photo, photo_size

IDS = st.integers(min_value=-(2**63), max_value=2**64 - 1)


def segments(jpeg: bytes):
    """Markers and contents up to the picture, then what follows the last header."""
    assert jpeg[:2] == b"\xff\xd8"
    place = 2
    while True:
        assert jpeg[place] == 0xFF
        marker, size = jpeg[place + 1], int.from_bytes(jpeg[place + 2 : place + 4], "big")
        yield marker, jpeg[place + 4 : place + 2 + size]
        place += 2 + size
        if marker == 0xDA:
            yield 0, jpeg[place:]
            return


def huffman(content: bytes) -> dict[str, int]:
    """ITU T.81, C.2: codes of a table by length, counting up."""
    codes, code, place = {}, 0, 17
    for length in range(1, 17):
        for _ in range(content[length]):
            codes[f"{code:0{length}b}"] = content[place]
            code, place = code + 1, place + 1
        code <<= 1
    assert place == len(content)
    return codes


def decode(jpeg: bytes) -> tuple[int, int, set[int], bytes]:
    """Width, height, the shades of all blocks and the comment of a grey JPEG without steps inside its blocks."""
    tables, quant, comment, size, picture = {}, b"", b"", (0, 0), b""
    for marker, content in segments(jpeg):
        match marker:
            case 0xDB:
                assert content[0] == 0
                quant = content[1:]
                assert len(quant) == 64
            case 0xC0:
                precision, height, width, parts = struct.unpack_from(">BHHB", content)
                assert (precision, parts, content[6:]) == (8, 1, b"\x01\x11\x00")
                size = width, height
            case 0xC4:
                tables[content[0]] = huffman(content)
            case 0xFE:
                comment = content
            case 0xDA:
                assert content == b"\x01\x01\x00\x00\x3f\x00"
            case 0:
                picture = content
    assert picture.endswith(b"\xff\xd9")
    data = picture[:-2]
    assert b"\xff" not in data  # no stuffing, no restart markers
    bits = "".join(f"{byte:08b}" for byte in data)
    place = 0

    def symbol(table: dict[str, int]) -> int:
        nonlocal place
        for length in range(1, 17):
            if (found := table.get(bits[place : place + length])) is not None:
                place += length
                return found
        raise AssertionError("no such code")

    level, shades = 0, set()
    for _ in range(-(-size[0] // 8) * -(-size[1] // 8)):
        category = symbol(tables[0x00])
        if category:
            step = int(bits[place : place + category], 2)
            place += category
            level += step if step >> category - 1 else step - (1 << category) + 1
        assert symbol(tables[0x10]) == 0  # the block ends
        shades.add(128 + level * quant[0] // 8)
    rest = bits[place:]
    assert len(rest) < 8
    assert set(rest) <= {"1"}
    return *size, shades, comment


@settings(deadline=None)  # the machine may be busy
@given(IDS, st.integers(1, 300), st.integers(1, 300))
def test_a_photo_is_a_valid_jpeg_of_one_shade_and_of_the_declared_length(file_id: int, width: int, height: int) -> None:
    made = photo(file_id, width, height)
    assert len(made) == photo_size(width, height)
    wide, high, shades, comment = decode(made)
    assert (wide, high) == (width, height)
    assert len(shades) == 1
    assert 0 <= min(shades) <= 255
    assert comment == b"telewarden sandbox %016x" % (file_id % 2**64)


def test_photos_of_any_length_of_padding_decode() -> None:
    for width in range(1, 200, 8):
        assert decode(photo(7, width, 8))[:2] == (width, 8)


def test_every_photo_is_its_own_and_stays_the_same() -> None:
    assert len({photo(file_id, 320, 213) for file_id in range(2000)}) == 2000
    assert len({min(decode(photo(file_id, 8, 8))[2]) for file_id in range(2000)}) == 128
    # Files are kept nowhere: a client that stored one must get the same bytes from any later version.
    assert sha256(photo(1_500_000_000 << 32 | 17, 800, 533)).hexdigest().startswith("80c460872abd3677")


def test_the_widest_photo_is_made_and_a_wider_one_refused() -> None:
    assert len(photo(1, MAX_SIDE, 1)) == photo_size(MAX_SIDE, 1)
    for width, height in ((0, 10), (10, 0), (-1, 10), (MAX_SIDE + 1, 10), (10, MAX_SIDE + 1)):
        with pytest.raises(ValueError, match=r"1 to 65500 pixels"):
            photo(1, width, height)
        with pytest.raises(ValueError, match=r"1 to 65500 pixels"):
            photo_size(width, height)


MIMES = st.sampled_from(("application/pdf", "image/webp", "video/mp4", "text/plain", ""))


@settings(deadline=None)  # the machine may be busy
@given(IDS, st.integers(0, 30_000), st.integers(0, 31_000), st.integers(0, 20_000), MIMES)
def test_a_slice_is_the_same_as_of_the_whole(file_id: int, size: int, offset: int, limit: int, mime: str) -> None:
    whole = document_part(file_id, size, 0, size, mime=mime)
    assert len(whole) == size
    assert document_part(file_id, size, offset, limit, mime=mime) == whole[offset : offset + limit]


@settings(deadline=None)  # the machine may be busy
@given(IDS, st.integers(1, 50_000), st.integers(500, 9_000))
def test_parts_in_a_row_make_the_whole(file_id: int, size: int, step: int) -> None:
    parts = [document_part(file_id, size, offset, step) for offset in range(0, size, step)]
    assert b"".join(parts) == document_part(file_id, size, 0, size)


@pytest.mark.parametrize(
    ("mime", "head"),
    [
        ("application/pdf", b"%PDF-1.4\n"),
        ("image/png", b"\x89PNG\r\n\x1a\n"),
        ("image/webp", b"RIFF\xe0\x03\x00\x00WEBP"),
        ("audio/ogg", b"OggS"),
        ("audio/mpeg", b"ID3"),
        ("video/mp4", b"\0\0\0\x18ftypmp42"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK\x03\x04"),
    ],
)
def test_a_document_begins_as_its_kind_does(mime: str, head: bytes) -> None:
    assert document_part(9, 1000, 0, 1000, mime=mime).startswith(head)
    assert document_part(9, 3, 0, 100, mime=mime) == head[:3] or mime == "image/webp"


def test_the_end_of_a_document_of_two_gigabytes_is_made_alone() -> None:
    size = 2 * 1024**3
    assert len(document_part(5, size, size - 100, 1024)) == 100
    assert document_part(5, size, size, 1024) == b""
    assert document_part(5, size, size + 5, 1024) == b""
    assert document_part(5, size, size - 100, 100) == document_part(5, size, size - 4096, 4096)[-100:]


def test_documents_differ_by_id_and_stay_the_same() -> None:
    assert len({document_part(file_id, 100, 0, 100) for file_id in range(1000)}) == 1000
    assert sha256(document_part(17, 100_000, 0, 100_000)).hexdigest().startswith("640e50443d7ad9a3")


@pytest.mark.parametrize("numbers", [(-1, 0, 1), (1, -1, 1), (1, 0, -1)])
def test_negative_numbers_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="negative"):
        document_part(1, *numbers)
