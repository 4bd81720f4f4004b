"""The control bot in the sandbox: real private chats over a socket."""

import asyncio
import secrets
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from telethon.tl import functions, types

from actors import log
from actors.bot import Bot
from actors.errors import UserNotSignedIn
from actors.messages.content import Profile
from actors.messages.ids import AccountId, JobId
from actors.messages.jobs import AwaitJob, DescribeJob, Job, ParseUser
from actors.runtime.actor import TaskActor
from config.model import Settings
from tests.actors.telegram.house import Watcher, account_ids, calls, fail, open_client, place_of


class Parser(TaskActor):
    """Stands where the scheduler stands."""

    def __init__(self, asked, error=None):
        super().__init__()
        self.asked = asked
        self.error = error
        self.job = Job(job_id=JobId("j"), kind="user", user_id=None, state="running", channels_total=4, channels_done=1)

    def on_receive(self, message):
        self.asked.append(message)
        match message:
            case ParseUser() if self.error is not None:
                raise self.error
            case ParseUser() | DescribeJob():
                return self.job
            case AwaitJob():
                waits = sum(isinstance(each, AwaitJob) for each in self.asked)
                return self.job if waits < 2 else replace(self.job, state="success", posts_added=47)


class Chat:
    """One user's private chat with the bot, over the user's own client."""

    def __init__(self, client, bot, pushes):
        self.client, self.bot, self.pushes = client, bot, pushes

    async def say(self, text):
        await self.client.ask(functions.messages.SendMessageRequest(self.bot, text, random_id=secrets.randbits(63)))

    async def hear(self):
        """The bot's next answer."""
        return (await self.hear_note()).message

    async def hear_note(self, kind=types.UpdateNewMessage, within=15):
        """The bot's next message, or the next one that it edits, with its buttons and picture."""
        async with asyncio.timeout(within):
            while True:
                for update in getattr(await self.pushes.get(), "updates", ()):
                    if isinstance(update, kind) and not update.message.out:
                        return update.message

    async def see(self, within=15):
        """What the bot has edited a message into."""
        return await self.hear_note(types.UpdateEditMessage, within)

    async def press(self, note, label):
        """Press the button whose label begins so."""
        rows = (button for row in note.reply_markup.rows for button in row.buttons)
        button = next(button for button in rows if button.text.startswith(label))
        ask = functions.messages.GetBotCallbackAnswerRequest(self.bot, note.id, data=button.type.data)
        await self.client.ask(ask)


@asynccontextmanager
async def chat_of(dc, user_id, bot_id):
    pushes = asyncio.Queue()
    async with open_client(dc, user_id, on_update=pushes.put_nowait) as client:
        username = dc.world.account(bot_id).username
        found = await client.ask(functions.contacts.ResolveUsernameRequest(username))
        yield Chat(client, types.InputPeerUser(bot_id, found.users[0].access_hash), pushes)


@pytest.fixture
def token(dc):
    return next(account.token for account in dc.world.accounts.values() if account.is_bot)


@pytest.fixture
def bot_id(token):
    return AccountId(int(token.partition(":")[0]))


@pytest.fixture
async def start(dc, store, owner, token, caplog):
    caplog.set_level("DEBUG")
    handler = Watcher(log.BOT_STARTED)

    async def started():
        ref = Bot.start(
            token=token, store=store, settings=Settings(), datacenter=place_of(dc), loopback_only=True, key="bot"
        )
        async with asyncio.timeout(5):
            await handler.times.get()
        return ref

    yield started
    handler.close()


@pytest.fixture
async def user_id(dc, store):
    user_id = AccountId(account_ids(dc)[0])
    await store.accounts.save_profile(Profile(account_id=user_id, username=None, first_name="A", last_name=None))
    await store.accounts.set_state(user_id, "active", None)
    return user_id


@pytest.fixture
async def chat(dc, user_id, bot_id):
    async with chat_of(dc, user_id, bot_id) as chat:
        yield chat


async def test_a_bot_signs_in_by_its_token_and_keeps_its_session(dc, store, start, bot_id):
    ref = await start()
    row = await store.accounts.one(bot_id)
    assert (row.bot, row.state, row.has_session) == (True, "active", True)
    await ref.stop(block=False)
    dc.dc.dispatcher.counts.reset()
    await start()
    assert "auth.importBotAuthorization" not in calls(dc, 0) | calls(dc, bot_id)


async def test_peoples_apps_are_offered_its_commands_in_their_language(dc, start, bot_id):
    await start()
    while len(dc.dc.menus) < 2:
        await asyncio.sleep(0.01)
    offered = {
        language: {each.command for each in menu} for (bot, language), menu in dc.dc.menus.items() if bot == bot_id
    }
    assert offered[""] == offered["ru"] >= {"login", "channels", "latest"}
    assert dc.dc.menus[bot_id, ""] != dc.dc.menus[bot_id, "ru"]


async def test_a_bot_whose_menu_is_refused_works_all_the_same(dc, start, chat):
    fail(dc, "bots.setBotCommands", (400, "BOT_COMMAND_INVALID"))
    await start()
    await chat.say("/help")
    assert "/login" in await chat.hear()


async def test_a_revoked_session_is_made_anew_by_the_token(dc, store, start, bot_id):
    ref = await start()
    old = await store.accounts.session(bot_id)
    await ref.stop(block=False)
    fail(dc, "users.getUsers", (401, "SESSION_REVOKED"))
    await start()
    assert (await store.accounts.session(bot_id)).auth_key != old.auth_key


async def test_a_session_whose_key_the_server_doesn_t_know_is_made_anew_at_once(store, start, bot_id):
    ref = await start()
    await ref.stop(block=False)
    old = await store.accounts.session(bot_id)
    await store.accounts.save_session(replace(old, auth_key=bytes(reversed(old.auth_key))))
    await start()
    assert (await store.accounts.one(bot_id)).state == "active"


async def test_a_wrong_token_parks_the_bot_and_is_not_logged(dc, store, owner, token, caplog):
    caplog.set_level("DEBUG")
    ref = Bot.start(
        token=token[:-1] + "_", store=store, settings=Settings(), datacenter=place_of(dc), loopback_only=True, key="bot"
    )
    assert await ref.wait_stopped(5)
    assert ref.failure.park
    assert ref.failure.state == "signed_out"
    assert calls(dc, 0)["auth.importBotAuthorization"] == 1
    assert token.partition(":")[2][:-1] not in caplog.text


async def test_start_and_help_answer_a_known_user(start, chat):
    await start()
    await chat.say("/start")
    assert "/help" in await chat.hear()
    await chat.say("/dance")
    assert "/help" in await chat.hear()
    await chat.say("just talk")
    await chat.say("/help@sandbox_bot now")
    assert "/parse" in await chat.hear()


async def test_a_stranger_gets_no_further_than_a_greeting(dc, start, user_id, bot_id):
    await start()
    async with chat_of(dc, account_ids(dc)[1], bot_id) as stranger:
        await stranger.say("/status")
        answer = await stranger.hear()
    assert "только" in answer
    assert "Постов" not in answer


async def test_status_tells_each_of_its_own_and_administrators_of_all(start, chat, store, user_id):
    await start()
    await chat.say("/status")
    own = "Ваш аккаунт: active\nКаналов: 0\nПарсинг: не идёт"
    assert await chat.hear() == own
    await store.people.set_role(user_id, "admin")
    await chat.say("/status")
    told = "Пользователей в сети: 1 из 1\nКаналов: 0\nПостов: 0\nОткрытых тревог: 0"
    assert await chat.hear() == f"{own}\n\n{told}"


async def test_the_progress_of_a_parse_is_edited_into_one_message(start, chat, user_id):
    await start()
    asked = []
    Parser.start(asked, key="scheduler")
    await chat.say("/parse")
    begun = await chat.hear_note()
    assert begun.message == "⏳ Парсинг начат."
    progress, done = await chat.see(), await chat.see()
    assert progress.message == "⏳ Парсинг: каналов 1 из 4, добавлено 0 постов"
    assert done.message == "✅ Парсинг завершен: добавлено 47 постов"
    assert begun.id == progress.id == done.id
    assert asked[0] == ParseUser(account_id=user_id)


async def test_a_parse_that_cannot_be_is_answered_plainly(start, chat, user_id):
    await start()
    await chat.say("/parse")
    assert "позже" in await chat.hear()
    Parser.start([], UserNotSignedIn(user_id, "revoked"), key="scheduler")
    await chat.say("/parse")
    assert "revoked" in await chat.hear()


async def test_what_was_said_while_the_bot_was_away_is_answered_once(start, chat):
    ref = await start()
    await ref.stop(block=False)
    await chat.say("/start")
    await start()
    assert "/help" in await chat.hear()
    await chat.say("/status")
    assert "Парсинг" in await chat.hear()
    assert chat.pushes.qsize() <= 1  # the sender's own copy


async def test_after_a_drop_the_bot_hears_again(dc, start, chat):
    await start()
    dc.drop_connections()
    await chat.say("/start")
    assert "/help" in await chat.hear()


async def test_words_and_names_leave_no_trace_in_the_log(start, chat, caplog):
    await start()
    await chat.say("/start canary-4711")
    await chat.hear()
    assert "canary-4711" not in caplog.text
