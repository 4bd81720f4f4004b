"""What the port promises of files by content, of every store that implements it."""

import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from actors.errors import BlobsUnavailable
from daemon.media.folder import FolderBlobs

CONTENT = bytes(range(256)) * 5000


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "media"


@pytest.fixture
async def blobs(folder):
    return FolderBlobs(folder)


async def content_of(blobs, name):
    chunks = await blobs.read(name)
    return None if chunks is None else b"".join([chunk async for chunk in chunks])


async def put(blobs, file_key, content, step=500_000):
    for offset in range(0, len(content), step):
        await blobs.append(file_key, offset, content[offset : offset + step])
    return await blobs.finish(file_key)


async def test_parts_become_a_blob_that_is_named_by_its_content(blobs):
    assert await blobs.held("photo-1") == 0
    await blobs.append("photo-1", 0, CONTENT[:1000])
    assert await blobs.held("photo-1") == 1000
    await blobs.append("photo-1", 1000, CONTENT[1000:])
    name = await blobs.finish("photo-1")
    assert name == digest(CONTENT)
    assert await content_of(blobs, name) == CONTENT
    assert await blobs.held("photo-1") == 0


async def test_a_part_that_is_written_again_leaves_nothing_behind_it(blobs):
    await blobs.append("document-1", 0, b"x" * 3000)
    await blobs.append("document-1", 1000, b"y" * 500)
    assert await blobs.held("document-1") == 1500
    assert await content_of(blobs, await blobs.finish("document-1")) == b"x" * 1000 + b"y" * 500


async def test_the_same_content_is_one_blob(blobs):
    first = await put(blobs, "document-1", CONTENT)
    second = await put(blobs, "photo-2", CONTENT)
    assert first == second
    assert await content_of(blobs, first) == CONTENT
    assert await blobs.held("photo-2") == 0


async def test_what_was_discarded_begins_anew(blobs):
    await blobs.append("photo-1", 0, b"half")
    await blobs.discard("photo-1")
    await blobs.discard("photo-1")
    assert await blobs.held("photo-1") == 0


async def test_a_removed_blob_is_gone_and_may_come_again(blobs):
    name = await put(blobs, "photo-1", b"content")
    await blobs.remove(name)
    await blobs.remove(name)
    assert await blobs.read(name) is None
    assert await put(blobs, "photo-1", b"content") == name
    assert await content_of(blobs, name) == b"content"


async def test_a_reader_that_stops_early_leaves_nothing_open(blobs):
    chunks = await blobs.read(await put(blobs, "photo-1", CONTENT))
    async for _ in chunks:
        break
    await chunks.aclose()
    open_files = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert not [name for name in open_files if digest(CONTENT) in name]


@pytest.mark.parametrize("key", ["../x", "photo-", "photo-1/2", "", "photo-1\n", "PHOTO-1"])
async def test_a_key_names_nothing_else(blobs, key):
    with pytest.raises(ValueError, match="no key of a file"):
        await blobs.held(key)


# The folder alone


async def test_a_folder_shards_its_blobs_and_shows_them_to_nobody_else(folder):
    name = await put(FolderBlobs(folder), "photo-1", CONTENT)
    place = folder / name[:2] / name[2:4] / name
    assert place.read_bytes() == CONTENT
    assert place.stat().st_mode & 0o777 == 0o600
    assert all(path.stat().st_mode & 0o077 == 0 for path in (folder, *folder.rglob("*")))


async def test_a_blob_that_an_outage_cut_short_is_replaced(folder):
    blobs = FolderBlobs(folder)
    name = await put(blobs, "photo-1", CONTENT)
    blobs.place(name).write_bytes(CONTENT[:10])
    assert await put(blobs, "photo-1", CONTENT) == name
    assert await content_of(blobs, name) == CONTENT


async def test_a_folder_that_cannot_be_made_is_named_by_the_systems_word(tmp_path):
    (tmp_path / "media").write_text("in the way")
    with pytest.raises(BlobsUnavailable, match="file exists"):
        await FolderBlobs(tmp_path / "media").append("photo-1", 0, b"x")


WRITER = """
import asyncio, sys
from pathlib import Path
from daemon.media.folder import FolderBlobs

async def main():
    blobs = FolderBlobs(Path(sys.argv[1]))
    for number in range(10_000):
        await blobs.append("photo-1", 1000 * number, number.to_bytes(4) * 250)
        print(number, flush=True)

asyncio.run(main())
"""


async def test_what_was_written_before_a_kill_is_there_and_goes_on(folder):
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        told = [int(process.stdout.readline()) for _ in range(5)]
        process.send_signal(signal.SIGKILL)
        process.wait()
        told += [int(line) for line in process.stdout]
    blobs = FolderBlobs(folder)
    held = await blobs.held("photo-1") // 1000
    assert held > told[-1]
    await blobs.append("photo-1", held * 1000, b"the end")
    expected = b"".join(number.to_bytes(4) * 250 for number in range(held)) + b"the end"
    assert await content_of(blobs, await blobs.finish("photo-1")) == expected
