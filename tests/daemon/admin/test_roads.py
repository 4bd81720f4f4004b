"""Every road by which an account comes in, times everything that may happen on the way, against a data centre.

The roads: HTTP, the command line through a daemon and without one, the page, the bot. What is typed is a code and
passwords; what is scanned is the newest QR code. The bot never asks for either, so its roads end on the page where one
is needed. ``docs/accounts.md`` says how each case ends.
"""

import asyncio
import base64
import os
from dataclasses import dataclass
from html import unescape

import aiohttp
import pytest
from click.testing import CliRunner
from telethon.tl import functions, types

from actors.bot import Bot
from actors.chat.signing import picture_of
from actors.messages.content import Profile
from actors.messages.ids import AccountId
from actors.signin import SignIn
from actors.telegram import login
from config.model import Admin, Settings
from daemon.cli import cli
from sandbox.client import Sandbox
from tests.actors.telegram.house import fail, place_of
from tests.actors.test_bot import chat_of
from tests.daemon.admin.conftest import TOKEN
from tests.daemon.admin.test_page import OPERATOR, PUBLIC, Browser, link_for

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Case:
    """What happens on the way in, and how it ends."""

    name: str
    codes: tuple[str, ...] = ("right",)
    """In this order they are typed; where none is, a QR code is scanned."""
    passwords: tuple[str, ...] = ()
    protected: bool = False
    expired: int = 0
    """How many QR codes nobody scans, or whether the code lived for too long."""
    flooded: bool = False
    by_another: bool = False
    """Another account signs in than the one that was meant."""
    abroad: bool = False
    """The account lives in another data centre."""
    says: tuple[str, ...] = ()
    comes_in: bool = True


WRONG_PASSWORD = "the password is wrong"
ANOTHER = "another account"
CASES = (
    Case("code right"),
    Case("code wrong, then right", codes=("wrong", "right"), says=("the code is wrong",)),
    Case("code expired", expired=1, says=("expired",), comes_in=False),
    Case("code and password right", protected=True, passwords=(PASSWORD,)),
    Case("code, password wrong, then right", protected=True, passwords=("x", PASSWORD), says=(WRONG_PASSWORD,)),
    Case("code of another", by_another=True, says=(ANOTHER,), comes_in=False),
    Case("flood at the code", codes=("right",), flooded=True, says=("wait 77 s",), comes_in=False),
    Case("code from another data centre", abroad=True),
    Case("scanned", codes=()),
    Case("scanned after two expired", codes=(), expired=2),
    Case("scanned, password right", codes=(), protected=True, passwords=(PASSWORD,)),
    Case(
        "scanned, password wrong, then right", codes=(), protected=True, passwords=("x", PASSWORD),
        says=(WRONG_PASSWORD,),
    ),
    Case("scanned by another", codes=(), by_another=True, says=(ANOTHER,), comes_in=False),
    Case("flood at the QR code", codes=(), flooded=True, says=("wait 77 s",), comes_in=False),
    Case("scanned from another data centre", codes=(), abroad=True),
)  # fmt: skip


class House:
    """A data centre, and a daemon's parts that sign in."""

    def __init__(self, dc, store, server, dsn, folder):
        self.dc, self.store, self.server, self.dsn, self.folder = dc, store, server, dsn, folder
        people = [each for each in dc.world.accounts.values() if not each.is_bot]
        self.ann, self.boris, self.vera = people
        self.apps = []
        self.looked = asyncio.Event()
        """Set when the first QR code has been looked at."""
        (self.bot,) = (each for each in dc.world.accounts.values() if each.is_bot)

    def _live_keys(self):
        return [key for key in self.dc.dc.keys.of(self.ann.id) if not key.refusal]

    def open_apps(self):
        """What is signed in by now is the person's own app."""
        self.apps = self._live_keys()

    async def know(self, person):
        """As one who was invited."""
        profile = Profile(account_id=AccountId(person.id), username=None, first_name="A", last_name=None)
        await self.store.accounts.save_profile(profile)

    async def prepare(self, case):
        if case.protected:
            self.dc.dc.secure(self.ann, password=PASSWORD)
        if case.abroad:
            self.dc.dc.secure(self.ann, dc_id=204)
        if case.flooded:
            fail(self.dc, "auth.sendCode" if case.codes else "auth.exportLoginToken", (420, "FLOOD_WAIT_77"))

    async def code(self, case, which):
        """The code that was sent, once it has been, or another."""
        logins, phone = self.dc.dc.logins, self.ann.phone
        while (right := logins.newest_code(phone)) is None:
            await asyncio.sleep(0.01)
        if case.expired:
            for code in logins._codes.values():
                code.expires = 0
        return right if which == "right" else right[:-1] + ("1" if right[-1] == "0" else "0")

    @property
    def tokens(self):
        return self.dc.dc.logins._tokens

    @property
    def shown(self):
        """What the newest QR code leads to."""
        return "tg://login?token=" + base64.urlsafe_b64encode(next(reversed(self.tokens))).decode().rstrip("=")

    async def scan(self, case, monkeypatch):
        """As the account's own app does; first let as many codes expire as the case says."""
        await self.looked.wait()
        seen = set()
        while len(seen) <= case.expired:
            seen |= set(self.tokens)
            await asyncio.sleep(0.01)
        if case.expired:
            monkeypatch.setattr(login, "SHOWN_MOST", 30.0)
            monkeypatch.setattr(login, "SHOWN_LEAST", 20.0)
            before = set(self.tokens)
            while not set(self.tokens) - before:
                await asyncio.sleep(0.01)
        self.dc.dc.accept_token(next(reversed(self.tokens)), self.ann)

    async def check(self, case):
        """Who came in is stored with a key that works; who didn't left nothing, here and there."""
        row = await self.store.accounts.one(AccountId(self.ann.id))
        keys = [key for key in self._live_keys() if key not in self.apps]
        if not case.comes_in:
            assert row is None or not row.has_session
            assert not keys
            return
        assert row.has_session
        key = await self.store.accounts.session(AccountId(self.ann.id))
        assert key.dc_id == (204 if case.abroad else 203)
        assert key.auth_key in {each.key for each in keys}


# --- roads -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def dc():
    async with Sandbox(accounts=3, channels=1, posts=5) as sandbox:
        yield sandbox


class OverHttp:
    async def go(self, house, case, user):
        """All that is said on the way in."""
        async with aiohttp.ClientSession(headers=OPERATOR) as http:
            query = f"?user={user}" if user else ""

            async def post(path, **body):
                async with http.post(house.server.url + path, json=body or None) as answer:
                    return await answer.json()

            if case.codes:
                step = await post(f"/signin{query}", phone=f"+{house.ann.phone}")
            else:
                step = await post(f"/signin/qr{query}")
                assert case.flooded or case.expired or step["qr_link"] == house.shown
                house.looked.set()
                while step["state"] == "scan_needed":
                    async with http.get(f"{house.server.url}/signin/{step['sign_in_id']}?wait=5") as answer:
                        step = await answer.json()
            said, path = [step.get("detail", "")], f"/signin/{step.get('sign_in_id')}"
            for which in case.codes if step["state"] == "code_needed" else ():
                step = await post(f"{path}/code", code=await house.code(case, which))
                said.append(step.get("detail", ""))
            for password in case.passwords:
                assert step["state"] == "password_needed"
                step = await post(f"{path}/password", password=password)
                said.append(step.get("detail", ""))
            assert (step["state"] == "done") == case.comes_in
            return said


class ByCommand:
    """In a thread: ``login`` as the operator types it, with a pipe for the keyboard."""

    async def go(self, house, case, user):
        token = house.folder / "token"
        token.write_text(TOKEN)
        return await self._type(house, case, user, ("--url", house.server.url, "--token-file", str(token)), {})

    async def _type(self, house, case, user, options, environment):
        how = ("--phone", f"+{house.ann.phone}") if case.codes else ("--qr",)
        whom = ("--user", str(user)) if user else ()
        screen, keyboard = os.pipe()
        with os.fdopen(screen, "rb") as stdin, os.fdopen(keyboard, "wb", buffering=0) as typed:
            arguments = ("login", *how, *whom, *options)
            invoke = asyncio.to_thread(CliRunner().invoke, cli, arguments, input=stdin, env=environment)
            house.looked.set()
            typing = asyncio.create_task(self._press(house, case, typed))
            done = await invoke
            typing.cancel()
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == (0 if case.comes_in else 1), done.stderr
        assert done.stdout == (f"User {house.ann.id}: signed in\n" if case.comes_in else "")
        assert house.ann.phone not in done.stderr
        if not case.codes and not case.flooded:
            assert done.stderr.count("scan this code") > case.expired
        return [done.stderr]

    async def _press(self, house, case, typed):
        for which in () if case.flooded else case.codes:
            typed.write(f"{await house.code(case, which)}\n".encode())
        for password in case.passwords:
            typed.write(f"{password}\n".encode())


class WithoutDaemon(ByCommand):
    async def go(self, house, case, user):
        key = house.folder / "key"
        key.touch(mode=0o600)
        key.write_text(base64.b64encode(bytes(range(32))).decode())
        place = place_of(house.dc)
        environment = {
            "TELEWARDEN__DATABASE__DSN": house.dsn,
            "TELEWARDEN__TELEGRAM__DATACENTER": place.model_dump_json(),
            "TELEWARDEN__ADMIN__PORT": "1",
            "TELEWARDEN__STATE_DIR": str(house.folder / "var"),
            "TELEWARDEN__KEYS__MASTER_KEY_FILE": str(key),
        }
        return await self._type(house, case, user, (), environment)


class OnThePage:
    async def go(self, house, case, user):
        browser = Browser(house.server.url)
        try:
            await browser.open(await link_for(house.server, user))
            if case.codes:
                said = [await self._enter(browser, "phone", agree="yes", phone=f"+{house.ann.phone}")]
            else:
                said = [await self._scan(browser, house)]
            for which in () if case.flooded else case.codes:
                said.append(await self._enter(browser, "code", code=await house.code(case, which)))
            said += [await self._enter(browser, "password", password=password) for password in case.passwords]
        finally:
            await browser.http.close()
        assert ("Done" in said[-1]) == case.comes_in
        return said

    async def _scan(self, browser, house):
        _, text = await browser.post("/login/qr", agree="yes")
        house.looked.set()
        while 'src="/login/qr.svg' in text:
            _, text = await browser.get("/login")
            await asyncio.sleep(0.01)
        return unescape(text)

    @staticmethod
    async def _enter(browser, what, **form):
        _, text = await browser.post(f"/login/{what}", **form)
        return unescape(text)


class InTheChat:
    """With the bot; where a password is needed, on the page that it links to."""

    async def go(self, house, case, user):
        person = house.boris if case.by_another else house.ann
        await house.know(person)
        settings = Settings(admin=Admin(public_url=PUBLIC))
        Bot.start(
            token=house.bot.token, store=house.store, settings=settings, datacenter=place_of(house.dc),
            loopback_only=True, key="bot",
        )  # fmt: skip
        while (row := await house.store.accounts.one(AccountId(house.bot.id))) is None or row.state != "active":
            await asyncio.sleep(0.01)
        async with chat_of(house.dc, person.id, house.bot.id) as chat:
            house.open_apps()
            await chat.say("/login")
            await chat.press(await chat.hear_note(), "Согласен")
            note, said = await chat.hear_note(), []
            if not case.flooded:
                assert note.media.photo
                if not case.expired:
                    assert await self._picture(chat, note) == picture_of(house.shown)
                house.looked.set()
                note = await chat.hear_note()
            if case.passwords:
                link = note.reply_markup.rows[0].buttons[0].type.url
                said = await self._on_the_page(house, case, link)
                note = await chat.hear_note()
            assert ("подключён" in note.message) == case.comes_in
            return [*said, note.message]

    async def _on_the_page(self, house, case, link):
        browser = Browser(house.server.url)
        try:
            await browser.open(link)
            return [await OnThePage._enter(browser, "password", password=password) for password in case.passwords]
        finally:
            await browser.http.close()

    async def _picture(self, chat, note):
        photo = note.media.photo
        place = types.InputPhotoFileLocation(photo.id, photo.access_hash, photo.file_reference, "x")
        return (await chat.client.ask(functions.upload.GetFileRequest(place, 0, 1024 * 1024))).bytes


ROADS = {"http": OverHttp(), "command": ByCommand(), "page": OnThePage(), "bot": InTheChat()}


def ways():
    """In a chat nobody is asked for a code."""
    for name, road in ROADS.items():
        for case in CASES:
            if not (name == "bot" and case.codes):
                yield pytest.param(road, case, id=f"{name}: {case.name}")


async def walk(road, house, case, monkeypatch):
    """What was said on the way; who came in and who didn't is checked."""
    if not case.codes and case.expired:
        monkeypatch.setattr(login, "SHOWN_MOST", 0.2)
        monkeypatch.setattr(login, "SHOWN_LEAST", 0.1)
    async with asyncio.timeout(60):
        await house.prepare(case)
        user = house.boris.id if case.by_another else None
        scanning = None
        if not case.codes and not case.flooded:
            scanning = asyncio.create_task(house.scan(case, monkeypatch))
        said = "\n".join(await road.go(house, case, user))
        if scanning is not None:
            await scanning
        await house.check(case)
        return said.lower()


@pytest.mark.parametrize(("road", "case"), list(ways()))
async def test_each_road_ends_as_documented(road, case, dc, store, dsn, serve, tmp_path, monkeypatch):
    SignIn.start(store=store, settings=Settings(), datacenter=place_of(dc), loopback_only=True, key="signin")
    server = serve(store, trusted=(), public_url=PUBLIC)
    await server.start()
    house = House(dc, store, server, dsn, tmp_path)
    await house.know(house.boris)
    try:
        said = await walk(road, house, case, monkeypatch)
    finally:
        await server.stop()
    assert all(words in said for words in case.says), said


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES if case.codes])
async def test_so_does_the_one_without_a_daemon(case, dc, opened, dsn, tmp_path, monkeypatch):
    """By code only: nobody would renew the picture."""
    house = House(dc, opened.store, None, dsn, tmp_path)
    await house.know(house.boris)
    await opened.owner.release()
    said = await walk(WithoutDaemon(), house, case, monkeypatch)
    assert all(words in said for words in case.says), said
