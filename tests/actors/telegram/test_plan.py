"""The plan decides every field that Telethon knows, and the decoder does what the plan says."""

from copy import deepcopy

import orjson
import pytest
from telethon.tl import types

from actors.messages.content import Post
from actors.messages.ids import ChannelId
from actors.telegram.decode import decode_post
from actors.telegram.describe import PLAN, describe
from actors.telegram.plan import shape
from tests.actors.telegram.layer import DATE, annotations, sample, undecided, value_of
from tests.actors.telegram.plan_table import BEGIN, DOC, SECTIONS, tables

CHANNEL = ChannelId(7)


def test_every_field_of_this_layer_is_decided() -> None:
    assert undecided(PLAN) == []


def test_a_field_or_class_that_a_new_layer_brings_is_found() -> None:
    older = deepcopy(PLAN)
    older["Message"].elsewhere.pop("effect")
    older["MessageMediaContact"].kept.remove(("vcard", "vcard"))
    older["MessageEntityBlockquote"].kept.append(("gone", "gone"))
    del older["MessageActionBoostApply"]
    assert undecided(older) == [
        "-MessageEntityBlockquote.gone",
        "Message.effect",
        "MessageActionBoostApply",
        "MessageMediaContact.vcard",
    ]


@pytest.mark.parametrize("row", ["a!nowhere", "a=", "a b-c", "!account"])
def test_what_is_no_decision_is_refused(row: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        shape(row)


DESCRIBED = sorted(set(PLAN) - {"Message", "MessageService"})


@pytest.mark.parametrize("name", DESCRIBED)
def test_what_is_described_is_what_the_plan_keeps(name: str) -> None:
    plan, there = PLAN[name], annotations(name)
    empty = {field: [] if "List[" in str(annotation) else None for field, annotation in there.items()}
    bare = type(sample(name))(**empty)
    for field, annotation in there.items():
        full = type(bare)(**empty)
        setattr(full, field, value_of(annotation))
        changed = describe(full) != describe(bare)
        if plan.leaves_out(field):
            assert not changed, f"{name}.{field} is left out, yet it shows"
        elif field not in plan.elsewhere:
            assert changed, f"{name}.{field} is kept, yet it doesn't show"


def bare(name: str):
    return getattr(types, name)(id=5, peer_id=types.PeerChannel(7), date=DATE, action=types.MessageActionEmpty())


FIELDS = [(name, field) for name in ("Message", "MessageService") for field in annotations(name)]
REAL = {
    "reactions": types.MessageReactions([types.ReactionCount(types.ReactionPaid(), 3)]),
    "replies": types.MessageReplies(4, 9, comments=True, channel_id=11),
    "fwd_from": types.MessageFwdHeader(DATE, from_name="Somebody"),
    "reply_to": types.MessageReplyHeader(reply_to_msg_id=3, quote=True, quote_text="q"),
    "rich_message": types.RichMessage([types.PageBlockParagraph(types.TextPlain("p"))], [], []),
    "peer_id": types.PeerChannel(7),
    "id": 6,
}


@pytest.mark.parametrize(("name", "field"), FIELDS, ids=[f"{name}.{field}" for name, field in FIELDS])
def test_each_field_of_a_message_stands_where_the_plan_says(name: str, field: str) -> None:
    empty, full = decode_post(bare(name), CHANNEL), bare(name)
    setattr(full, field, REAL.get(field) or value_of(annotations(name)[field]))
    post = decode_post(full, CHANNEL)
    if PLAN[name].leaves_out(field):
        assert post == empty
        return
    for place in PLAN[name].elsewhere[field].split(","):
        column, _, key = place.removeprefix("post_stats.").partition(".")
        found, before = getattr(post, column), getattr(empty, column)
        assert found is not None
        assert field in ("peer_id", "date", "action") or found != before, place
        assert not key or orjson.loads(found)[key] is not None


def test_every_place_is_an_attribute_of_a_post() -> None:
    places = {place for name in ("Message", "MessageService") for place in PLAN[name].elsewhere.values()}
    columns = {each.removeprefix("post_stats.").split(".")[0] for place in places for each in place.split(",")}
    assert columns <= set(Post.__dataclass_fields__)


def test_the_document_shows_the_plan_and_all_of_it() -> None:
    assert DOC.read_text(encoding="utf-8").partition(BEGIN)[2].strip() == tables().strip()
    assert {name: shape for plan in SECTIONS.values() for name, shape in plan.items()} == PLAN
