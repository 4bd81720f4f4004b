"""What the port promises of files by content, of every store that implements it."""

import itertools
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from hashlib import sha256
from pathlib import Path

import pytest

from actors.errors import BlobsUnavailable
from config.model import S3, Media, Settings
from daemon.media.folder import FolderBlobs
from daemon.media.opening import BlobsRefused, open_blobs
from daemon.media.s3 import S3Blobs

CONTENT = bytes(range(256)) * 5000


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "media"


@pytest.fixture(params=["folder", "s3"])
def blobs(request, folder):
    if request.param == "folder":
        return FolderBlobs(folder)
    return request.getfixturevalue("bucket").open(folder)


async def content_of(blobs, name):
    chunks = await blobs.read(name)
    return None if chunks is None else b"".join([chunk async for chunk in chunks])


class Bucket:
    """A bucket on a server of its own kind, in a process of its own."""

    def __init__(self, process, endpoint):
        self.process, self.endpoint = process, endpoint
        self.names = (f"bucket-{number}" for number in itertools.count(1))

    def settings(self, **changed):
        said = {"endpoint": self.endpoint, "region": "eu-central-1", "access_key_id": "id", "secret_access_key": "key"}
        return S3(**{**said, **changed})

    def open(self, folder):
        name = next(self.names)
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT", data=LOCATION)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        blobs = S3Blobs(f"s3://{name}/of/media", folder / "partial", self.settings())
        blobs.address = f"s3://{name}/of/media"
        return blobs


LOCATION = (
    b"<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>"
)


@pytest.fixture(scope="module")
def bucket():
    """moto's S3 server on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        for line in process.stderr:
            if "Running on" in line:
                break
        drain = threading.Thread(target=process.stderr.read)
        drain.start()
        yield Bucket(process, f"http://127.0.0.1:{port}")
        process.terminate()
        drain.join()


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


# The bucket alone


async def test_a_file_larger_than_one_part_of_an_upload_arrives_whole(bucket, folder):
    blobs, content = bucket.open(folder), CONTENT * 10
    name = await put(blobs, "document-1", content, step=5_000_000)
    assert len(content) > 12_000_000
    assert name == digest(content)
    assert await content_of(blobs, name) == content
    assert list((folder / "partial").iterdir()) == []


async def test_what_a_bucket_refuses_is_told_in_one_line_and_the_file_stays(bucket, folder):
    blobs = S3Blobs("s3://missing-bucket", folder / "partial", bucket.settings())
    await blobs.append("photo-1", 0, b"content")
    with pytest.raises(BlobsUnavailable) as refused:
        await blobs.finish("photo-1")
    assert "\n" not in str(refused.value)
    assert "missing-bucket" in str(refused.value)
    assert await blobs.held("photo-1") == 7


async def test_what_the_settings_dont_say_comes_from_the_environment(bucket, folder, monkeypatch):
    named = bucket.open(folder)
    name = await put(named, "photo-1", CONTENT)
    for variable, value in (
        ("AWS_ENDPOINT_URL", bucket.endpoint),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
    ):
        monkeypatch.setenv(variable, value)
    assert await content_of(S3Blobs(named.address, folder / "partial", S3()), name) == CONTENT


async def test_a_server_that_is_away_is_told(folder):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    away = S3(endpoint=f"http://127.0.0.1:{port}", region="x", access_key_id="id", secret_access_key="key")
    blobs = S3Blobs("s3://some-bucket/x", folder / "partial", away)
    with pytest.raises(BlobsUnavailable, match="S3: "):
        await blobs.read(digest(b"x"))


# Opening


def test_the_settings_say_where_files_are_kept(tmp_path, monkeypatch):
    opened = open_blobs(Settings(state_dir=tmp_path))
    assert isinstance(opened, FolderBlobs)
    assert opened.path("photo-1") == tmp_path / "media" / "partial" / "photo-1"
    s3 = open_blobs(Settings(state_dir=tmp_path, media=Media(store="s3://some-bucket/x", s3=S3(region="x"))))
    assert isinstance(s3, S3Blobs)
    assert s3.path("photo-1") == tmp_path / "media" / "partial" / "photo-1"
    assert not (tmp_path / "media").exists()
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "daemon.media.s3")
    with pytest.raises(BlobsRefused, match=r"pip install 'telewarden\[s3\]'"):
        open_blobs(Settings(state_dir=tmp_path, media=Media(store="s3://some-bucket/x")))
