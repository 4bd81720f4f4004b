"""Whatever happens to a channel and to its pushes: who follows the protocol's rules ends with what exists."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telethon import TelegramClient
from telethon.sessions import StringSession
from telethon.tl import types

from sandbox.datacentre import DataCentre
from sandbox.faults import Turbulence
from sandbox.generate import Shape
from sandbox.switches import Switches
from tests.fuzz import fuzz

from .model import Model, RawClient

SHAPE = Shape(accounts=2, channels=1, posts=20, seed=5)

quiet = st.booleans()
steps = st.one_of(
    st.tuples(st.just("post"), st.integers(1, 12), quiet),
    st.tuples(st.just("edit"), st.integers(0, 30), quiet),
    st.tuples(st.just("delete"), st.lists(st.integers(0, 30), min_size=1, max_size=6), quiet),
    st.tuples(st.just("letter"), st.integers(1, 9)),
    st.tuples(
        st.just("pushes"), st.sampled_from(["loss", "double", "reorder", "too_long", "mixed"]), st.integers(0, 99)
    ),
    st.tuples(st.just("calm")),
    st.tuples(st.just("drop")),
    st.tuples(st.just("settle")),
)
switches = st.builds(
    Switches,
    difference_pts=st.booleans(),
    too_long_above=st.sampled_from([3, 20, 100]),
    account_too_long_above=st.sampled_from([0, 4]),
)


class Play:
    """One sandbox, one client of the model, and the steps that are played before it."""

    def __init__(self, dc: DataCentre, model: Model) -> None:
        self.dc = dc
        self.model = model
        (self.channel,) = dc.world.channels.values()

    async def step(self, name: str, *rest: Any) -> None:
        match name, *rest:
            case "post", count, silent:
                self.dc.publish(self.channel, count=count, silent=silent)
            case "edit", back, silent:
                self._edit(back, silent=silent)
            case "delete", backs, silent:
                ids = [self.channel.ids[-1 - back] for back in backs if back < len(self.channel.ids)]
                self.dc.delete(self.channel, ids, silent=silent)
            case "letter", count:
                writer, reader = (self.dc.world.account(name) for name in ("boris", "ann"))
                for number in range(count):
                    self.dc.write(writer, reader, f"letter {number}")
            case "pushes", "mixed", seed:
                self.dc.hub.turbulence = Turbulence(loss=0.2, double=0.2, reorder=0.2, too_long=0.1, seed=seed)
            case "pushes", kind, seed:
                self.dc.hub.turbulence = Turbulence(seed=seed, **{kind: 0.6})
            case ("calm",):
                self.dc.hub.turbulence = Turbulence()
            case ("drop",):
                self.dc.drop_connections()
            case ("settle",):
                await self.model.settle()
            case _:
                raise AssertionError(name)

    def _edit(self, back: int, *, silent: bool) -> None:
        if back < len(self.channel.ids) and not self.channel.posts[self.channel.ids[-1 - back]].service:
            self.dc.edit(self.channel, self.channel.ids[-1 - back], f"edited at {self.channel.pts}", silent=silent)

    def judge(self) -> None:
        posts = {post.id: (post.text, post.edited > 0) for post in self.channel.posts.values()}
        assert self.model.posts == posts
        assert self.model.pts == self.channel.pts
        box = self.dc.world.boxes[self.dc.world.account("ann").id]
        assert self.model.letters == {letter.id: letter.text for letter in box.letters}
        assert self.model.account_pts == box.pts


async def play(script: Sequence[tuple[Any, ...]], chosen: Switches) -> Play:
    dc = DataCentre.build(SHAPE, switches=chosen)
    await dc.open()
    account = dc.world.account("ann")
    (channel,) = dc.world.channels.values()
    client = RawClient(StringSession(dc.session(account)[1]), 1, "hash", retry_delay=0, flood_sleep_threshold=0)
    try:
        await client.connect()
        peer = types.InputPeerChannel(channel.id, dc.world.access_hash(account.id, "channel", channel.id))
        game = Play(dc, Model(client, peer))
        await game.model.begin()
        for step in script:
            await game.step(*step)
        await game.model.catch_up()
        game.judge()
        return game
    finally:
        await client.disconnect()
        await dc.close()


@pytest.fixture(autouse=True)
def no_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each play has a sandbox of its own, and Telethon would keep the first one's config."""
    monkeypatch.setattr(TelegramClient, "_config", property(lambda _: None, lambda _, __: None), raising=False)


@fuzz(150)
@given(st.lists(steps, max_size=14), switches)
def test_a_client_that_follows_the_rules_ends_with_what_exists(script: list[Any], chosen: Switches) -> None:
    asyncio.run(play(script, chosen))


async def test_the_model_meets_gaps_slices_and_differences_that_are_too_long() -> None:
    """The property above would be worth little if its client never had anything to make good."""
    script = [
        ("post", 12, True),
        ("settle",),
        ("post", 1, False),
        ("settle",),
        ("letter", 9),
        ("drop",),
        ("pushes", "loss", 1),
        ("letter", 9),
        ("post", 12, False),
        ("delete", [1, 2, 3], False),
        ("edit", 5, False),
    ]
    calm = await play(script, Switches())
    assert (calm.model.too_long, calm.model.differences >= 6) == (0, True)
    stormy = await play(script, Switches(too_long_above=3, account_too_long_above=4))
    assert stormy.model.too_long >= 2


async def test_a_model_that_loses_an_edit_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: a client that forgets one rule must not pass."""
    apply = Model._apply

    def forgetful(self: Model, update: Any) -> None:
        if not isinstance(update, types.UpdateDeleteChannelMessages):
            return
        apply(self, update)

    monkeypatch.setattr(Model, "_apply", forgetful)
    with pytest.raises(AssertionError):
        await play([("edit", 1, True), ("edit", 2, True)], Switches())
