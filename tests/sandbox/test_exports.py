"""Exports as Telegram Desktop writes them, and as it shouldn't but does; every text it can be refused with."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.channels import Channel
from sandbox.exports import ExportError, export_digest, load_export
from sandbox.posts import File, Post

ABSENT = "(File not included. Change data exporting settings to download.)"
MAY = 1_714_557_600
"""2024-05-01T10:00:00Z"""


def message(post_id: int, text: Any = "", *, at: int = 0, **fields: Any) -> dict[str, Any]:
    """A message as Telegram Desktop 5 writes it, `text` given as its `text_entities` or as plain text."""
    parts = [{"type": "plain", "text": text}] if isinstance(text, str) and text else list(text)
    flat = [part["text"] if part["type"] == "plain" else part for part in parts]
    return {
        "id": post_id,
        "type": "message",
        "date": "2024-05-01T13:00:00",
        "date_unixtime": str(MAY + (at or post_id)),
        "from": "Город News",
        "from_id": "channel1234567890",
        **fields,
        "text": flat[0] if len(flat) == 1 and isinstance(flat[0], str) else flat or "",
        "text_entities": parts,
    }


def service(post_id: int, action: str, **fields: Any) -> dict[str, Any]:
    actor = {"actor": "Город News", "actor_id": "channel1234567890", "action": action}
    return message(post_id, **{"type": "service", **actor, **fields})


def chat(*messages: Any, **fields: Any) -> dict[str, Any]:
    head = {"name": "Город News", "type": "public_channel", "id": 1_234_567_890}
    return {**head, **fields, "messages": list(messages)}


def write(folder: Path, content: Any) -> Path:
    path = folder / "result.json"
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=1)
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, content: Any) -> Channel:
    (channel,) = load_export(write(folder, content))
    return channel


def load_post(folder: Path, row: dict[str, Any], **fields: Any) -> Post:
    (post,) = load(folder, chat(row, **fields)).posts.values()
    return post


def refusal(path: Path) -> str:
    with pytest.raises(ExportError) as caught:
        list(load_export(path))
    return str(caught.value)


# Channels


def test_a_channel_keeps_its_ids_with_their_holes_and_its_dates(tmp_path: Path) -> None:
    channel = load(tmp_path, chat(service(1, "create_channel", title="Город"), message(2, "a"), message(90, "b")))
    assert (channel.id, channel.title, channel.username) == (1_234_567_890, "Город News", "News")
    assert channel.broadcast
    assert not channel.generated
    assert list(channel.ids) == [1, 2, 90]
    assert list(channel.posts.dates) == [MAY + 1, MAY + 2, MAY + 90]
    assert (channel.pts, channel.top, channel.top_ever, channel.date) == (3, 90, 90, MAY + 1)
    assert not channel.posts.can_make


@pytest.mark.parametrize(
    ("kind", "broadcast", "username"),
    [
        ("public_channel", True, "News"),
        ("private_channel", True, None),
        ("public_supergroup", False, "News"),
        ("private_supergroup", False, None),
    ],
)
def test_each_type_of_channel_is_taken(tmp_path: Path, kind, broadcast, username) -> None:
    channel = load(tmp_path, chat(message(1, "a"), type=kind))
    assert (channel.broadcast, channel.username) == (broadcast, username)


@pytest.mark.parametrize(
    ("name", "username"),
    [
        ("Tech & Science", "TechScience"),
        ("24/7 News", "News"),
        ("Город 24 News", "News"),
        ("Новости", "export_1234567890"),
        ("A1", "export_1234567890"),
        ("x" * 50, "x" * 32),
        (None, "export_1234567890"),
    ],
)
def test_a_public_channel_is_named_by_what_is_latin_in_its_name(tmp_path: Path, name: str, username: str) -> None:
    channel = load(tmp_path, chat(name=name))
    assert channel.username == username
    assert channel.title == (name or "Channel 1234567890")


def test_no_two_channels_get_one_username(tmp_path: Path) -> None:
    rows = [chat(id=5), chat(id=6, name="news!"), chat(id=7, name="Other")]
    path = write(tmp_path, {"chats": {"list": rows}})
    assert [c.username for c in load_export(path)] == ["News", "export_6", "Other"]
    assert [c.username for c in load_export(path, taken=["OTHER"])] == ["News", "export_6", "export_7"]
    with pytest.raises(ExportError, match="export_6 is taken; give the chat another id"):
        list(load_export(path, taken=["export_6"]))


def test_a_full_export_gives_its_channels_and_supergroups_and_counts_the_rest(tmp_path: Path, caplog) -> None:
    strangers = ("saved_messages", "replies", "personal_chat", "bot_chat", "private_group", "personal_chat", None)
    # Fields of a chat with oneself are other ones, and nobody may trip over them.
    chats = [{"type": kind, "id": n, "messages": [{"id": "?", "odd": [1]}]} for n, kind in enumerate(strangers, 1)]
    full = {
        "about": "Here is the data you requested.",
        "personal_information": {"user_id": 1, "first_name": "Ann", "bio": "}]"},
        "profile_pictures": [],
        "contacts": {"about": "", "list": [{"first_name": "Boris"}]},
        "sessions": {"list": [{"last_ip": "127.0.0.1"}]},
        "chats": {
            "about": "This page lists all chats.",
            "list": [*chats, chat(message(1, "a"), id=20), chat(message(2, "b"), id=21, type="private_supergroup")],
        },
        "left_chats": {"about": "…", "list": [chat(message(3, "c"), id=22, type="private_channel")]},
        "other_data": {"drafts": [{"deep": {"deeper": None}}]},
    }
    with caplog.at_level(logging.INFO, logger="sandbox.exports"):
        channels = list(load_export(write(tmp_path, full)))
    assert [(c.id, c.broadcast, list(c.ids)) for c in channels] == [(20, True, [1]), (21, False, [2]), (22, True, [3])]
    (record,) = caplog.records
    text = record.getMessage()
    assert "channels: 3, posts: 3" in text
    assert "2 personal_chat chats" in text
    assert "1 unknown chats" in text
    assert "1 private_group chats" in text


def test_the_order_of_a_chats_fields_is_of_no_matter(tmp_path: Path) -> None:
    rows = [message(1, "a", **{"from": "Ann", "from_id": "user5"})]
    for content in (
        {"messages": rows, "type": "private_supergroup", "name": "N", "id": 7},
        {"id": 7, "messages": rows, "name": "N", "type": "private_supergroup"},
    ):
        for whole in (content, {"chats": {"list": [content]}}):
            channel = load(tmp_path, whole)
            assert (channel.id, channel.title) == (7, "N")
            assert channel.posts[1].author == "Ann"


def test_the_folder_of_an_export_does_as_well_as_its_file(tmp_path: Path) -> None:
    write(tmp_path, chat(message(1, "a")))
    assert [list(c.ids) for c in load_export(tmp_path)] == [[1]]
    assert export_digest(tmp_path) == export_digest(tmp_path / "result.json")


def test_a_chat_without_messages_is_an_empty_channel(tmp_path: Path) -> None:
    assert list(load(tmp_path, chat()).ids) == []


def test_the_digest_follows_the_content_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one, other = write(tmp_path / "a", chat(message(1, "a"))), write(tmp_path / "b", chat(message(1, "a")))
    assert export_digest(one) == export_digest(other)
    write(tmp_path / "b", chat(message(1, "b")))
    assert export_digest(one) != export_digest(other)
    with pytest.raises(ExportError, match=r"nowhere\.json: No such file"):
        export_digest(tmp_path / "nowhere.json")


# Text


def utf16(text: str, offset: int, length: int) -> str:
    return text.encode("utf-16-le")[2 * offset : 2 * (offset + length)].decode("utf-16-le")


def test_every_entity_has_our_name_and_its_place_in_utf_16(tmp_path: Path) -> None:
    parts = [
        {"type": "plain", "text": "Привет 👩‍👩‍👧 "},
        {"type": "bold", "text": "жирный 🙂"},
        {"type": "italic", "text": "курсив"},
        {"type": "underline", "text": "черта"},
        {"type": "strikethrough", "text": "нет"},
        {"type": "code", "text": "x = 1"},
        {"type": "pre", "text": "print()", "language": "python"},
        {"type": "pre", "text": "bare", "language": ""},
        {"type": "link", "text": "https://example.org"},
        {"type": "text_link", "text": "сюда 🇷🇺", "href": "https://example.org/1"},
        {"type": "mention", "text": "@ann"},
        {"type": "mention_name", "text": "Борис", "user_id": 7_100_000_001},
        {"type": "hashtag", "text": "#город"},
        {"type": "cashtag", "text": "$USD"},
        {"type": "bot_command", "text": "/start"},
        {"type": "email", "text": "a@example.org"},
        {"type": "phone", "text": "+7 999 662 00 00"},
        {"type": "bank_card", "text": "4242 4242 4242 4242"},
        {"type": "spoiler", "text": "тайна"},
        {"type": "blockquote", "text": "цитата", "collapsed": True},
        {"type": "custom_emoji", "text": "🔥", "document_id": "5368324170671202286"},
        {"type": "unknown", "text": "?"},
        {"type": "plain", "text": " конец"},
    ]
    post = load_post(tmp_path, message(1, parts))
    assert post.text == "".join(part["text"] for part in parts)
    assert [(kind, utf16(post.text, offset, length), argument) for kind, offset, length, argument in post.entities] == [
        ("bold", "жирный 🙂", ""),
        ("italic", "курсив", ""),
        ("underline", "черта", ""),
        ("strike", "нет", ""),
        ("code", "x = 1", ""),
        ("pre", "print()", "python"),
        ("pre", "bare", ""),
        ("url", "https://example.org", ""),
        ("text_url", "сюда 🇷🇺", "https://example.org/1"),
        ("mention", "@ann", ""),
        ("mention_name", "Борис", "7100000001"),
        ("hashtag", "#город", ""),
        ("cashtag", "$USD", ""),
        ("bot_command", "/start", ""),
        ("email", "a@example.org", ""),
        ("phone", "+7 999 662 00 00", ""),
        ("bank_card", "4242 4242 4242 4242", ""),
        ("spoiler", "тайна", ""),
        ("blockquote", "цитата", ""),
        ("custom_emoji", "🔥", "5368324170671202286"),
    ]
    assert post.entities[0][1:3] == (16, 9)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["plain", "bold", "code"]), st.text(max_size=8)), max_size=6))
def test_entities_cover_their_parts_whatever_is_written(tmp_path: Path, parts: list[tuple[str, str]]) -> None:
    post = load_post(tmp_path, message(1, [{"type": kind, "text": text} for kind, text in parts], photo="p.jpg"))
    assert post.text == "".join(text for _, text in parts)
    covered = [(kind, utf16(post.text, offset, length)) for kind, offset, length, _ in post.entities]
    assert covered == [(kind, text) for kind, text in parts if kind != "plain" and text]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"type": "custom_emoji", "document_id": ABSENT}, "entities without their argument (custom_emoji)"),
        ({"type": "custom_emoji", "document_id": "stickers/s (1).tgs"}, "entities without their argument"),
        ({"type": "mention_name"}, "entities without their argument (mention_name)"),
        ({"type": "text_link", "href": ""}, "entities without their argument (text_link)"),
        ({"type": "hologram"}, "entities of unknown types"),
    ],
)
def test_an_entity_that_cant_be_told_leaves_its_text(tmp_path: Path, caplog, part, reason: str) -> None:
    rows = [{"type": "plain", "text": "до "}, {**part, "text": "🔥"}, {"type": "bold", "text": "b"}]
    with caplog.at_level(logging.INFO, logger="sandbox.exports"):
        post = load_post(tmp_path, message(1, rows))
    assert (post.text, post.entities) == ("до 🔥b", (("bold", 5, 1, ""),))
    assert f"left out: 1 {reason}" in caplog.text


def test_old_exports_have_their_entities_in_the_text(tmp_path: Path) -> None:
    row = message(1)
    del row["text_entities"]
    row["text"] = ["см. ", {"type": "link", "text": "t.me"}, "!"]
    post = load_post(tmp_path, row)
    assert (post.text, post.entities) == ("см. t.me!", (("url", 4, 4, ""),))
    row["text"] = "одно"
    assert load_post(tmp_path, row).text == "одно"


# Media


PATH = "files/отчёт.pdf"


@pytest.mark.parametrize(
    ("fields", "media", "file"),
    [
        (
            {"photo": "photos/photo_1.jpg", "photo_file_size": 9, "width": 800, "height": 533},
            "photo",
            File(width=800, height=533),
        ),
        ({"photo": ABSENT}, "photo", File()),
        (
            {"file": PATH, "file_name": "Отчёт 🙂.pdf", "file_size": 2500, "mime_type": "application/pdf"},
            "document",
            File(name="Отчёт 🙂.pdf", mime="application/pdf", size=2500),
        ),
        (
            {"file": PATH, "thumbnail": "files/отчёт.pdf_thumb.jpg", "mime_type": "application/pdf"},
            "document",
            File(name="отчёт.pdf", mime="application/pdf"),
        ),
        ({"file": ABSENT, "mime_type": "text/plain"}, "document", File(mime="text/plain")),
        ({"file": "(File exceeds maximum size. Change data exporting settings to download.)"}, "document", File()),
        (
            {
                "file": "video_files/video_1@31-12-2023_20-15-00.mp4",
                "media_type": "video_file",
                "mime_type": "video/mp4",
                "duration_seconds": 61,
                "width": 1280,
                "height": 720,
                "file_size": 5_000_000_000,
            },
            "video",
            File(mime="video/mp4", duration=61.0, width=1280, height=720, size=5_000_000_000),
        ),
        (
            {
                "file": "round_video_messages/file_1@01-05-2024_10-00-00.mp4",
                "media_type": "video_message",
                "mime_type": "video/mp4",
                "duration_seconds": 9,
            },
            "video",
            File(mime="video/mp4", duration=9.0),
        ),
        (
            {
                "file": "video_files/cat.mp4",
                "media_type": "animation",
                "mime_type": "video/mp4",
                "width": 320,
                "height": 240,
            },
            "animation",
            File(name="cat.mp4", mime="video/mp4", width=320, height=240),
        ),
        (
            {
                "file": "files/song.mp3",
                "media_type": "audio_file",
                "performer": "Хор",
                "title": "Гимн",
                "mime_type": "audio/mpeg",
                "duration_seconds": 180,
            },
            "audio",
            File(name="song.mp3", mime="audio/mpeg", duration=180.0),
        ),
        (
            {
                "file": "voice_messages/audio_1@01-05-2024_10-00-00.ogg",
                "media_type": "voice_message",
                "mime_type": "audio/ogg",
                "duration_seconds": 4,
            },
            "voice",
            File(mime="audio/ogg", duration=4.0),
        ),
        (
            {
                "file": "stickers/sticker (1).webp",
                "media_type": "sticker",
                "sticker_emoji": "😂",
                "width": 512,
                "height": 512,
            },
            "sticker",
            File(width=512, height=512),
        ),
        (
            {
                "poll": {
                    "question": "Да?",
                    "closed": False,
                    "total_voters": 2,
                    "answers": [{"text": "Да", "voters": 2, "chosen": False}],
                }
            },
            "poll",
            None,
        ),
        ({"location_information": {"latitude": 55.7, "longitude": 37.6}}, "geo", None),
        ({"location_information": None, "live_location_period_seconds": 900}, "geo", None),
        ({"place_name": "Кремль", "address": "Москва"}, "geo", None),
        ({"contact_information": {"first_name": "A", "last_name": "", "phone_number": "+7"}}, "unsupported", None),
        ({"game_title": "2048", "game_description": "", "game_link": "https://t.me/x?game=y"}, "unsupported", None),
        ({"invoice_information": {"title": "t", "amount": 1, "currency": "RUB"}}, "unsupported", None),
        ({}, "unsupported", None),
    ],
)
def test_every_kind_of_media_is_known(tmp_path: Path, fields, media: str, file: File | None) -> None:
    post = load_post(tmp_path, message(1, **fields))
    assert (post.media, post.file) == (media, file)


def test_text_alone_is_no_media_and_media_keep_their_caption(tmp_path: Path) -> None:
    assert load_post(tmp_path, message(1, "a")).media == ""
    post = load_post(tmp_path, message(1, "подпись", photo=ABSENT, width=10, height=10))
    assert (post.text, post.media) == ("подпись", "photo")


def test_no_album_is_made_up(tmp_path: Path) -> None:
    rows = [message(n, "a" if n == 1 else "", at=1, photo=ABSENT, width=9, height=9) for n in (1, 2, 3)]
    assert {post.grouped_id for post in load(tmp_path, chat(*rows)).posts.values()} == {0}


# Everything else a message has


@pytest.mark.parametrize(
    ("action", "service_name"),
    [
        ("create_channel", "create"),
        ("migrate_from_group", "create"),
        ("edit_group_title", "title"),
        ("edit_group_photo", "photo"),
        ("delete_group_photo", "photo"),
        ("pin_message", "pin"),
        ("invite_members", "join"),
        ("join_group_by_link", "join"),
        ("join_group_by_request", "join"),
        ("remove_members", "remove_members"),
        ("group_call", "group_call"),
        ("boost_apply", "boost_apply"),
    ],
)
def test_a_service_message_is_named_by_our_word_or_by_its_own(tmp_path: Path, action: str, service_name: str) -> None:
    fields = {"photo": ABSENT, "width": 9, "height": 9, "members": ["Ann", None], "title": "T", "inviter": "Group"}
    post = load_post(tmp_path, service(3, action, **fields))
    assert post == Post(id=3, date=MAY + 3, service=service_name)


def test_a_pin_points_at_its_message_and_words_of_the_service_are_kept(tmp_path: Path) -> None:
    assert load_post(tmp_path, service(9, "pin_message", message_id=4)).reply_to == 4
    row = service(9, "")
    del row["action"]
    assert load_post(tmp_path, {**row, "information_text": "Telegram says"}).service == "Telegram says"
    assert load_post(tmp_path, row).service == "unknown"


def test_edits_are_dated(tmp_path: Path) -> None:
    assert (
        load_post(tmp_path, message(1, "a", edited="2024-05-01T13:05:00", edited_unixtime="1714557900")).edited
        == 1_714_557_900
    )
    assert load_post(tmp_path, message(1, "a")).edited == 0


def test_exports_without_unixtime_are_read_as_utc(tmp_path: Path) -> None:
    row = message(1, "a", edited="1970-01-01T03:00:00")
    del row["date_unixtime"]
    row["date"] = "2019-05-31T21:28:30"
    post = load_post(tmp_path, row)
    assert (post.date, post.edited) == (1_559_338_110, 0)
    assert load_post(tmp_path, {**row, "edited": "1969-12-31T19:00:00"}).edited == 0
    assert load_post(tmp_path, {**row, "edited": "2019-05-31T22:00:00+01:00"}).edited == 1_559_336_400


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"forwarded_from": "Соседи", "forwarded_from_id": "channel77"}, "Соседи"),
        ({"forwarded_from": "Hidden User"}, "Hidden User"),
        ({"forwarded_from": None, "forwarded_from_id": "user5"}, "Deleted Account"),
        ({"forwarded_from": None}, "Deleted Account"),
        ({"saved_from": "Соседи"}, ""),
        ({}, ""),
    ],
)
def test_a_forward_says_from_whom(tmp_path: Path, fields, name: str) -> None:
    post = load_post(tmp_path, message(1, "a", **fields))
    assert (post.forwarded_from, post.forwarded_post) == (name, None)


@pytest.mark.parametrize(
    ("fields", "target"),
    [
        ({"reply_to_message_id": 4}, 4),
        ({"reply_to_message_id": 4, "reply_to_peer_id": "channel1234567890"}, 4),
        ({"reply_to_message_id": 4, "reply_to_peer_id": "channel99"}, 0),
        ({"reply_to_message_id": -999_999_990}, 0),
        ({}, 0),
    ],
)
def test_a_reply_is_to_a_message_of_this_chat(tmp_path: Path, fields, target: int) -> None:
    assert load_post(tmp_path, message(9, "a", **fields)).reply_to == target


def test_reactions_that_are_emoji_are_kept(tmp_path: Path, caplog) -> None:
    rows = [
        {"type": "emoji", "count": 12, "emoji": "👍", "recent": [{"from": "Ann", "from_id": "user5", "date": "2024"}]},
        {"type": "custom_emoji", "count": 3, "document_id": ABSENT},
        {"type": "paid", "count": 50},
        {"count": 2, "emoji": "❤"},
        {"type": "emoji", "count": 0, "emoji": "🔥"},
    ]
    with caplog.at_level(logging.INFO, logger="sandbox.exports"):
        assert load_post(tmp_path, message(1, "a", reactions=rows)).reactions == (("👍", 12), ("❤", 2))
    assert "left out: 2 reactions that are no emoji" in caplog.text


def test_a_channels_posts_are_signed_and_a_groups_messages_have_writers(tmp_path: Path) -> None:
    assert load_post(tmp_path, message(1, "a", author="Редактор")).author == "Редактор"
    assert load_post(tmp_path, message(1, "a")).author == ""
    rows = [
        message(1, "a", **{"from": "Анна", "from_id": "user5"}),
        message(2, "b", **{"from": None, "from_id": "user6"}),
        message(3, "c", **{"from": "Группа", "from_id": "channel7"}, author="admin"),
        message(4, "d", via_bot="@gif", inline_bot_buttons=[[{"type": "url", "text": "x", "data": "y"}]]),
    ]
    group = load(tmp_path, chat(*rows, type="private_supergroup"))
    assert [p.author for p in group.posts.values()] == ["Анна", "Deleted Account", "Группа", "Город News"]
    assert {p.sender for p in group.posts.values()} == {0}


def test_messages_of_a_former_basic_group_and_unsupported_ones_are_counted(tmp_path: Path, caplog) -> None:
    rows = [
        message(-999_999_998, "old"),
        message(-999_999_997, "old"),
        message(1, "new"),
        {"id": 2, "type": "unsupported"},
        message(3, "newer"),
    ]
    with caplog.at_level(logging.INFO, logger="sandbox.exports"):
        assert list(load(tmp_path, chat(*rows, type="private_supergroup")).ids) == [1, 3]
    assert "2 messages of the group before it was a supergroup" in caplog.text
    assert "1 messages unsupported by Telegram Desktop" in caplog.text


def test_dates_never_fall(tmp_path: Path, caplog) -> None:
    with caplog.at_level(logging.INFO, logger="sandbox.exports"):
        channel = load(tmp_path, chat(message(1, "a", at=50), message(2, "b", at=48), message(3, "c", at=51)))
    assert list(channel.posts.dates) == [MAY + 50, MAY + 50, MAY + 51]
    assert channel.posts[2].date == MAY + 50
    assert "left out: 1 dates before the last message's" in caplog.text


def test_nothing_of_the_texts_is_logged(tmp_path: Path, caplog) -> None:
    with caplog.at_level(logging.DEBUG, logger="sandbox"):
        load(tmp_path, chat(message(1, "секрет")))
    assert "секрет" not in caplog.text
    assert "left out: nothing" in caplog.text


# Defects of Telegram Desktop, and big files


def test_control_characters_in_its_own_escape_are_read(tmp_path: Path) -> None:
    escaped = r"a\x0Bb\x01 \\x41 \\\x1f \u2028 \"q\" \n"
    text = json.dumps(chat(message(1, "TEXT"), message(2, "x")), indent=1).replace("TEXT", escaped)
    channel = load(tmp_path, text)
    assert channel.posts[1].text == 'a\x0bb\x01 \\x41 \\\x1f \u2028 "q" \n'
    assert channel.posts[2].text == "x"


@pytest.mark.parametrize("bare", ["video_files/sticker (2).webm", ABSENT])
def test_paths_of_custom_emoji_without_quotes_are_read(tmp_path: Path, bare: str) -> None:
    part = {"type": "custom_emoji", "text": "😮", "document_id": "PATH"}
    text = json.dumps(chat(message(1, [part]), message(2, "x")), indent=1).replace('"PATH"', bare)
    channel = load(tmp_path, text)
    assert (channel.posts[1].text, channel.posts[1].entities) == ("😮", ())
    assert channel.posts[2].text == "x"


def test_a_byte_order_mark_and_white_space_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    for text in (json.dumps(chat(message(1, "a"))), json.dumps(chat(message(1, "a")), indent=4) + "\r\n\t \n"):
        path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
        assert [list(c.ids) for c in load_export(path)] == [[1]]


@pytest.mark.parametrize("chunk", [1, 2, 7, 64])
def test_any_cut_between_two_reads_is_the_same(tmp_path: Path, monkeypatch, chunk: int) -> None:
    rows = [
        message(n, [{"type": "bold", "text": f"№{n} 🙂 TEXT"}], reactions=[{"emoji": "👍", "count": n}])
        for n in (1, 22, 333)
    ]
    text = json.dumps(
        {"chats": {"list": [chat(*rows), {"type": None, "id": 12, "messages": []}]}}, indent=1, ensure_ascii=False
    )
    path = write(tmp_path, text.replace("TEXT", r"\x0B\u0416\\x41"))
    (whole,) = load_export(path)
    monkeypatch.setattr("sandbox.export_json._CHUNK", chunk)
    (cut,) = load_export(path)
    assert list(cut.posts.values()) == list(whole.posts.values())
    assert cut.posts[333].text == "№333 🙂 \x0bЖ\\x41"
    assert cut.posts[22].reactions == (("👍", 22),)


def test_a_big_export_isnt_read_at_once(tmp_path: Path, monkeypatch) -> None:
    """Each read asks for a chunk at most while the messages are small."""
    path = write(tmp_path, chat(*(message(n, "слово " * 40) for n in range(1, 4001))))
    reads: list[int] = []
    opened = Path.open

    def watched(self: Path, *args: Any, **options: Any):
        stream = opened(self, *args, **options)
        read = stream.read
        if "encoding" in options:
            stream.read = lambda size: reads.append(size) or read(size)
        return stream

    monkeypatch.setattr("sandbox.export_json._CHUNK", 1 << 14)
    monkeypatch.setattr(Path, "open", watched)
    (channel,) = load_export(path)
    assert len(channel.posts) == 4000
    assert path.stat().st_size > 2_000_000
    assert max(reads) == 1 << 14
    assert len(reads) > 100


# Refusals


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is no export of Telegram Desktop: it begins with no {"),
        ("[]", "is no export of Telegram Desktop: it begins with no {"),
        ("<html>", "is no export of Telegram Desktop: it begins with no {"),
        ("{}", 'there are neither "messages" nor "chats" in it'),
        ('{"a": 1}', 'there are neither "messages" nor "chats" in it'),
        ("{1: 2}", 'line 1 is no JSON (" expected)'),
        ('{"a" 1}', "line 1 is no JSON (: expected, 1 found)"),
        ('{"a": 1,\n\n"b" = 1}', "line 3 is no JSON (: expected, = found)"),
        ('{"messages": {}}', "line 1 is no JSON ([ expected, { found)"),
        ('{"chats": []}', "line 1 is no JSON ({ expected, [ found)"),
        ('{"chats": {"list": [3]}}', "line 1 is no JSON ({ expected, 3 found)"),
        ('{"a": NaN}', "NaN is no JSON"),
        ('{"a": ' + "[" * 100_000, "is no JSON"),
        ('{"a": ' + "1" * 5_000 + "}", "is no JSON"),
        ('{"a": "\\q"}', r"line 1 is no JSON (Invalid \escape)"),
        (chat(type="personal_chat"), "holds a personal_chat; only channels and supergroups can be loaded (pub"),
        (chat(type="private_group"), "holds a private_group; only"),
        (chat(message(1, "a"), type=None), "holds a chat of no type; only"),
        (chat(type=5), "type is 5; it should be text"),
        (chat(name=5), "name is 5; it should be text"),
        (chat(message(1, "a"), id=0), "the chat has no id"),
        (chat(id=-1_001_234_567_890), "id is -1001234567890; it should be a number from 0 to 997852516352"),
        (chat(id=True), "id is True; it should be a number"),
        ({"chats": {"list": []}}, "holds no channel and no supergroup; export with them ticked"),
        ({"chats": {"list": [chat(type="bot_chat")]}}, "holds no channel and no supergroup"),
        ({"chats": {"list": [chat(), chat()]}}, "the chat 1234567890 is there twice; take one of them out"),
        ({"chats": {"list": [chat()]}, "left_chats": {"list": [chat()]}}, "the chat 1234567890 is there twice"),
        (chat(message(5, "a"), message(5, "b")), "«Город News», message 5: stands below message 5; every id"),
        (chat(message(5, "a"), message(4, "b")), "«Город News», message 4: stands below message 5; every id"),
        (chat("a"), "a str stands where a message should; export the chat again"),
        (chat(message(5, "a"), 7), "after message 5: a int stands where a message should"),
        (chat(message(0, "a")), "a message has the id 0"),
        (chat(message(2**31, "a")), "a message has the id 2147483648"),
        (chat({**message(1), "id": "1"}), "a message has the id '1'"),
        (chat({**message(1), "id": True}), "a message has the id True"),
        (chat({**message(1), "type": "story"}), "message 1: its type is 'story'; only message and service are known"),
        (chat({**message(1), "type": None}), "its type is None"),
        (chat({"id": 1, "type": "message"}), "message 1: it has no date"),
        (
            chat({"id": 1, "type": "message", "date": "yesterday"}),
            "date is 'yesterday'; it should look like 2024-05-01T",
        ),
        (chat({"id": 1, "type": "message", "date": "2300-01-01T00:00:00"}), "it should lie between 1971 and 2038"),
        (chat(message(1, date_unixtime="12x")), "date_unixtime is '12x'; it should be a number"),
        (chat(message(1, date_unixtime="99999999999")), "date_unixtime is 99999999999; it should be a number from 0"),
        (chat({**message(1), "text_entities": {"a": 1}}), "its text is neither text nor a list"),
        (chat({**message(1), "text_entities": [5]}), "a part of its text is neither text nor an object"),
        (chat(message(1, [{"type": "bold", "text": 5}])), "text is 5; it should be text"),
        (chat(message(1, [{"type": 5, "text": "x"}])), "type is 5; it should be text"),
        (chat(message(1, photo="a", width="wide")), "width is 'wide'; it should be a number from 0 to 65500"),
        (chat(message(1, photo="a", width=70_000, height=1)), "width is 70000; it should be a number from 0 to 65500"),
        (chat(message(1, file="a", file_size=-1)), "file_size is -1; it should be a number"),
        (chat(message(1, file="a", duration_seconds=1.5)), "duration_seconds is 1.5; it should be a number"),
        (chat(message(1, file=5)), "file is 5; it should be text"),
        (chat(message(1, "a", reactions={"👍": 1})), "its reactions are no list of objects"),
        (chat(message(1, "a", reactions=[5])), "its reactions are no list of objects"),
        (chat(message(1, "a", reactions=[{"emoji": "👍", "count": "many"}])), "count is 'many'; it should be a number"),
        (chat(message(1, "a", reply_to_message_id="x")), "reply_to_message_id is 'x'; it should be a number"),
        (chat(message(1, "a", forwarded_from=["x"])), "forwarded_from is ['x']; it should be text"),
        (chat(message(1, "a", author=5)), "author is 5; it should be text"),
        (json.dumps(chat(message(1, "\ud83d"))), "message 1: text holds half of a surrogate pair"),
        (json.dumps(chat(message(1, "a"))) + "]", "the end of the file expected, ] found"),
    ],
)
def test_what_is_no_export_is_refused_by_name(tmp_path: Path, content: Any, told: str) -> None:
    path = write(tmp_path, content)
    text = refusal(path)
    assert text.startswith(f"{path}: ")
    assert told in text


def test_an_export_that_was_cut_short_says_where_it_ends(tmp_path: Path) -> None:
    text = json.dumps(chat(message(1, "a"), message(2, "b")), indent=1)
    for end in range(1, len(text) - 1):
        told = refusal(write(tmp_path, text[:end]))
        assert re.search(r"line \d+ is no JSON \(.*\); was it edited, or the export cut short\?", told), told
    assert "«Город News», after message 2: line" in refusal(write(tmp_path, text[:-3]))
    assert "«Город News», after message 1: line" in refusal(write(tmp_path, text[:-60]))


def test_a_broken_message_far_down_is_found_by_its_line(tmp_path: Path) -> None:
    rows = [message(n, "слово " * 50) for n in range(1, 3001)]
    text = json.dumps(chat(*rows), indent=1, ensure_ascii=False)
    lines = text.split("\n")
    broken = next(n for n, line in enumerate(lines) if '"id": 2900,' in line)
    lines[broken] = lines[broken].replace(":", "")
    path = write(tmp_path, "\n".join(lines))
    told = refusal(path)
    assert f"after message 2899: line {broken + 1} is no JSON" in told


def test_what_came_before_the_fault_has_been_given(tmp_path: Path) -> None:
    channels = load_export(write(tmp_path, {"chats": {"list": [chat(message(1, "a"), id=5), chat(id=0)]}}))
    assert next(channels).id == 5
    with pytest.raises(ExportError, match="the chat has no id"):
        next(channels)


def test_bytes_that_are_no_utf_8_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(json.dumps(chat(message(1, "TEXT"))).encode().replace(b"TEXT", b"\xff\xfe"))
    assert refusal(path) == f"{path}: is not UTF-8; export the chat again, in JSON"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.json") == f"{tmp_path / 'no.json'}: No such file or directory"
    assert refusal(tmp_path) == f"{tmp_path / 'result.json'}: No such file or directory"


def test_a_file_that_cant_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "result.json").mkdir()
    assert refusal(tmp_path) == f"{tmp_path / 'result.json'}: Is a directory"


def test_an_export_in_html_says_what_to_choose(tmp_path: Path) -> None:
    (tmp_path / "messages.html").write_text("<html>")
    assert refusal(tmp_path) == f"{tmp_path}: is an export in HTML; export the chat again and choose JSON as its format"
    with pytest.raises(ExportError, match="choose JSON"):
        export_digest(tmp_path)
