"""What is kept of a message, and that nothing well-formed ever fails."""

import inspect
from datetime import UTC, datetime

import orjson
from hypothesis import given
from hypothesis import strategies as st
from telethon.tl import types

from actors.messages.ids import AccountId, ChannelId
from actors.telegram.decode import decode_heads, decode_membership, decode_post, decode_profile

CHANNEL = ChannelId(7)
PEER = types.PeerChannel(7)
DATE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def message(**fields):
    return types.Message(**({"id": 5, "peer_id": PEER, "date": DATE, "message": "text"} | fields))


def decoded(**fields):
    return decode_post(message(**fields), CHANNEL)


def test_a_plain_post_keeps_its_fields():
    post = decoded(views=10, forwards=2, post_author="Ann", grouped_id=9, silent=True, pinned=True, noforwards=True)
    assert (post.channel_id, post.message_id, post.kind, post.date, post.text) == (7, 5, "post", DATE, "text")
    assert (post.views, post.forwards, post.author, post.grouped_id) == (10, 2, "Ann", 9)
    assert (post.silent, post.pinned, post.noforwards) == (True, True, True)
    assert (post.media, post.entities, post.forward, post.reactions, post.reply_to_id) == (None,) * 5


def test_an_edit_date_is_kept_even_where_the_edit_is_hidden():
    assert decoded(edit_date=DATE, edit_hide=True).edited_at == DATE


def test_an_empty_message_is_no_post():
    assert decode_post(types.MessageEmpty(5, None), CHANNEL) is None


def test_entities_keep_utf16_offsets_and_what_belongs_to_them():
    post = decoded(
        message="🤖 link",
        entities=[
            types.MessageEntityTextUrl(3, 4, "https://example.org"),
            types.MessageEntityBold(0, 2),
            types.MessageEntityPre(0, 1, "python"),
            types.MessageEntityCustomEmoji(0, 2, 99),
        ],
    )
    assert orjson.loads(post.entities) == [
        {"type": "text_url", "offset": 3, "length": 4, "url": "https://example.org"},
        {"type": "bold", "offset": 0, "length": 2},
        {"type": "pre", "offset": 0, "length": 1, "language": "python"},
        {"type": "custom_emoji", "offset": 0, "length": 2, "document_id": 99},
    ]


def test_json_is_canonical():
    first = decoded(reactions=reactions(("👍", 1), ("❤", 2))).reactions
    second = decoded(reactions=reactions(("❤", 2), ("👍", 1))).reactions
    assert first == second == '{"❤":2,"👍":1}'.encode()


def reactions(*counts):
    results = [types.ReactionCount(types.ReactionEmoji(emoji), count) for emoji, count in counts]
    return types.MessageReactions(results=results)


def test_custom_and_paid_reactions_are_told_apart():
    results = [types.ReactionCount(types.ReactionCustomEmoji(5), 1), types.ReactionCount(types.ReactionPaid(), 3)]
    post = decoded(reactions=types.MessageReactions(results=results))
    assert orjson.loads(post.reactions) == {"custom:5": 1, "paid": 3}


def test_a_forward_names_where_it_came_from():
    header = types.MessageFwdHeader(date=DATE, from_id=types.PeerChannel(3), channel_post=8, post_author="Bob")
    assert orjson.loads(decoded(fwd_from=header).forward) == {
        "date": "2026-01-02T03:04:05+00:00",
        "from": {"type": "channel", "id": 3},
        "message_id": 8,
        "author": "Bob",
    }
    hidden = types.MessageFwdHeader(date=DATE, from_name="Somebody")
    assert orjson.loads(decoded(fwd_from=hidden).forward)["name"] == "Somebody"


def test_a_reply_is_kept_within_the_channel_only():
    assert decoded(reply_to=types.MessageReplyHeader(reply_to_msg_id=3)).reply_to_id == 3
    elsewhere = types.MessageReplyHeader(reply_to_msg_id=3, reply_to_peer_id=types.PeerChannel(8))
    assert decoded(reply_to=elsewhere).reply_to_id is None
    assert decoded(reply_to=types.MessageReplyStoryHeader(types.PeerChannel(8), 1)).reply_to_id is None


def test_nul_never_reaches_postgresql_and_offsets_stay_true():
    post = decoded(
        message="a\0b",
        entities=[types.MessageEntityTextUrl(2, 1, "x\0y")],
        fwd_from=types.MessageFwdHeader(DATE, from_name="\\u0000\0"),
    )
    assert post.text == "a\ufffdb"
    assert orjson.loads(post.entities)[0]["url"] == "x\ufffdy"
    assert orjson.loads(post.forward)["name"] == "\\u0000\ufffd"
    assert b"\\u0000" not in post.entities


def test_a_service_message_keeps_its_action():
    service = types.MessageService(id=5, peer_id=PEER, date=DATE, action=types.MessageActionChatEditTitle("New"))
    post = decode_post(service, CHANNEL)
    assert (post.kind, post.text) == ("service", "")
    assert orjson.loads(post.action) == {"type": "chat_edit_title", "title": "New"}


def channel(**fields):
    wanted = {"id": 7, "title": "T", "photo": types.ChatPhotoEmpty(), "date": DATE, "access_hash": 5, "broadcast": True}
    return types.Channel(**(wanted | fields))


def test_a_membership_is_the_accounts_own():
    made = decode_membership(channel(username="News", noforwards=True), AccountId(1), top_id=3, pts=4)
    assert (made.account_id, made.channel_id, made.access_hash, made.username) == (1, 7, 5, "News")
    assert (made.title, made.broadcast, made.noforwards, made.top_id, made.pts) == ("T", True, True, 3, 4)
    assert "5" not in repr(made).replace("account_id", "")
    bought = channel(usernames=[types.Username("old", active=False), types.Username("new", active=True)])
    assert decode_membership(bought, AccountId(1)).username == "new"


def test_what_cannot_be_read_is_no_membership():
    assert decode_membership(channel(left=True), AccountId(1)) is None
    assert decode_membership(channel(left=True), AccountId(1), joined=False) is not None
    assert decode_membership(channel(min=True), AccountId(1), joined=False) is None
    assert decode_membership(types.ChannelForbidden(7, 5, "T"), AccountId(1)) is None
    assert decode_membership(types.ChatEmpty(7), AccountId(1)) is None


def test_heads_are_of_channels_alone():
    settings = types.PeerNotifySettings()
    dialog = {
        "read_inbox_max_id": 0,
        "read_outbox_max_id": 0,
        "unread_count": 0,
        "unread_mentions_count": 0,
        "unread_reactions_count": 0,
        "unread_poll_votes_count": 0,
        "notify_settings": settings,
    }
    known = inspect.signature(types.Dialog.__init__).parameters
    dialog = {name: value for name, value in dialog.items() if name in known}
    page = types.messages.Dialogs(
        [
            types.Dialog(peer=types.PeerUser(1), top_message=9, **dialog),
            types.Dialog(peer=PEER, top_message=3, pts=8, **dialog),
        ],
        [],
        [],
        [],
    )
    assert {key: (head.top_id, head.pts) for key, head in decode_heads(page).items()} == {7: (3, 8)}


def test_a_profile_is_who_telegram_says():
    made = decode_profile(types.User(id=1, first_name="A", username="a", bot=True, phone="79990001122"))
    assert (made.account_id, made.username, made.first_name, made.last_name, made.bot) == (1, "a", "A", None, True)


@given(st.text(), st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=5))
def test_any_text_and_any_offsets_are_kept(text, spans):
    post = decoded(message=text, entities=[types.MessageEntityItalic(*span) for span in spans])
    assert len(post.text) == len(text)
    assert "\0" not in post.text
    kept = [(entity["offset"], entity["length"]) for entity in orjson.loads(post.entities or b"[]")]
    assert kept == spans
