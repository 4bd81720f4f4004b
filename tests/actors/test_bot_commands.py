"""The bot's commands, said by people's own clients to a bot among real accounts."""

import base64
import re
import time
from contextlib import asynccontextmanager

import pytest
from telethon.tl import functions, types

from actors.chat.signing import picture_of
from actors.messages.alerts import RaiseAlert
from actors.messages.ids import AccountId
from actors.messages.jobs import ParseUser
from actors.runtime.owner import LoopOwner
from actors.supervisor import Parts, Root
from config.model import Admin, Collection, Plan, Settings, Start
from sandbox.client import Sandbox
from tests.actors.telegram.house import fail, place_of
from tests.actors.test_bot import chat_of
from tests.adversity.storm import FastClock, FastTree
from tests.daemon.store.rows import ask

PAGE = "https://telewarden.example.org"


class BotTree(FastTree):
    """Two accounts that are signed in, one that isn't, and the bot."""

    def start_with(self, **settings):
        self.owner = LoopOwner(clock=FastClock(self.faster))
        (bot,) = (each for each in self.sandbox.dc.world.accounts.values() if each.is_bot)
        collection = Collection(start=Start(policy="last", count=5))
        parts = Parts(
            settings=Settings(collection=collection, **settings),
            store=self.store,
            metrics=self.metrics,
            datacenter=place_of(self.sandbox),
            loopback_only=True,
            bot_token=bot.token,
        )
        self.bot_id = bot.id
        self.root = Root.start(parts=parts, key="supervisor")

    async def until_the_bot_is_up(self):
        async def is_up():
            row = await self.store.accounts.one(AccountId(self.bot_id))
            return row is not None and row.state == "active"

        await self.until(is_up)

    def calls_of(self, account):
        """Requests that an account's keys have made, but for those of its chat with the bot."""
        made = self.sandbox.requests()["by_account"].get(str(account), {})
        return {name: many for name, many in made.items() if name.startswith(("updates.", "channels.", "users."))}

    def shown_token(self):
        """The one that the last QR code shows."""
        return next(reversed(self.sandbox.dc.logins._tokens))

    @property
    def people(self):
        return [each for each in self.sandbox.dc.world.accounts.values() if not each.is_bot]

    @asynccontextmanager
    async def chat(self, account):
        async with chat_of(self.sandbox, account.id, self.bot_id) as chat:
            yield chat


@asynccontextmanager
async def bot_tree(store, *, channels=4, alerts=lambda _: (), prepare=lambda _: None, faster=4, **settings):
    async with Sandbox(accounts=3, channels=channels, posts=10 * channels) as sandbox:
        tree = BotTree(sandbox, store)
        tree.faster = faster
        for account, standing in zip(tree.people, ("member", "left", "left"), strict=True):
            for channel in sandbox.dc.world.channels.values():
                if (account.id in channel.members) != (standing == "member"):
                    sandbox.dc.move(channel, account, standing, silent=True)
        prepare(tree)
        await tree.sign_in()
        await store.people.remove(AccountId(tree.people[2].id), ())  # a stranger
        await store.people.set_role(AccountId(tree.people[0].id), "owner")
        for alert in alerts(tree.people):
            await store.alerts.raise_alert(alert)
        tree.start_with(**settings)
        try:
            await tree.signed_in()
            await tree.until_the_bot_is_up()
            yield tree
        finally:
            await tree.stop()


@pytest.fixture
async def tree(store):
    plans = (Plan(name="default"), Plan(name="small", channels=1))
    async with bot_tree(store, plans=plans, admin=Admin(public_url=PAGE)) as tree:
        yield tree


async def picture_in(chat, note):
    photo = note.media.photo
    place = types.InputPhotoFileLocation(photo.id, photo.access_hash, photo.file_reference, "x")
    return (await chat.client.ask(functions.upload.GetFileRequest(place, 0, 1024 * 1024))).bytes


async def test_an_invited_person_comes_in_signs_in_by_a_picture_and_gets_a_page_for_the_password(tree, store, dsn):
    owner, _, vera = tree.people
    tree.sandbox.dc.secure(vera, password="four words")
    async with tree.chat(owner) as chat, tree.chat(vera) as guest:
        await guest.say("/login")
        assert "приглаш" in await guest.hear()
        await chat.say("/invite admin 2")
        told = await chat.hear()
        code = re.search(r"start=([\w-]+)", told)[1]
        await guest.say(f"/start wrong{code}")
        assert await guest.hear() == "Такого приглашения нет."
        await guest.say(f"/start {code}")
        assert "/login" in await guest.hear()
        assert (await store.accounts.one(AccountId(vera.id))).role == "admin"

        await guest.say("/login")
        asked = await guest.hear_note()
        assert "Личные чаты" in asked.message
        await guest.press(asked, "Согласен")
        shown = await guest.hear_note()
        assert "не присылайте" in shown.message
        (button,) = shown.reply_markup.rows[0].buttons
        assert button.type.url.startswith(f"{PAGE}/login/")
        link = base64.urlsafe_b64encode(tree.shown_token()).decode().rstrip("=")
        assert await picture_in(guest, shown) == picture_of(f"tg://login?token={link}")
        ((road,),) = await ask(dsn, "SELECT road FROM consents WHERE user_id = $1", vera.id)
        assert road == "bot"

        tree.sandbox.dc.accept_token(tree.shown_token(), vera)
        on_page = await guest.hear_note()
        assert "пароль" in on_page.message
        assert on_page.reply_markup.rows[0].buttons[0].type.url.startswith(f"{PAGE}/login/")


async def test_a_person_without_a_password_is_signed_in_by_the_picture_alone_and_signs_out(tree, store):
    owner, _, vera = tree.people
    async with tree.chat(owner) as chat, tree.chat(vera) as guest:
        await chat.say("/invite")
        code = re.search(r"start=([\w-]+)", await chat.hear())[1]
        await guest.say(f"/start {code}")
        await guest.hear()
        await guest.say("/login")
        await guest.press(await guest.hear_note(), "Согласен")
        await guest.hear_note()
        tree.sandbox.dc.accept_token(tree.shown_token(), vera)
        assert "подключён" in await guest.hear()

        async def is_active():
            return (await store.accounts.one(AccountId(vera.id))).state == "active"

        await tree.until(is_active)
        await guest.say("/login")
        assert "уже подключён" in await guest.hear()
        await guest.say("/logout")
        assert "отключён" in await guest.hear()
        assert not (await store.accounts.one(AccountId(vera.id))).has_session
        await guest.say("/parse")
        assert "/login" in await guest.hear()


async def test_a_channel_is_added_by_name_link_forward_and_invite_and_removed(tree, store):
    boris = tree.people[1]
    first, second, third, fourth = tree.sandbox.dc.world.channels.values()
    for channel in (first, second):
        tree.sandbox.dc.alter(channel, username=f"name_{channel.id}", quiet=True)
    tree.sandbox.dc.alter(fourth, username="", quiet=True)
    tree.sandbox.dc.move(third, boris, "member", silent=True)
    async with tree.chat(boris) as chat:
        await chat.say("/add")
        assert "/add @channel" in await chat.hear()
        await chat.say(f"/add @{first.username}")
        assert await chat.hear() == f"✅ @{first.username}: слежу"
        await chat.say(f"https://t.me/{first.username}/3")
        assert await chat.hear() == f"@{first.username}: уже слежу"
        await chat.say("/add @nobody_bears_this")
        assert "USERNAME_NOT_OCCUPIED" in await chat.hear()

        resolved = await chat.client.ask(functions.contacts.ResolveUsernameRequest(second.username))
        peer = types.InputPeerChannel(second.id, resolved.chats[0].access_hash)
        post = second.ids[-1]
        await chat.client.ask(functions.messages.ForwardMessagesRequest(peer, [post], chat.bot, random_id=[post]))
        assert await chat.hear() == f"✅ @{second.username}: слежу"

        await chat.say(f"/add https://t.me/+{fourth.invite}")
        asked = await chat.hear_note()
        assert "Вступить" in asked.message
        await chat.press(asked, "Вступить")
        assert await chat.hear() == f"✅ {fourth.title}: слежу"
        assert boris.id in fourth.members

        await chat.say(f"/remove {first.username}")
        assert await chat.hear() == f"@{first.username}: больше не слежу"
        await chat.say("/remove @nobody")
        assert "/remove" in await chat.hear()

        await store.people.set_plan(AccountId(boris.id), "small")
        await chat.say(f"/add @{first.username}")
        assert await chat.hear() == "Больше 1 каналов в вашем тарифе нельзя."


async def test_channels_are_listed_by_pages_with_buttons_and_folders_taken_over(store):
    async with bot_tree(store, channels=10) as tree, tree.chat(tree.people[0]) as chat:
        await chat.say("/channels")
        page = await chat.hear_note()
        assert page.message.splitlines()[0] == "Ваши каналы, 10: (1/2)"
        assert len(page.message.splitlines()) == 9
        await chat.press(page, "›")
        second = await chat.see()
        assert (second.id, len(second.message.splitlines())) == (page.id, 3)
        name = second.message.splitlines()[1].removeprefix("• ")
        await chat.press(second, f"✖ {name[:10]}")
        dropped = await chat.see()
        assert (dropped.message.splitlines()[0], name in dropped.message) == ("Ваши каналы, 9: (2/2)", False)

        channel = tree.sandbox.dc.world.named(name.removeprefix("@")) or next(
            each for each in tree.sandbox.dc.world.channels.values() if each.title == name
        )
        tree.sandbox.dc.file(tree.people[0], 5, "Новости", (channel,))
        await chat.say("/import")
        folders = await chat.hear_note()
        await chat.press(folders, "📁 Новости")
        assert await chat.hear() == "✅ Новых каналов: 1, уже было: 0"


async def test_latest_and_schedule_are_told(tree):
    async with tree.chat(tree.people[0]) as chat, tree.chat(tree.people[1]) as follower_of_nothing:
        await follower_of_nothing.say("/latest")
        assert await follower_of_nothing.hear() == "Постов пока нет."
        assert (await tree.parse()).state == "success"
        await chat.say("/latest")
        told = (await chat.hear()).split("\n\n")
        assert len(told) == 5
        assert all("UTC" in each.splitlines()[0] for each in told)
        await chat.say("/schedule")
        assert await chat.hear() == "Каналы собираются:\n• каждые 30m"


async def test_what_somebody_says_at_once_is_answered_in_its_order(tree, store):
    owner, _, vera = tree.people
    async with tree.chat(owner) as chat, tree.chat(vera) as guest:
        await chat.say("/invite")
        code = re.search(r"start=([\w-]+)", await chat.hear())[1]
        for text in (f"/start {code}", "/login", "/parse", "/help"):
            await guest.say(text)
        heard = [await guest.hear() for _ in range(4)]
        words = ("Приглашение принято", "Личные чаты", "/login", "/status")
        assert [word in text for word, text in zip(words, heard, strict=True)] == [True] * 4
    assert (await store.accounts.one(AccountId(vera.id))).language == "ru"


async def test_only_administrators_see_others_and_invite(tree, store):
    owner, boris, _ = tree.people
    async with tree.chat(owner) as chat, tree.chat(boris) as user:
        for command in ("/users", "/accounts", "/invite"):
            await user.say(command)
            assert await user.hear() == "Это могут только администраторы."
        await chat.say("/users")
        told = await chat.hear()
        assert f"({boris.id}): user, default, " in told
        await chat.say("/accounts")
        assert "active · " in await chat.hear()
        await store.people.set_role(AccountId(boris.id), "admin")
        await user.say("/invite owner")
        assert await user.hear() == "Это могут только администраторы."
        await user.say("/invite many")
        assert "/invite 5" in await user.hear()


def delivered(tree, **counts):
    async def so_many():
        sample = tree.metrics.registry.get_sample_value
        told = {each: sample("telewarden_deliveries_total", {"kind": "alert", "result": each}) for each in counts}
        return told == counts

    return so_many


async def test_alerts_that_come_together_are_told_together_and_once_and_their_user_is_told_the_way_back(store):
    def alerts(people):
        lost = [RaiseAlert(kind="channel_private", channel_id=each, cause="nobody can read it") for each in range(3)]
        return [*lost, RaiseAlert(kind="refused", account_id=people[2].id, cause="SESSION_REVOKED")]

    async with bot_tree(store, alerts=alerts, faster=60) as tree:
        owner, boris, _ = tree.people
        # What can't be said isn't taken for told.
        fail(tree.sandbox, "messages.sendMessage", (500, "INTERNAL"), count=1)
        async with tree.chat(owner) as chat:
            told = (await chat.hear_note(within=40)).message.splitlines()
            assert (told[0], len(told)) == ("🚨 Требуют внимания, 4:", 3)
        await tree.until(delivered(tree, sent=1, failed=1))
        mine = (await store.accounts.session(AccountId(boris.id))).auth_key
        (key,) = (each for each in tree.sandbox.dc.keys.of(boris.id) if each.key == mine)
        # As the bot hears of it from the person's app.
        await store.people.set_language(AccountId(boris.id), "en")
        tree.sandbox.dc.revoke(key, "SESSION_REVOKED")
        tree.sandbox.drop_connections()
        async with tree.chat(owner) as chat, tree.chat(boris) as user:
            note = (await user.hear_note(within=60)).message
            assert ("/login" in note, "account" in note) == (True, True)
            told = (await chat.hear_note(within=60)).message.splitlines()
            assert told[0] == "🚨 Требуют внимания, 1:"
            assert told[1].startswith(f"• key_dead, @{boris.username}: ")
        await tree.until(delivered(tree, sent=3, failed=1))


async def test_a_revoked_session_is_parked_at_once_and_a_picture_brings_back_every_post(store):
    def prepare(tree):
        shared, alone = list(tree.sandbox.dc.world.channels.values())[:2]
        for channel in (shared, alone):
            tree.sandbox.dc.move(channel, tree.people[1], "member", silent=True)
        tree.sandbox.dc.move(alone, tree.people[0], "left", silent=True)

    async with bot_tree(store, prepare=prepare) as tree:
        boris, dc = tree.people[1], tree.sandbox.dc
        shared, alone = list(dc.world.channels.values())[:2]
        assert (await tree.parse()).state == "success"
        mine = (await store.accounts.session(AccountId(boris.id))).auth_key
        (key,) = (each for each in dc.keys.of(boris.id) if each.key == mine)
        dc.revoke(key, "SESSION_REVOKED")
        await tree.owner.find("scheduler").call(ParseUser(account_id=AccountId(boris.id)))
        refused = time.monotonic()

        async def is_parked():
            return (await store.accounts.one(AccountId(boris.id))).state == "revoked"

        await tree.until(is_parked)
        assert time.monotonic() - refused <= 1
        assert not (await store.accounts.one(AccountId(boris.id))).has_session
        requests = tree.calls_of(boris.id)
        posts = dc.publish(alone, count=7)
        dc.publish(shared, count=3)

        async def shared_goes_on():
            return (await tree.held(shared.id)).keys() >= set(shared.ids[-3:])

        await tree.until(shared_goes_on)
        assert tree.calls_of(boris.id) == requests, "a dead key is never used again"

        async with tree.chat(boris) as chat:
            await chat.say("/login")
            await chat.press(await chat.hear_note(), "Согласен")
            await chat.hear_note()
            dc.accept_token(tree.shown_token(), boris)
            while "подключён" not in await chat.hear():
                pass

            async def all_is_there():
                return (await tree.held(alone.id)).keys() >= set(posts)

            await tree.until(all_is_there, within=40)
