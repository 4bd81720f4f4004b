"""What a post carries: described as docs/posts.md says, alike for every reader, and never failing."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from telethon.extensions import BinaryReader
from telethon.tl import types

from actors.messages.ids import ChannelId
from actors.telegram.decode import decode_post
from actors.telegram.describe import class_of, describe
from tests.actors.telegram.layer import classes_in, sample

DATE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOLD = "2026-01-02T03:04:05+00:00"
SIZES = [types.PhotoSize("m", 320, 200, 10), types.PhotoSizeProgressive("y", 1280, 800, [1, 5, 9])]


def over_the_wire(thing: Any) -> Any:
    """As Telethon reads what it wrote."""
    return BinaryReader(bytes(thing)).tgread_object()


def post(media: Any = None, **more: Any):
    message = types.Message(5, types.PeerChannel(7), DATE, "", media=media, **more)
    return decode_post(over_the_wire(message), ChannelId(7))


def kept(media: Any) -> Any:
    return orjson.loads(post(media).media)


def photo(*, access_hash: int = 4, reference: bytes = b"ref", **more: Any) -> types.Photo:
    return types.Photo(3, access_hash, reference, DATE, SIZES, 2, **more)


def document(*attributes: Any, mime: str = "video/mp4", **more: Any) -> types.Document:
    wanted = {"id": 1, "access_hash": 2, "file_reference": b"ref", "dc_id": 2, "size": 1000}
    return types.Document(**(wanted | more), date=DATE, mime_type=mime, attributes=list(attributes))


def words(text: str, *entities: Any) -> types.TextWithEntities:
    return types.TextWithEntities(text, list(entities))


PHOTO = {"id": 3, "date": TOLD, "w": 1280, "h": 800, "size": 9}
FILE = {"id": 1, "date": TOLD, "mime": "video/mp4", "size": 1000}
VIDEO = types.DocumentAttributeVideo(3.5, 640, 480)
SEEN = {"duration": 3.5, "w": 640, "h": 480}
PAGE = types.WebPage(
    1, "https://a.b/c", "a.b/c", 9, type="article", site_name="S", title="T", description="D", author="A", photo=photo()
)
PEER = types.PeerChannel(9)


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        (types.MessageMediaPhoto(photo=photo(), spoiler=True), {"type": "photo", **PHOTO, "spoiler": True}),
        (types.MessageMediaPhoto(photo=types.PhotoEmpty(3), ttl_seconds=5), {"type": "photo", "id": 3, "ttl": 5}),
        (types.MessageMediaPhoto(), {"type": "photo"}),
        (
            types.MessageMediaPhoto(
                photo=photo(video_sizes=[types.VideoSize("v", 1, 1, 1)]), live_photo=True, video=document()
            ),
            {"type": "photo", **PHOTO, "animated": True, "live_photo": True, "video": FILE},
        ),
        (
            types.MessageMediaDocument(
                document=document(VIDEO, types.DocumentAttributeFilename("a.mp4")),
                alt_documents=[document(types.DocumentAttributeVideo(3.5, 320, 240, video_codec="h264"), id=8)],
                video_cover=photo(),
                video_timestamp=2,
            ),
            {
                "type": "document",
                "kind": "video",
                **FILE,
                **SEEN,
                "file_name": "a.mp4",
                "cover": PHOTO,
                "starts_at": 2,
                "qualities": [
                    {**FILE, "id": 8, "kind": "video", "codec": "h264", "duration": 3.5, "w": 320, "h": 240},
                ],
            },
        ),
        (
            types.MessageMediaDocument(
                document=document(types.DocumentAttributeAnimated(), VIDEO), spoiler=True, ttl_seconds=9
            ),
            {"type": "document", "kind": "animation", **FILE, **SEEN, "spoiler": True, "ttl": 9},
        ),
        (
            types.MessageMediaDocument(
                document=document(
                    types.DocumentAttributeSticker("🙂", types.InputStickerSetID(6, 77)), VIDEO, mime="video/webm"
                )
            ),
            {
                "type": "document",
                "kind": "sticker",
                **FILE,
                **SEEN,
                "mime": "video/webm",
                "emoji": "🙂",
                "set": {"id": 6},
            },
        ),
        (
            types.MessageMediaDocument(
                document=document(types.DocumentAttributeAudio(9, title="T", performer="P", waveform=b"~~"))
            ),
            {"type": "document", "kind": "audio", **FILE, "duration": 9, "title": "T", "performer": "P"},
        ),
        (types.MessageMediaDocument(voice=True), {"type": "document", "kind": "voice"}),
        (
            types.MessageMediaWebPage(PAGE, force_small_media=True),
            {
                "type": "webpage",
                "url": "https://a.b/c",
                "page_type": "article",
                "site": "S",
                "title": "T",
                "description": "D",
                "author": "A",
                "photo": PHOTO,
                "small": True,
            },
        ),
        (types.MessageMediaWebPage(types.WebPageEmpty(1)), {"type": "webpage"}),
        (types.MessageMediaWebPage(types.WebPagePending(1, DATE, url="u")), {"type": "webpage", "url": "u"}),
        (
            types.MessageMediaGeoLive(types.GeoPoint(2.0, 1.0, 9), period=60, heading=90),
            {"type": "geo_live", "lat": 1.0, "long": 2.0, "period": 60, "heading": 90},
        ),
        (types.MessageMediaGeo(types.GeoPointEmpty()), {"type": "geo"}),
        (
            types.MessageMediaVenue(types.GeoPoint(2.0, 1.0, 9), "Café", "Street 1", "gplaces", "v1", "food"),
            {
                "type": "venue",
                "lat": 1.0,
                "long": 2.0,
                "title": "Café",
                "address": "Street 1",
                "provider": "gplaces",
                "venue_id": "v1",
                "venue_type": "food",
            },
        ),
        (
            types.MessageMediaContact("+1", "Ann", "", "", 5),
            {"type": "contact", "phone": "+1", "first_name": "Ann", "last_name": "", "vcard": "", "user_id": 5},
        ),
        (types.MessageMediaDice(6, "🎲"), {"type": "dice", "emoji": "🎲", "value": 6}),
        (
            types.MessageMediaGame(types.Game(4, 5, "g", "Game", "D", photo())),
            {"type": "game", "id": 4, "short_name": "g", "title": "Game", "description": "D", "photo": PHOTO},
        ),
        (
            types.MessageMediaInvoice("T", "D", "EUR", 500, "start", receipt_msg_id=8),
            {"type": "invoice", "title": "T", "description": "D", "currency": "EUR", "amount": 500},
        ),
        (types.MessageMediaStory(PEER, 2), {"type": "story", "peer": {"type": "channel", "id": 9}, "id": 2}),
        (
            types.MessageMediaGiveaway([7, 9], 3, DATE, countries_iso2=["DE"], months=6),
            {
                "type": "giveaway",
                "channels": [7, 9],
                "quantity": 3,
                "until_date": TOLD,
                "countries": ["DE"],
                "months": 6,
            },
        ),
        (
            types.MessageMediaToDo(
                types.TodoList(words("L"), [types.TodoItem(1, words("one", types.MessageEntityBold(0, 3)))])
            ),
            {
                "type": "to_do",
                "title": "L",
                "items": [
                    {"id": 1, "title": "one", "title_entities": [{"type": "bold", "offset": 0, "length": 3}]},
                ],
            },
        ),
        (types.MessageMediaUnsupported(), {"type": "unsupported"}),
    ],
    ids=lambda value: None if isinstance(value, dict) else type(value).__name__,
)
def test_media_is_described(media: Any, expected: dict[str, Any]) -> None:
    assert kept(media) == expected


def test_what_a_file_is_doesnt_depend_on_the_order_of_its_attributes() -> None:
    attributes = (types.DocumentAttributeAnimated(), VIDEO, types.DocumentAttributeFilename("a.gif"))
    forth, back = document(*attributes), document(*reversed(attributes))
    assert (
        post(types.MessageMediaDocument(document=forth)).media == post(types.MessageMediaDocument(document=back)).media
    )


def test_two_readers_keep_the_same_bytes() -> None:
    mine = types.MessageMediaPhoto(photo=photo())
    other = types.MessageMediaPhoto(photo=photo(access_hash=777, reference=b"other"))
    assert post(mine, out=True, mentioned=True, media_unread=True) == post(other)
    bought = [types.MessageExtendedMedia(types.MessageMediaPhoto(photo=photo()))]
    preview = [types.MessageExtendedMediaPreview(w=10, h=10)]
    assert post(types.MessageMediaPaidMedia(50, bought)) == post(types.MessageMediaPaidMedia(50, preview))
    assert kept(types.MessageMediaPaidMedia(50, preview)) == {"type": "paid_media", "stars": 50, "count": 1}


def poll(results: types.PollResults, **more: Any) -> types.MessageMediaPoll:
    answers = [types.PollAnswer(words(text), option) for text, option in (("A", b"0"), ("B", b"1"))]
    return types.MessageMediaPoll(types.Poll(1, words("Q"), answers, hash=0, **more), results)


def test_a_poll_is_media_and_its_votes_are_figures() -> None:
    made = post(poll(types.PollResults(total_voters=5), quiz=True))
    assert orjson.loads(made.media) == {
        "type": "poll",
        "id": 1,
        "question": "Q",
        "answers": [{"text": "A"}, {"text": "B"}],
        "quiz": True,
    }
    assert orjson.loads(made.results) == {"voters": 5}


def test_votes_stand_in_the_order_of_the_answers_and_make_no_edit() -> None:
    recent = [types.PeerUser(5)]
    votes = [
        types.PollAnswerVoters(b"1", voters=4, recent_voters=recent, correct=True, chosen=True),
        types.PollAnswerVoters(b"0", voters=2, recent_voters=recent),
    ]
    voted = post(poll(types.PollResults(total_voters=6, results=votes, solution="because", solution_entities=[])))
    unvoted = post(poll(types.PollResults(total_voters=5)))
    assert orjson.loads(voted.results) == {"voters": 6, "votes": [2, 4], "correct": [1], "solution": "because"}
    assert voted.media == unvoted.media


def test_done_items_of_a_list_are_figures() -> None:
    todo = types.TodoList(words("L"), [types.TodoItem(1, words("one"))])
    done = post(types.MessageMediaToDo(todo, [types.TodoCompletion(1, types.PeerUser(5), DATE)]))
    assert orjson.loads(done.results) == {"completed": [{"id": 1, "by": {"type": "user", "id": 5}, "date": TOLD}]}
    assert done.media == post(types.MessageMediaToDo(todo)).media


def test_a_rich_message_is_kept_as_a_tree_of_blocks() -> None:
    bold = types.TextConcat([types.TextPlain("so "), types.TextBold(types.TextPlain("bold"))])
    blocks = [
        types.PageBlockHeading1(types.TextPlain("Head")),
        types.PageBlockParagraph(bold),
        types.PageBlockDivider(),
    ]
    made = orjson.loads(post(rich_message=types.RichMessage(blocks, [photo()], [])).media)
    assert made == {
        "type": "rich",
        "rich": {
            "blocks": [
                {"type": "heading1", "text": "Head"},
                {"type": "paragraph", "text": ["so ", {"type": "bold", "text": "bold"}]},
                {"type": "divider"},
            ],
            "photos": [PHOTO],
        },
    }


EVERY = sorted(name for name in classes_in("TypeMessageMedia"))


@pytest.mark.parametrize("name", EVERY)
def test_no_media_of_this_layer_fails(name: str) -> None:
    made = sample(name, depth=2)
    message = types.Message(5, types.PeerChannel(7), DATE, "", media=made)
    media = decode_post(message, ChannelId(7)).media
    assert media is None or orjson.loads(media)["type"]


def test_a_class_of_a_newer_layer_is_kept_by_its_name() -> None:
    class MessageMediaHologram(class_of("MessageMediaDice")):
        pass

    assert describe(MessageMediaHologram(1, "🎲")) == {"type": "hologram"}
