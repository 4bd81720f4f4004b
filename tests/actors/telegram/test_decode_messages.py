"""Who wrote a post, what it answers, where it came from, what hangs on it, and what Telegram sent of it."""

import zlib
from typing import Any

import orjson
import pytest
from telethon.tl import types

from actors.messages.content import Post
from actors.messages.ids import ChannelId
from actors.telegram.decode import decode_post
from tests.actors.telegram.test_decode_media import DATE, TOLD, document, over_the_wire, photo, words

PEER = types.PeerChannel(7)


def decoded(*, raw: bool = False, **fields: Any) -> Post:
    message = types.Message(**({"id": 5, "peer_id": PEER, "date": DATE, "message": "text"} | fields))
    post = decode_post(over_the_wire(message), ChannelId(7), raw=raw)
    assert post is not None
    return post


def happened(action: Any, **fields: Any) -> Post:
    service = types.MessageService(id=5, peer_id=PEER, date=DATE, action=action, **fields)
    post = decode_post(over_the_wire(service), ChannelId(7))
    assert post is not None
    return post


def test_a_groups_message_names_its_sender() -> None:
    assert orjson.loads(decoded(from_id=types.PeerUser(3)).sender) == {"type": "user", "id": 3}
    assert orjson.loads(decoded(from_id=types.PeerChannel(8)).sender) == {"type": "channel", "id": 8}
    assert decoded().sender is None


def test_a_plain_answer_is_an_id_alone() -> None:
    post = decoded(reply_to=types.MessageReplyHeader(reply_to_msg_id=3))
    assert (post.reply_to_id, post.reply) == (3, None)


def test_a_quote_in_a_thread_is_kept_whole() -> None:
    header = types.MessageReplyHeader(
        reply_to_msg_id=3,
        reply_to_top_id=2,
        quote=True,
        quote_text="so",
        quote_entities=[types.MessageEntityBold(0, 2)],
        quote_offset=4,
    )
    post = decoded(reply_to=header)
    assert post.reply_to_id == 3
    assert orjson.loads(post.reply) == {
        "message_id": 3,
        "top_id": 2,
        "quote": True,
        "quote_text": "so",
        "quote_entities": [{"type": "bold", "offset": 0, "length": 2}],
        "quote_offset": 4,
    }


def test_an_answer_to_another_peer_or_story_is_no_id_of_this_channel() -> None:
    origin = types.MessageFwdHeader(DATE, from_id=types.PeerChannel(8), channel_post=3)
    elsewhere = types.MessageReplyHeader(reply_to_msg_id=3, reply_to_peer_id=types.PeerChannel(8), reply_from=origin)
    post = decoded(reply_to=elsewhere)
    assert post.reply_to_id is None
    assert orjson.loads(post.reply) == {
        "message_id": 3,
        "peer": {"type": "channel", "id": 8},
        "from": {"date": TOLD, "from": {"type": "channel", "id": 8}, "message_id": 3},
    }
    story = decoded(reply_to=types.MessageReplyStoryHeader(types.PeerUser(8), 1))
    assert (story.reply_to_id, orjson.loads(story.reply)) == (
        None,
        {"type": "story", "peer": {"type": "user", "id": 8}, "story_id": 1},
    )


def test_a_forward_tells_all_of_its_way() -> None:
    header = types.MessageFwdHeader(
        DATE,
        imported=True,
        from_name="Bob",
        saved_from_peer=types.PeerChannel(8),
        saved_from_msg_id=9,
        saved_from_id=types.PeerUser(2),
        saved_from_name="Ann",
        saved_date=DATE,
        psa_type="covid",
        saved_out=True,
    )
    assert orjson.loads(decoded(fwd_from=header).forward) == {
        "date": TOLD,
        "imported": True,
        "name": "Bob",
        "saved_from": {"type": "channel", "id": 8},
        "saved_from_message_id": 9,
        "saved_sender": {"type": "user", "id": 2},
        "saved_name": "Ann",
        "saved_date": TOLD,
        "psa": "covid",
    }


def test_comments_are_a_figure_and_their_group_is_not() -> None:
    replies = types.MessageReplies(4, 99, comments=True, channel_id=11, recent_repliers=[types.PeerUser(1)], max_id=50)
    post = decoded(replies=replies)
    assert (post.replies, post.discussion_id) == (4, 11)


def test_what_few_posts_have_stands_together() -> None:
    rows = [
        types.KeyboardInlineButtonRow(
            [
                types.KeyboardInlineButton("Read", types.InlineButtonTypeUrl("https://a.b")),
                types.KeyboardInlineButton("Vote", types.InlineButtonTypeCallback(b"secret")),
            ]
        )
    ]
    post = decoded(
        via_bot_id=3,
        edit_hide=True,
        invert_media=True,
        ttl_period=60,
        reply_markup=types.ReplyInlineMarkup(rows),
        restriction_reason=[types.RestrictionReason("ios", "porn", "Not here")],
        factcheck=types.FactCheck(hash=5, country="DE", text=words("No.", types.MessageEntityBold(0, 2))),
    )
    assert orjson.loads(post.details) == {
        "via_bot": 3,
        "edit_hidden": True,
        "text_below_media": True,
        "ttl": 60,
        "buttons": {
            "type": "inline",
            "rows": [[{"text": "Read", "type": "url", "url": "https://a.b"}, {"text": "Vote", "type": "callback"}]],
        },
        "restrictions": [{"platform": "ios", "reason": "porn", "text": "Not here"}],
        "factcheck": {
            "country": "DE",
            "text": "No.",
            "text_entities": [{"type": "bold", "offset": 0, "length": 2}],
        },
    }


def test_entities_keep_what_belongs_to_them() -> None:
    entities = [
        types.MessageEntityBlockquote(0, 2, collapsed=True),
        types.MessageEntityFormattedDate(0, 2, date=DATE, relative=True),
        types.MessageEntityDiffReplace(0, 2, old_text="old"),
        types.MessageEntityMentionName(0, 2, user_id=4),
    ]
    assert orjson.loads(decoded(entities=entities).entities) == [
        {"type": "blockquote", "offset": 0, "length": 2, "collapsed": True},
        {"type": "formatted_date", "offset": 0, "length": 2, "date": TOLD, "relative": True},
        {"type": "diff_replace", "offset": 0, "length": 2, "old_text": "old"},
        {"type": "mention_name", "offset": 0, "length": 2, "user_id": 4},
    ]


@pytest.mark.parametrize(
    ("action", "kept"),
    [
        (types.MessageActionChatMigrateTo(70), {"type": "chat_migrate_to", "channel_id": 70}),
        (
            types.MessageActionChannelMigrateFrom("Group", 55),
            {"type": "channel_migrate_from", "title": "Group", "chat_id": 55},
        ),
        (types.MessageActionChannelCreate("News"), {"type": "channel_create", "title": "News"}),
        (
            types.MessageActionChatEditPhoto(photo()),
            {"type": "chat_edit_photo", "photo": {"id": 3, "date": TOLD, "w": 1280, "h": 800, "size": 9}},
        ),
        (types.MessageActionChatAddUser([1, 2]), {"type": "chat_add_user", "users": [1, 2]}),
        (
            types.MessageActionGroupCall(types.InputGroupCall(4, 5), duration=60),
            {"type": "group_call", "call": {"id": 4}, "duration": 60},
        ),
        (types.MessageActionBoostApply(2), {"type": "boost_apply", "boosts": 2}),
        (
            types.MessageActionGiveawayResults(3, 0),
            {"type": "giveaway_results", "winners_count": 3, "unclaimed_count": 0},
        ),
        (types.MessageActionTopicEdit(closed=False), {"type": "topic_edit", "closed": False}),
        (
            types.MessageActionStarGift(
                types.StarGift(8, document(mime="image/webp"), 50, 40), from_id=types.PeerUser(1), saved=True
            ),
            {
                "type": "star_gift",
                "from": {"type": "user", "id": 1},
                "gift": {
                    "id": 8,
                    "stars": 50,
                    "convert_stars": 40,
                    "sticker": {"id": 1, "date": TOLD, "mime": "image/webp", "size": 1000},
                },
            },
        ),
    ],
    ids=lambda value: None if isinstance(value, dict) else type(value).__name__,
)
def test_a_service_message_keeps_what_happened(action: Any, kept: dict[str, Any]) -> None:
    assert orjson.loads(happened(action).action) == kept


def test_a_pin_names_what_was_pinned_and_who_did_it() -> None:
    pin = happened(
        types.MessageActionPinMessage(),
        reply_to=types.MessageReplyHeader(reply_to_msg_id=3),
        from_id=types.PeerUser(9),
        ttl_period=5,
    )
    assert (pin.kind, pin.reply_to_id) == ("service", 3)
    assert orjson.loads(pin.sender) == {"type": "user", "id": 9}
    assert orjson.loads(pin.details) == {"ttl": 5}


def test_raw_holds_everything_but_the_readers_keys() -> None:
    post = decoded(raw=True, media=types.MessageMediaPhoto(photo=photo()), views=4, forwards=1, message="a\0b")
    raw = orjson.loads(zlib.decompress(post.raw))
    assert (raw["_"], raw["id"], raw["views"], raw["date"]) == ("Message", 5, 4, TOLD)
    assert raw["media"]["photo"]["sizes"][1]["sizes"] == [1, 5, 9]
    text = orjson.dumps(raw)
    assert b"access_hash" not in text
    assert b"file_reference" not in text
    assert decoded().raw is None


def test_raw_of_a_service_message_is_kept_too() -> None:
    service = types.MessageService(id=5, peer_id=PEER, date=DATE, action=types.MessageActionChatEditTitle("New"))
    post = decode_post(over_the_wire(service), ChannelId(7), raw=True)
    assert orjson.loads(zlib.decompress(post.raw))["action"] == {"_": "MessageActionChatEditTitle", "title": "New"}
