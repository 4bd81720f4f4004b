"""The short form of bench/sandbox.py: the whole world is made, and what it costs stays far from the bars."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import aiohttp

from sandbox.codec.posts import message
from sandbox.generate import Shape, build_world
from sandbox.posts import Shelf


async def test_a_thousand_accounts_ten_thousand_channels_and_a_million_posts_are_ready_soon() -> None:
    begun = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox", "--accounts", "1000", "--channels", "10000", "--posts", "1000000",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        first = json.loads(await process.stdout.readline())
        assert time.monotonic() - begun < 60
        pages = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1])
        assert pages * os.sysconf("SC_PAGE_SIZE") < 2**30
        async with aiohttp.ClientSession(first["control"]) as http:
            async with http.get("/world") as answer:
                world = await answer.json()
            assert (len(world["accounts"]), len(world["channels"])) == (1001, 10_000)
            async with http.get("/ledger", params={"channel": world["channels"][-1]["id"]}) as answer:
                (channel,) = (await answer.json())["channels"]
            assert len(channel["posts"]) == 100
    finally:
        process.terminate()
        await process.wait()


def test_the_same_seed_makes_the_same_world_in_whatever_order_it_is_read() -> None:
    shape = Shape(accounts=5, channels=12, posts=3_000, seed=9)
    one, other = build_world(shape), build_world(shape)
    for channel in one.channels.values():
        twin = other.channels[channel.id]
        backwards = {post_id: twin.posts[post_id] for post_id in reversed(twin.ids)}
        assert {post.id: post for post in channel.posts.values()} == backwards
        assert list(channel.posts.dates) == sorted(channel.posts.dates)
    assert build_world(Shape(accounts=5, channels=12, posts=3_000, seed=10)).channels.keys() != one.channels.keys()


def test_the_shelf_keeps_what_fits_and_forgets_the_oldest_first() -> None:
    shelf = Shelf(room=80 * (100 + Shelf.OVERHEAD))
    for number in range(1, 1001):
        shelf.put(1, number, bytes(100))
        assert 70 <= len(shelf) <= 80 or number < 80
    kept = [number for number in range(1, 1001) if shelf.find(1, number) is not None]
    assert kept == list(range(1001 - len(shelf), 1001))
    shelf.drop(1, 990)
    assert (shelf.find(1, 990), len(shelf)) == (None, len(kept) - 1)


def test_messages_on_the_shelf_are_the_ones_that_would_be_made_anew() -> None:
    world = build_world(Shape(accounts=3, channels=3, posts=300))
    for channel in world.channels.values():
        for post_id in channel.ids:
            first = message(world, channel, post_id)
            assert message(world, channel, post_id) is first
            world.shelf.drop(channel.id, post_id)
            assert message(world, channel, post_id) == first


def test_a_message_costs_the_same_however_many_channels_there_are() -> None:
    """Once it was intersected with all of them: four times the cost, and nothing else showed it."""

    def cost(channels: int) -> float:
        world = build_world(Shape(accounts=3, channels=channels, posts=channels * 10))
        some = list(world.channels.values())[:100]
        best = float("inf")
        for _ in range(3):
            world.shelf.clear()
            begun = time.process_time()
            for channel in some:
                for post_id in channel.ids:
                    message(world, channel, post_id)
            best = min(best, time.process_time() - begun)
        return best

    assert cost(10_000) < 2.5 * cost(100)
