"""The sign-in page, used as a browser uses it, over a real data centre."""

import re
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from yarl import URL

from actors.messages.ids import AccountId
from actors.messages.people import SignInLink
from actors.messages.signin import DescribeSignIn, StartQrSignIn
from actors.runtime.owner import LoopOwner
from actors.signin import SignIn
from config.model import Settings
from sandbox.client import Sandbox
from tests.actors.telegram.house import account_ids, place_of
from tests.daemon.admin.conftest import TOKEN
from tests.daemon.store.rows import ask
from tests.daemon.test_cli import Telewarden, telewarden  # noqa: F401 -- a fixture

PUBLIC = "https://telewarden.example.org"
OPERATOR = {"Authorization": f"Bearer {TOKEN}"}


class Browser:
    """Keeps cookies, follows redirects, and sends what a browser sends with a form."""

    def __init__(self, url, language="en"):
        self.url = url
        # Set for https: what ends TLS stands before the server, and here in between.
        jar = aiohttp.CookieJar(unsafe=True, treat_as_secure_origin=[URL(url)])
        self.http = aiohttp.ClientSession(cookie_jar=jar, headers={"Accept-Language": language})

    async def get(self, path):
        async with self.http.get(self.url + path) as answer:
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            return answer.status, await answer.text()

    async def post(self, path, origin=PUBLIC, **form):
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin" if origin == PUBLIC else "cross-site"}
        async with self.http.post(self.url + path, data=form, headers=headers) as answer:
            return answer.status, await answer.text()

    async def open(self, link):
        return await self.post(link.removeprefix(PUBLIC))


@pytest.fixture
async def dc():
    async with Sandbox(accounts=3, channels=1, posts=5) as sandbox:
        yield sandbox


@pytest.fixture
async def owner():
    owner = LoopOwner()
    yield owner
    await owner.close()


@pytest.fixture
async def site(dc, store, owner, serve):
    SignIn.start(store=store, settings=Settings(), datacenter=place_of(dc), loopback_only=True, key="signin")
    server = serve(store, trusted=(), public_url=PUBLIC)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def browser(site):
    browser = Browser(site.url)
    yield browser
    await browser.http.close()


async def link_for(site, user=None):
    query = f"?user={user}" if user else ""
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{site.url}/signin/link{query}", headers=OPERATOR) as answer,
    ):
        return (await answer.json())["url"]


def person(dc, index=0):
    return dc.world.account(account_ids(dc)[index])


async def test_a_link_is_opened_once_and_not_by_looking_at_it(site, browser):
    link = await link_for(site)
    assert link.startswith(f"{PUBLIC}/login/")
    path = link.removeprefix(PUBLIC)
    for _ in range(2):
        status, text = await browser.get(path)
        assert (status, "Continue" in text) == (200, True)
    status, text = await browser.open(link)
    assert (status, "Show a QR code" in text) == (200, True)
    assert (await browser.get(path))[0] == 410
    assert (await browser.open(link))[0] == 410
    other = Browser(site.url, "ru-RU,ru;q=0.9")
    try:
        status, text = await other.get("/login")
        assert (status, "устарела" in text) == (410, True)
        assert (await other.post("/login/qr", agree="yes"))[0] == 410
    finally:
        await other.http.close()


async def test_a_qr_code_is_shown_and_scanned_and_the_consent_kept(site, browser, dc, store, dsn):
    ann = person(dc)
    await browser.open(await link_for(site))
    assert (await browser.post("/login/qr"))[0] == 400  # without consent
    status, text = await browser.post("/login/qr", agree="yes")
    assert (status, 'http-equiv="refresh"' in text) == (200, True)
    status, text = await browser.get("/login/qr.svg")
    assert (status, "<svg" in text) == (200, True)
    dc.dc.accept_token(next(reversed(dc.dc.logins._tokens)), ann)
    while "Done" not in text:
        status, text = await browser.get("/login")
        assert status == 200
    assert (await store.accounts.one(AccountId(ann.id))).has_session
    assert await ask(dsn, "SELECT user_id, road FROM consents") == [(ann.id, "page")]


async def test_a_code_and_a_password_are_entered_and_what_is_wrong_is_said(site, browser, dc, store):
    ann = person(dc)
    dc.dc.secure(ann, password="four words")
    await browser.open(await link_for(site))
    status, text = await browser.post("/login/phone", agree="yes", phone="1")
    assert (status, "no phone number" in text) == (422, True)
    _, text = await browser.post("/login/phone", agree="yes", phone=f"+{ann.phone}")
    assert 'name="code"' in text
    _, text = await browser.post("/login/code", code="00000")
    assert "the code is wrong" in text
    _, text = await browser.post("/login/code", code=dc.code(ann.phone))
    assert 'name="password"' in text
    _, text = await browser.post("/login/password", password="<b>")
    assert "the password is wrong" in text
    _, text = await browser.post("/login/password", password="four words")
    assert "Done" in text
    assert (await store.accounts.one(AccountId(ann.id))).has_session
    assert (await browser.post("/login/again"))[0] == 200


async def test_a_sign_in_that_began_in_the_bot_goes_on_at_its_password(site, browser, dc, store, owner):
    ann = person(dc)
    dc.dc.secure(ann, password="four words")
    signin = owner.find("signin")
    step = await signin.call(StartQrSignIn(), timeout=30)
    dc.dc.accept_token(next(reversed(dc.dc.logins._tokens)), ann)
    while step.state == "scan_needed":
        step = await signin.call(DescribeSignIn(sign_in_id=step.sign_in_id, wait=timedelta(seconds=5)), timeout=20)
    link = SignInLink(user_id=None, sign_in_id=step.sign_in_id)
    await store.people.make_link("token-of-the-bot", link, datetime.now(UTC) + timedelta(minutes=1))
    _, text = await browser.open(f"{PUBLIC}/login/token-of-the-bot")
    assert 'name="password"' in text
    _, text = await browser.post("/login/password", password="four words")
    assert "Done" in text


async def test_forms_of_other_sites_are_refused_and_all_else_stays_closed(site, browser):
    link = await link_for(site)
    status, text = await browser.post(link.removeprefix(PUBLIC), origin="https://evil.example")
    assert (status, "other sites" in text) == (403, True)
    assert (await browser.get(link.removeprefix(PUBLIC)))[0] == 200
    async with browser.http.get(f"{site.url}/users") as answer:
        assert answer.status == 401


async def test_without_a_public_address_there_is_no_page(face, telewarden):  # noqa: F811
    for method, path in (("GET", "/login"), ("GET", "/login/x"), ("POST", "/login/x"), ("GET", "/login/style.css")):
        assert (await face.ask(method, path))[0] == 404
    code, _, err = await telewarden("login", "--link", "--url", face.server.url)
    assert (code, "admin.public_url" in err) == (1, True)


async def test_a_link_is_printed_by_command(site, telewarden):  # noqa: F811
    token = telewarden.folder / "token"
    token.write_text(TOKEN)
    code, out, err = await telewarden("login", "--link", "--url", site.url, "--token-file", token)
    assert code == 0, err
    assert re.fullmatch(rf"{PUBLIC}/login/[\w-]{{32}}\n", out)
