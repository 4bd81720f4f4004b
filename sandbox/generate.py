"""A world out of nothing but a seed, and channels out of a folder of posts."""

import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sandbox.channels import Channel
from sandbox.exports import load_export
from sandbox.phrases import CHANNELS, NAMES, write_text
from sandbox.plans import MAX_ID, USERNAME
from sandbox.posts import Post, Posts
from sandbox.world import DC_ID, Account, World

FIRST_ACCOUNT = 7_100_000_001
BOT_ID = 6_800_000_001
FIRST_CHANNEL = 1_500_000_000
FIRST_LOADED_CHANNEL = 2_000_000_000
NEWEST = int(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp())
"""Generated posts end here, not at today: the same seed must give the same world tomorrow."""
_PAUSES = range(60, 7_200)
"""Seconds between two posts."""


class PostsFolderError(Exception):
    """The folder of posts can't be used; the text says which file and why."""


class ShapeError(ValueError):
    """Numbers that no world can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What decides how a world looks when it is born."""

    accounts: int = 3
    channels: int = 6
    posts: int | None = None
    """Over all generated channels; None for 50 a channel."""
    seed: int = 1
    posts_dir: Path | None = None
    export: Path | None = None
    """A `result.json` of Telegram Desktop."""

    def __post_init__(self) -> None:
        if self.accounts < 1:
            raise ShapeError("a sandbox needs at least 1 user account")
        if self.channels < 0 or (self.posts is not None and self.posts < 0):
            raise ShapeError("the numbers of channels and posts can't be negative")

    @property
    def total_posts(self) -> int:
        return 50 * self.channels if self.posts is None else self.posts


def build_world(shape: Shape) -> World:
    """Raises PostsFolderError, ExportError."""
    accounts = [*(_account(n, shape.seed) for n in range(shape.accounts)), _bot(shape.seed)]
    loaded = list(load_channels(shape.posts_dir)) if shape.posts_dir else []
    generated = [_channel(n, shape) for n in range(shape.channels)]
    if shape.export:
        names = [channel.username for channel in loaded + generated if channel.username]
        loaded += load_export(shape.export, [*names, *(account.username for account in accounts)])
    _check_told_apart(accounts, loaded, generated)
    users = [account.id for account in accounts if not account.is_bot]
    for n, channel in enumerate(loaded):
        channel.members = {users[(n + k) % len(users)] for k in range(2)}
    for n, channel in enumerate(generated):
        followers = 1 + (n % 2 == 0) + (n % 3 == 0)
        channel.members = {users[(n + k) % len(users)] for k in range(followers)}
    founded = partial(Recipe, shape.seed)
    return World(shape.seed, accounts, loaded + generated, founded)


def _check_told_apart(accounts: list[Account], loaded: list[Channel], generated: list[Channel]) -> None:
    """Raises ShapeError when a loaded channel has the id or the name of something else."""
    ids = {channel.id for channel in generated}
    names = {account.username.lower() for account in accounts}
    names |= {channel.username.lower() for channel in generated if channel.username}
    for channel in loaded:
        name = (channel.username or "").lower()
        if channel.id in ids:
            raise ShapeError(f"the channel {channel.title!r} has the id of another ({channel.id}): take another --seed")
        if name in names:
            raise ShapeError(f"the channel {channel.title!r} has a username that is taken ({name}): rename it")
        ids.add(channel.id)
        names |= {name} - {""}


def _account(n: int, seed: int) -> Account:
    first, last, username = NAMES[n % len(NAMES)]
    suffix = "" if n < len(NAMES) else str(n // len(NAMES) + 1)
    return Account(
        id=FIRST_ACCOUNT + n * 1009 + seed % 997,
        first_name=first,
        last_name=last,
        username=username + suffix,
        phone=f"99966{20000 + n:05d}",
        dc_id=DC_ID,
    )


def _bot(seed: int) -> Account:
    secret = blake2b(f"{seed}".encode(), digest_size=18, key=b"bot token").hexdigest()[:35]
    bot_id = BOT_ID + seed % 997
    return Account(
        id=bot_id,
        first_name="Warden",
        last_name="",
        username="sandbox_bot",
        phone="",
        dc_id=DC_ID,
        token=f"{bot_id}:{secret}",
    )


def _channel_id(n: int, seed: int) -> int:
    return FIRST_CHANNEL + n * 7919 + seed % 7919


def _channel(n: int, shape: Shape) -> Channel:
    title, username = CHANNELS[n % len(CHANNELS)]
    round_ = n // len(CHANNELS)
    share = shape.total_posts // shape.channels + (n < shape.total_posts % shape.channels)
    private = n % 6 == 5
    channel_id = _channel_id(n, shape.seed)
    recipe = Recipe(shape.seed, channel_id, title)
    channel = Channel(
        id=channel_id,
        username=None if private else username + (str(round_ + 1) if round_ else ""),
        title=title + (f" {round_ + 1}" if round_ else ""),
        about=f"Sandbox channel {n}, made from seed {shape.seed}.",
        posts=Posts(recipe),
    )
    rng = random.Random(f"{shape.seed}/channel/{n}")
    start = 1 if n % 3 != 2 else rng.randrange(1_000, 400_000)
    channel.posts.extend_made(*_places(rng, recipe, start, share))
    channel.settle()
    channel.date = channel.date or NEWEST
    return channel


def _places(rng: random.Random, recipe: "Recipe", start: int, count: int) -> tuple[list[int], list[int]]:
    """Ids that rise with holes, and the dates at which they were posted, ending shortly before NEWEST.

    A million of them are made before the sandbox is ready, so nothing more than this is decided here.
    """
    ids: list[int] = []
    dates: list[int] = []
    date, post_id = 0, start - 1
    holes = rng.choices((1, 2, 3, 5, 8), (92, 3, 2, 2, 1), k=count)
    pauses = rng.choices(_PAUSES, k=count)
    for n in range(count):
        post_id += holes[n] if n else 1
        if not recipe.continues_album(post_id):
            date += pauses[n]
        ids.append(post_id)
        dates.append(date)
    shift = NEWEST - rng.randrange(60, 3_600) - date
    return ids, [each + shift for each in dates]


class Recipe:
    """Makes the posts of one channel from its seed, each by itself and the same one each time."""

    __slots__ = ("_origin", "_salt", "_seed", "_title")

    def __init__(self, seed: int, channel_id: int, title: str = "Sandbox") -> None:
        self._seed = f"{seed}/{channel_id}/"
        self._salt = random.Random(self._seed).getrandbits(64) | 1
        self._title = title
        first = _channel_id(0, seed)
        self._origin = 0 if channel_id == first else first
        """The channel that others forward from."""

    def album(self, post_id: int) -> int:
        """The album (`grouped_id`) a post belongs to; 0 for none. One block of 8 ids in 12 holds one, of 2 to 4."""
        place = post_id & 7
        if not 1 <= place <= 4:
            return 0
        mixed = ((post_id >> 3) + 1) * self._salt * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        if (mixed >> 40) % 12 or place > 2 + (mixed >> 20) % 3:
            return 0
        return mixed >> 2 | 1

    def continues_album(self, post_id: int) -> bool:
        return post_id & 7 > 1 and self.album(post_id) != 0

    def __call__(self, post_id: int, date: int) -> Post:
        rng = random.Random(f"{self._seed}{post_id}")
        if date > NEWEST:
            return self._published_now(rng, post_id, date)
        views = rng.randrange(50, 9_000)
        if post_id == 1:
            return Post(id=post_id, date=date, service="create")
        if album := self.album(post_id):
            first = not self.continues_album(post_id)
            text, entities = write_text(rng, self._title, post_id) if first else ("", ())
            return Post(
                id=post_id, date=date, text=text, entities=entities, media="photo", grouped_id=album, views=views
            )
        roll = rng.random()
        if roll < 0.02:
            service = rng.choice(("pin", "title"))
            pinned = max(1, post_id - rng.randrange(1, 10)) if service == "pin" else 0
            return Post(id=post_id, date=date, service=service, reply_to=pinned)
        if roll < 0.08:
            return Post(id=post_id, date=date, media="photo", views=views)
        text, entities = write_text(rng, self._title, post_id)
        post = Post(
            id=post_id,
            date=date,
            text=text,
            entities=entities if rng.random() < 0.6 else (),
            media=rng.choices(("", "photo", "document"), (6, 3, 1))[0],
            reply_to=max(1, post_id - rng.randrange(1, 20)) if rng.random() < 0.07 else 0,
            views=views,
            forwards=rng.randrange(views // 20 + 1),
            reactions=_reactions(rng, views) if rng.random() < 0.3 else (),
        )
        if rng.random() < 0.05:
            if self._origin and rng.random() < 0.5:
                return replace(post, forwarded_post=(self._origin, rng.randrange(2, 40)))
            return replace(post, forwarded_from="Sandbox Newsroom")
        if rng.random() < 0.04:
            return replace(post, edited=date + rng.randrange(30, 3_600))
        return post

    def _published_now(self, rng: random.Random, post_id: int, date: int) -> Post:
        """Who asks for a post gets one: with a text, that can be edited, and that has just begun to be read."""
        text, entities = write_text(rng, self._title, post_id)
        media = rng.choices(("", "photo"), (3, 1))[0]
        return Post(id=post_id, date=date, text=text, entities=entities, media=media, views=1)


def _reactions(rng: random.Random, views: int) -> tuple[tuple[str, int], ...]:
    most = max(1, views // 50)
    return tuple(
        (emoji, rng.randrange(1, most + 1)) for emoji in rng.sample(("👍", "❤", "🔥", "😢"), k=rng.randint(1, 3))
    )


def folder_digest(folder: Path) -> str:
    """Changes with the posts, not with the place they lie in. Raises PostsFolderError."""
    digest = blake2b(digest_size=16)
    for file in _files(folder):
        try:
            digest.update(blake2b(file.read_bytes()).digest())
        except OSError as error:
            raise PostsFolderError(f"{file}: {error}") from error
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise PostsFolderError(f"{folder} is no folder; --posts-dir wants one that holds *.json files")
    files = sorted(folder.glob("*.json"))
    if not files:
        raise PostsFolderError(f"{folder} holds no *.json file")
    return files


def load_channels(folder: Path) -> Iterator[Channel]:
    """Every `*.json` of the folder as a channel. Raises PostsFolderError."""
    seen: dict[int, Path] = {}
    for file in _files(folder):
        try:
            channel = _loaded(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            fault = f"a key is missing: {error}" if isinstance(error, KeyError) else str(error)
            raise PostsFolderError(f"{file}: {fault}") from error
        if channel.id in seen:
            raise PostsFolderError(f"{file} and {seen[channel.id]} are the same channel")
        seen[channel.id] = file
        yield channel


def _loaded(content: dict[str, Any]) -> Channel:
    username = content["username"]
    if not isinstance(username, str) or not isinstance(content["posts"], list):
        raise TypeError("username must be text and posts a list")
    if not USERNAME.fullmatch(username):
        raise ValueError(f"{username!r} is no username: 4 to 32 letters, digits and _, a letter first")
    channel = Channel(
        id=FIRST_LOADED_CHANNEL + zlib.crc32(username.lower().encode()) % 100_000_000,
        username=username,
        title=str(content["title"]),
        generated=False,
    )
    posts, previous = [], 0
    for row in sorted(content["posts"], key=lambda row: int(row["id"])):
        post_id = int(row["id"])
        if not previous < post_id <= MAX_ID:
            raise ValueError(f"post id {post_id} is not from 1 to {MAX_ID} or stands there twice")
        date, text = _timestamp(row["date"]), str(row["text"])
        text.encode()  # half of a surrogate pair can't be sent
        posts.append(
            Post(
                id=post_id,
                date=date,
                text=text,
                media="photo" if row["media"] else "",
                reply_to=previous if row["is_reply"] else 0,
            )
        )
        previous = post_id
    channel.fill(posts)
    channel.date = channel.date or NEWEST
    return channel


def _timestamp(text: str) -> int:
    moment = datetime.fromisoformat(text)
    seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    if not 0 < seconds <= MAX_ID:
        raise ValueError(f"the date {text} is not from 1970 to 2038")
    return seconds
