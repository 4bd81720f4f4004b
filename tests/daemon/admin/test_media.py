"""Files of posts over HTTP."""

import aiohttp
import pytest

from actors.messages.ids import Sha256
from daemon.media.folder import FolderBlobs
from tests.daemon.admin.conftest import storeless
from tests.daemon.store.rows import NEWS, follow, membership, post, record
from tests.daemon.store.test_media import document, note_all, photo

CONTENT = bytes(range(256)) * 3000


@pytest.fixture
def blobs(tmp_path):
    return FolderBlobs(tmp_path / "media")


@pytest.fixture
def serve(serve, blobs):
    def build(store, checks=None, **settings):
        server = serve(store, checks, **settings)
        server._blobs = blobs
        return server

    return build


@pytest.fixture
async def stored(store, blobs):
    """A channel with a photo, a stored document whose name and type nobody should trust, and a post that has both."""
    await follow(store, membership(NEWS, "News"))
    page = document(12, mime="text/html", file_name='a"b\r\nX: 1/ё.html', size=len(CONTENT))
    await store.posts.record([record(post(1, media=photo(11)), post(2, media=page), post(3, media=photo(13)))])
    await note_all(store)
    await store.posts.record([record(post(2, media=photo(14), edited=5))])
    await note_all(store)
    await blobs.append("document-12", 0, CONTENT)
    name = await blobs.finish("document-12")
    await store.media.keep("document-12", name, len(CONTENT))
    await store.media.give_up("photo-13", "FILE_ID_INVALID")
    return name


async def download(face, path, **options):
    async with face.session.get(face.server.url + path, **options) as answer:
        return answer.status, await answer.read(), answer.headers


async def test_the_files_of_a_channel_are_listed_with_what_became_of_them(face, stored):
    status, body, _ = await face.get("/media?channel=@news")
    assert (status, body["next_after_id"]) == (200, None)
    assert [(row["post_id"], row["file"], row["state"], row["cause"]) for row in body["media"]] == [
        (1, "photo-11", "wanted", None),
        (2, "document-12", "stored", None),
        (2, "photo-14", "wanted", None),
        (3, "photo-13", "failed", "FILE_ID_INVALID"),
    ]
    kept = body["media"][1]
    assert (kept["sha256"], kept["url"], kept["size"]) == (stored, f"/media/{stored}", len(CONTENT))
    assert (kept["kind"], kept["mime"]) == ("document", "text/html")
    assert kept["stored_at"].endswith("Z")


async def test_pages_of_files_lose_none_and_keep_a_posts_files_together(face, stored):
    seen, after = [], 0
    while after is not None:
        _, body, _ = await face.get(f"/media?channel=news&limit=1&after_id={after}")
        seen.append([row["file"] for row in body["media"]])
        after = body["next_after_id"]
    assert seen == [["photo-11"], ["document-12", "photo-14"], ["photo-13"]]


async def test_a_file_is_downloaded_as_it_is_and_never_as_a_page(face, stored):
    status, body, headers = await download(face, f"/media/{stored}")
    assert (status, body) == (200, CONTENT)
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%22b%0D%0AX%3A%201%2F%D1%91.html"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["Content-Length"] == str(len(CONTENT))


async def test_a_photo_says_that_it_is_one(face, store, blobs, stored):
    await blobs.append("photo-11", 0, b"jpeg")
    name = await blobs.finish("photo-11")
    await store.media.keep("photo-11", name, 4)
    _, body, headers = await download(face, f"/media/{name}")
    assert (body, headers["Content-Type"], headers["Content-Disposition"]) == (b"jpeg", "image/jpeg", "attachment")


async def test_head_tells_the_length_and_sends_nothing(face, stored):
    status, body, headers = await face.ask("HEAD", f"/media/{stored}")
    assert (status, body, headers["Content-Length"]) == (200, None, str(len(CONTENT)))


@pytest.mark.parametrize("name", ["x", "00" * 32, "AB" * 32, "..%2f..%2fetc%2fpasswd", "00" * 33])
async def test_a_file_that_isnt_there_is_a_404(face, stored, name):
    status, body, _ = await face.get(f"/media/{name}")
    assert status == 404
    assert "GET /media?channel=" in body["detail"]


async def test_a_blob_that_the_folder_lost_is_a_404(face, blobs, stored):
    await blobs.remove(Sha256(stored))
    assert (await face.get(f"/media/{stored}"))[0] == 404


async def test_a_file_that_is_shorter_than_it_was_never_looks_whole(face, blobs, stored):
    blobs.place(Sha256(stored)).write_bytes(CONTENT[:1000])
    with pytest.raises(aiohttp.ClientError):
        await download(face, f"/media/{stored}")


@pytest.mark.parametrize("path", ["/media", "/media/" + "00" * 32])
@storeless
async def test_files_are_for_those_who_may_ask(owner, serve, store, path):
    server = serve(store, trusted=())
    await server.start()
    async with aiohttp.ClientSession() as session, session.get(server.url + path) as answer:
        assert answer.status == 401
    await server.stop()


async def test_an_unknown_channel_and_parameter_are_named(face):
    assert (await face.get("/media?channel=nobody"))[0] == 404
    status, body, _ = await face.get("/media?chanel=news")
    assert (status, body["parameter"]) == (400, "chanel")
