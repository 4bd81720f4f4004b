"""The data centre: its doors, the world behind them, and the one way in which that world changes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, cached_property, partial
from typing import Any, Self

from telethon.crypto import AuthKey as ClientKey
from telethon.sessions import StringSession

from sandbox import methods, plans
from sandbox.changes import Change, Deleted, Edited, Filed, Grown, Posted, Reworded, Sent
from sandbox.channels import Channel, Event
from sandbox.codec.files import document_name, document_size
from sandbox.codec.letters import letter_edited
from sandbox.codec.updates import token_accepted
from sandbox.connection import Connection
from sandbox.crypto import ServerKey
from sandbox.dispatch import Dispatcher
from sandbox.doors import Doors
from sandbox.exports import export_digest
from sandbox.generate import Shape, build_world, folder_digest
from sandbox.hub import Hub
from sandbox.keys import AuthKey, Json, Keyring
from sandbox.letters import Letter
from sandbox.logins import Logins, LoginToken
from sandbox.memory import Memory
from sandbox.posts import Entity, File, Post
from sandbox.rate import SteadyRate
from sandbox.salts import Salts
from sandbox.state import State, StateError
from sandbox.switches import Switches
from sandbox.world import Account, World, WorldError

GENERATION = 3
"""Counted up when the same shape gives another world, so that an older state directory isn't read as one of it."""


class DataCentre:
    """Owns everything that a client can reach: one world behind two data-centre ids. Use `open` and `close`."""

    def __init__(
        self,
        shape: Shape,
        state: State | None,
        *,
        rate: float = 0.0,
        switches: Switches | None = None,
    ) -> None:
        self.shape = shape
        self.world: World = build_world(shape)
        self.clock = self.world.clock
        self.keys = Keyring(state.save_key if state else lambda _: None)
        self.salts = Salts(self.clock)
        self.uploads: dict[tuple[int, int], dict[int, bytes]] = {}
        """Parts of files that are being sent, by account and file."""
        self.menus: dict[tuple[int, str], list[Any]] = {}
        """A bot's commands by its id and the language; a restart forgets them."""
        self.hub = Hub(self.world)
        self.memory = Memory()
        self.dispatcher = Dispatcher(methods.ALL, self.clock)
        self.logins = Logins(self.clock)
        self.switches = switches or Switches()
        self.doors = Doors(partial(Connection, self))
        self.published = 0
        """Posts and group messages that came while it ran."""
        self._state = state
        self._publisher = SteadyRate(self, rate, shape.seed)

    @classmethod
    def build(cls, shape: Shape, state: State | None = None, **options: Any) -> Self:
        """The world as the seed made it, and as the state's journal changed it.

        Raises PostsFolderError, ExportError, StateError.
        """
        dc = cls(shape, state, **options)
        if state:
            for row in state.saved_keys():
                try:
                    dc.keys.load(row)
                except (ValueError, TypeError) as error:
                    raise StateError(f"the saved auth keys can't be read ({error}): delete the directory") from error
            dc.keys.settle()
            state.compact_keys(dc.keys.rows())
            _ = dc.server_key  # read or written now, not in the middle of a client's key exchange
            for change in state.saved_changes():
                try:
                    dc.world.apply(change)
                except (LookupError, WorldError) as error:
                    raise StateError(
                        f"the journal speaks of what isn't there ({error!r}): delete the directory"
                    ) from error
        return dc

    @cached_property
    def server_key(self) -> ServerKey:
        """Made when first needed: ready sessions never ask for it, and making one takes a tenth of a second."""
        return self._state.server_key() if self._state else _passing_key()

    @property
    def address(self) -> str:
        return next(iter(self.doors)).address

    @property
    def port(self) -> int:
        return next(iter(self.doors)).port

    async def open(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen and publish from now on; see `Doors.open`. Raises NotLoopbackError, StateError, OSError."""
        await self.doors.open(host, port, self._state.ports() if self._state else {})
        if self._state:
            self._state.save_ports({door.dc_id: door.port for door in self.doors})
        self._publisher.start()

    async def close(self) -> None:
        """Stop publishing, stop listening, drop every client; then nothing of it is left open."""
        await self._publisher.stop()
        await self.doors.close()
        if self._state:
            self._state.close()

    def drop_connections(self, *, down: float = 0.0) -> int:
        """Cut off every client, as a network failure would, and refuse new ones for `down` seconds; how many."""
        return self.doors.drop(down=down)

    # Sessions

    def session(self, account: Account, name: str = "") -> tuple[AuthKey, str]:
        """A signed-in auth key and its Telethon session string: a new one, or the one of that name."""
        key = self.keys.mint(account.id, name, dc_id=account.dc_id, at=self.clock.seconds())
        door = self.doors.find(key.dc_id)
        session = StringSession()
        session.set_dc(door.dc_id, door.address, door.port)
        session.auth_key = ClientKey(key.key)
        return key, str(session.save())

    def revoke(self, key: AuthKey, error: str) -> None:
        """Every call with the key is refused with `error` from now on, and nothing is pushed to it.

        So it goes with the keys at other data centres to which its authorization was handed over.
        """
        for each in self.keys.kin(key):
            self.keys.change(each, refusal=error, awaits_password=0)
            self._forget(each)

    def sign_out(self, key: AuthKey) -> None:
        """The key, and those to which its authorization was handed over, belong to nobody from now on."""
        for each in self.keys.kin(key):
            self.keys.change(each, account_id=0, awaits_password=0, parent="")
            self._forget(each)

    def _forget(self, key: AuthKey) -> None:
        self.hub.hush(key)
        self.logins.takeouts.pop(key.id, None)
        self.logins.drop_tokens(key)

    def accept_token(self, token: bytes, account: Account) -> LoginToken:
        """Let the key in that shows this QR token, as if the account had scanned it. Raises LoginError."""
        found = self.logins.accept_token(token, account)
        self.tell(found.key, token_accepted(self.clock.seconds()))
        return found

    def tell(self, key: AuthKey, body: bytes) -> None:
        """Push to the open sessions of one key, signed in or not."""
        for _, connection in self.doors.connections.values():
            for session in connection.sessions(key) if connection else ():
                session.push(body)

    # Changes. Each is written down before anybody is told.

    def _carry_out(self, change: Change) -> list[Event]:
        if self._state:
            self._state.save_change(change)
        return self.world.apply(change)

    def _move_channel(
        self,
        channel: Channel,
        change: Posted | Grown | Edited | Deleted,
        *,
        silent: bool,
        by: AuthKey | None = None,
    ) -> None:
        events = self._carry_out(change)
        self.published += sum(event.kind == "new" for event in events)
        if not silent:
            self.hub.channel_moved(channel, events, change.at, by)

    def publish(
        self, channel: Channel, texts: Sequence[str] = (), *, count: int = 0, silent: bool = False
    ) -> list[int]:
        """New posts with these texts, then `count` generated ones; their ids. Raises WorldError."""
        at = self.clock.seconds()
        drafts = [partial(_plain_post, at, text) for text in texts]
        ids = self.publish_drafts(channel, drafts, silent=silent) if drafts else []
        if count:
            grown = plans.growth(channel, count, at, silent=silent)
            self._move_channel(channel, grown, silent=silent)
            ids += range(grown.first, grown.first + count)
            self._forward_to_group(channel, ids[-count:], silent=silent)
        return ids

    def publish_drafts(
        self,
        channel: Channel,
        drafts: Sequence[Callable[[int], Post]],
        *,
        silent: bool = False,
        by: AuthKey | None = None,
    ) -> list[int]:
        """New posts, each made from the id it gets; in a channel with a discussion group their twins follow there.

        Nothing is pushed to the key `by`, whose answer says it all.
        """
        change = plans.posts(channel, drafts, self.clock.seconds(), silent=silent)
        self._move_channel(channel, change, silent=silent, by=by)
        ids = [post.id for post in change.posts]
        self._forward_to_group(channel, ids, silent=silent)
        return ids

    def _forward_to_group(self, channel: Channel, ids: Sequence[int], *, silent: bool) -> None:
        if channel.linked_id and channel.broadcast:
            posts = [channel.posts[post_id] for post_id in ids]
            twins = [partial(_twin, channel.id, post) for post in posts if not post.service]
            if twins:
                self.publish_drafts(self.world.channels[channel.linked_id], twins, silent=silent)

    def edit(
        self,
        channel: Channel,
        post_id: int,
        text: str,
        *,
        entities: tuple[Entity, ...] = (),
        hidden: bool = False,
        silent: bool = False,
    ) -> None:
        """Raises WorldError when there is no such post."""
        change = plans.edit(channel, post_id, self.clock.seconds(), text=text, entities=entities, hidden=hidden)
        self._move_channel(channel, change, silent=silent)
        if channel.linked_id and channel.broadcast:  # its twin in the group follows
            group = self.world.channels[channel.linked_id]
            if (twin := group.roots.get(post_id, 0)) in group.posts:
                self.edit(group, twin, text, entities=entities, hidden=hidden, silent=silent)

    def delete(self, channel: Channel, ids: Sequence[int], *, silent: bool = False) -> list[int]:
        """The ids that were there and are gone now."""
        change = plans.deletion(channel, ids, self.clock.seconds())
        if change.ids:
            self._move_channel(channel, change, silent=silent)
        return list(change.ids)

    def count(self, channel: Channel, post_id: int, **figures: Any) -> None:
        """New `views`, `forwards` or `reactions` under a post. Raises WorldError when there is no such post."""
        change = plans.figures(channel, post_id, self.clock.seconds(), **figures)
        self._carry_out(change)
        self.hub.figures_changed(channel, change)

    def found(self, title: str, username: str | None, *, group_of: Channel | None = None, first_id: int = 1) -> Channel:
        """A new channel, or the discussion group of one. Raises WorldError."""
        at = self.clock.seconds()
        change = plans.founding(self.world, title, username, at, group_of=group_of, first_id=first_id)
        self._carry_out(change)
        return self.world.channels[change.channel_id]

    def alter(self, channel: Channel, *, quiet: bool = False, **features: Any) -> None:
        """Change a channel's own features, as `Altered` names them, and tell its members unless `quiet`.

        Raises WorldError.
        """
        change = plans.features(self.world, channel, self.clock.seconds(), **features)
        self._carry_out(change)
        if not quiet:
            self.hub.channel_altered(channel, change.at)

    def renew_invite(self, channel: Channel) -> str:
        """A new invite link; the one before is void."""
        self._carry_out(plans.new_invite(self.world, channel, self.clock.seconds()))
        return channel.invite

    def move(
        self,
        channel: Channel,
        account: Account,
        standing: str,
        *,
        silent: bool = False,
        by: AuthKey | None = None,
    ) -> None:
        """Make an account a `member`, `left`, `banned` or `waiting`, and tell its sessions, but not the key `by`.

        Raises WorldError.
        """
        change = plans.standing(channel, account, standing, self.clock.seconds(), silent=silent)
        self._carry_out(change)
        if standing != "waiting" and not silent:
            self.hub.channel_altered(channel, change.at, only=account.id, by=by)

    def secure(self, account: Account, *, password: str | None = None, dc_id: int | None = None) -> None:
        """Give an account a password ('' takes it away) or another home. Raises WorldError."""
        self._carry_out(plans.security(account, self.clock.seconds(), password=password, dc_id=dc_id))

    def write(self, sender: Account, receiver: Account, text: str) -> Sent:
        """A private message, as if another client of the sender had sent it."""
        return self._send_letter(sender.id, receiver.id, None, text=text)

    def send_letter(self, key: AuthKey, receiver: int, **fields: Any) -> Sent:
        """A private message from the account signed in with `key`; the fields are those of `Sent`."""
        return self._send_letter(key.account_id, receiver, key, **fields)

    def _send_letter(self, sender: int, receiver: int, by: AuthKey | None, **fields: Any) -> Sent:
        change = plans.letter(self.world, sender, receiver, self.clock.seconds(), **fields)
        self._carry_out(change)
        self.hub.letter_sent(change, by)
        return change

    def reword(self, key: AuthKey, row: Letter, text: str, **more: Any) -> None:
        """Edit a private message of the account signed in with `key`, and tell both sides."""
        me = key.account_id
        self._carry_out(Reworded(at=self.clock.seconds(), sender=me, sender_message=row.id, text=text, **more))
        for owner, message_id in {me: row.id, row.peer: row.twin}.items():
            edited = self.world.boxes[owner].find(message_id)
            if edited is not None:
                self.hub.push_to(owner, letter_edited(self.world, owner, edited), but=key)

    def file(self, account: Account, folder_id: int, title: str, channels: Iterable[Channel]) -> None:
        """Make or replace a folder of an account's dialogs; without channels it is gone."""
        ids = tuple(channel.id for channel in channels)
        at = self.clock.seconds()
        self._carry_out(Filed(at=at, account_id=account.id, folder_id=folder_id, title=title, channel_ids=ids))


@cache
def _passing_key() -> ServerKey:
    """Of a data centre that isn't kept: one for all that a process runs."""
    return ServerKey.generate()


def _plain_post(at: int, text: str, post_id: int) -> Post:
    return Post(id=post_id, date=at, text=text, views=1)


def _twin(channel_id: int, post: Post, post_id: int) -> Post:
    """A channel's post as it is forwarded into the discussion group, where its comments go."""
    origin = (channel_id, post.id)
    file = post.file
    if post.media and not (file and file.of):
        name, size = document_name(post), document_size(post)
        file = replace(file or File(), of=origin, name=name, size=size)
    return replace(post, id=post_id, file=file, forwarded_post=origin, reply_to=0, reactions=(), views=0, forwards=0)


def shape_row(shape: Shape) -> Json:
    """What a state directory remembers of a shape, to refuse another one. Raises PostsFolderError, ExportError."""
    return {
        "accounts": shape.accounts,
        "channels": shape.channels,
        "posts": shape.total_posts,
        "seed": shape.seed,
        "generation": GENERATION,
        "posts_dir": folder_digest(shape.posts_dir) if shape.posts_dir else None,
        "export": export_digest(shape.export) if shape.export else None,
    }
