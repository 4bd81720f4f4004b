"""Whatever happens to a world is the same after a restart."""

import json
from pathlib import Path
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from sandbox.changes import Change
from sandbox.client import Sandbox
from sandbox.datacentre import DataCentre
from sandbox.ledger import describe, ledger
from sandbox.posts import File, Post
from sandbox.state import change_from_json, change_to_json
from tests.fuzz import fuzz

text = st.text(st.characters(codec="utf-8"), max_size=20)
st.register_type_strategy(str, text)


@fuzz(200)
@given(st.one_of([st.from_type(kind) for kind in get_args(Change)]))
def test_a_change_comes_back_from_the_journal_as_it_was(change: Change) -> None:
    line = json.dumps(change_to_json(change), ensure_ascii=False)
    assert change_from_json(json.loads(line)) == change


def everything(dc: DataCentre) -> list[object]:
    world = dc.world
    accounts = [(each.id, each.password, each.dc_id) for each in world.accounts.values()]
    standing = [
        (each.approval, each.silent, each.noforwards, each.roots, each.comments) for each in world.channels.values()
    ]
    return [ledger(world), describe(world), accounts, standing, world.boxes]


async def test_everything_that_can_happen_is_there_after_a_restart(tmp_path: Path) -> None:
    async with Sandbox(channels=3, seed=4, state=tmp_path) as sandbox:
        dc = sandbox.dc
        world = dc.world
        ann, boris = world.account("ann"), world.account("boris")
        news = world.channel("gorod_news")
        group = dc.found("Talk", None, group_of=news, first_id=500)
        other = dc.found("Other", "other_news")
        ids = dc.publish(news, ["one", "two"], count=3)
        photo = Post(id=0, date=0, media="photo", file=File(name="a.jpg", width=10, height=20))
        dc.publish_drafts(other, [lambda number: Post(id=number, date=9, text="x", entities=(("bold", 0, 1, ""),))])
        dc.publish_drafts(other, [lambda number: Post(id=number, date=9, media=photo.media, file=photo.file)])
        root = group.roots[ids[0]]
        dc.publish_drafts(group, [lambda n: Post(id=n, date=9, text="hm", thread=root, reply_to=root, sender=ann.id)])
        dc.edit(news, ids[1], "three", entities=(("italic", 0, 2, ""),), hidden=True)
        dc.delete(news, [ids[2]])
        dc.count(news, ids[0], views=70, forwards=3, reactions=(("👍", 2),))
        dc.alter(other, username="", noforwards=True, silent=True, approval=True)
        dc.renew_invite(other)
        for account, standing in ((ann, "member"), (boris, "waiting")):
            dc.move(other, account, standing)
        dc.move(news, boris, "banned")
        dc.secure(ann, password="secret", dc_id=204)
        dc.write(ann, boris, "hello")
        before = everything(dc)
        assert group.comments == {root: 1}
        assert group.ids[0] == 500
    async with Sandbox(channels=3, seed=4, state=tmp_path) as sandbox:
        assert everything(sandbox.dc) == before
        assert sandbox.world.named("other_news") is None
        assert sandbox.world.invited(sandbox.world.channel(other.id).invite) is sandbox.world.channel(other.id)
