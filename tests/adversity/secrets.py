"""Secrets live through minutes of chaos at DEBUG, and stand nowhere in the clear.

One life of a daemon after the other: people sign in by every road, mistype, are refused, revoked and signed out; calls
fail, lines are cut, the database restarts, keys are rotated; each life ends by a signal, SIGKILL, SIGABRT and SIGSEGV
among them. Every secret that was used is then looked for, in the clear, in hex and in base64, in all that was logged,
answered over HTTP, exposed as a metric, printed by commands, said by the bot or left in a file, and in every column of
the database.

    python -m tests.adversity.secrets --minutes 10 --out bench/results/secrets.json

Exits 1 when one is found, or when the search doesn't find what isn't secret.
"""

import argparse
import asyncio
import base64
import json
import random
import re
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from urllib.parse import quote

import aiohttp
from telethon.sessions import StringSession

from daemon.store.embedded import EmbeddedPostgres
from sandbox.client import Sandbox
from sandbox.faults import Rule
from tests.actors.test_bot import chat_of
from tests.adversity.outcome import commit, write
from tests.adversity.test_canaries import kept
from tests.daemon.admin.test_page import PUBLIC, Browser
from tests.processes import ROOT, DaemonProcess

API_HASH = "canaryapihash0123456789abcdef0123"
DSN_PASSWORD = "canaryDsnPassword"
PROXY_PASSWORD = "canaryProxyPassword"
ENDS = (signal.SIGABRT, signal.SIGTERM, signal.SIGSEGV, signal.SIGKILL)
NO_SECRETS = ("tables with a name that is no secret", "logs with an account's id that is no secret")
"""What the search must find, or it would find nothing at all."""
ANSWERS, BOT = "answers", "the bot's messages"
LINE = 24
"""Bytes of a long secret that are looked for: a part of it gives away the rest of a line."""


def forms_of(secret):
    if isinstance(secret, str):
        raw, forms = secret.encode(), {secret, quote(secret, safe="")}
    else:
        raw, forms = secret, {repr(secret[:LINE])[2:-1]}
    raw = raw if len(raw) < 2 * LINE else raw[: 2 * LINE]
    forms.add(raw.hex())
    forms |= {coded(raw).decode().rstrip("=") for coded in (base64.b64encode, base64.urlsafe_b64encode)}
    return forms


class Secrets:
    """All that may stand nowhere, but for where it is told on purpose."""

    def __init__(self):
        self._forms = {}

    def learn(self, kind, secret, *, told=()):
        for form in forms_of(secret):
            self._forms[form] = (kind, told)

    @property
    def kinds(self):
        return Counter(kind for kind, _ in self._forms.values())

    @property
    def words(self):
        return list(self._forms)

    def found_in(self, text, place):
        """The kinds of those that stand there; digits only as a number of their own."""
        return {
            kind
            for form, (kind, told) in self._forms.items()
            if place not in told and form in text
            if not form.isdigit() or re.search(rf"(?<!\d){form}(?!\d)", text)
        }


class Chaos:
    """The data centre, the database, the people, and one daemon after the other."""

    def __init__(self, folder, dc, server, seed):
        self.folder, self.dc, self.server = folder, dc, server
        self.rng = random.Random(seed)
        self.people = [each for each in dc.world.accounts.values() if not each.is_bot]
        (self.bot,) = (each for each in dc.world.accounts.values() if each.is_bot)
        self.secrets, self.said = Secrets(), Counter()
        self.found, self.done = Counter(), Counter()
        self.url = ""
        head, _, tail = server.dsn.partition("@")
        self.env = {
            "DEBUG_LOGS": "true",
            "TELEWARDEN__LOGGING__LEVEL": "DEBUG",
            "TELEWARDEN__DATABASE__DSN": f"{head}:{DSN_PASSWORD}@{tail}",
            "TELEWARDEN__TELEGRAM__API_ID": "1",
            "TELEWARDEN__TELEGRAM__API_HASH": API_HASH,
            "TELEWARDEN__TELEGRAM__DATACENTER__ID": "203",
            "TELEWARDEN__TELEGRAM__DATACENTER__ADDRESS": dc.address,
            "TELEWARDEN__TELEGRAM__DATACENTER__PORT": str(dc.port),
            "TELEWARDEN__TELEGRAM__DATACENTER__PUBLIC_KEY": dc.public_key,
            # The last account's proxy doesn't answer: its address, password and all, is part of what goes wrong.
            "TELEWARDEN__TELEGRAM__PROXIES__0__ACCOUNTS__0": str(self.people[-1].id),
            "TELEWARDEN__TELEGRAM__PROXIES__0__URL": f"socks5://me:{quote(PROXY_PASSWORD)}@127.0.0.1:9",
            "TELEWARDEN__BOT__TOKEN": self.bot.token,
            "TELEWARDEN__ADMIN__PUBLIC_URL": PUBLIC,
        }
        for kind, secret in (
            ("api_hash", API_HASH), ("DSN's password", DSN_PASSWORD), ("proxy's password", PROXY_PASSWORD),
            ("bot's token", self.bot.token),
        ):  # fmt: skip
            self.secrets.learn(kind, secret)
        for person in self.people:
            self.secrets.learn("phone", person.phone)
            password = f"canary of the password of {person.id}"
            self.secrets.learn("two-factor password", password)
            if self.rng.random() < 0.5:
                dc.dc.secure(person, password=password)

    def look(self, text, place):
        """Look for every secret in what came out there."""
        self.said[place] += len(text)
        for kind in self.secrets.found_in(text, place):
            self.found[f"{kind} in {place}"] += 1

    # --- one life --------------------------------------------------------------------------------------------------

    async def live(self, end):
        """A daemon among people and faults, until that signal."""
        env = {**self.env, "TELEWARDEN__LOGGING__FORMAT": self.rng.choice(("text", "json"))}
        before = set(ROOT.glob("core*"))
        async with AsyncExitStack() as stack:
            daemon = DaemonProcess(self.folder / "var", env=env)
            # What a line quotes may become secret only later in the same life: it is looked through at its end.
            stack.callback(lambda: self._look_through_log(daemon.log))
            await daemon.start()
            stack.push_async_callback(self._end, daemon, end)
            self.url = daemon.url
            self._learn_files()
            self._break()
            await asyncio.gather(*(self._come_in(person) for person in self.rng.sample(self.people, 4)))
            self._break()
            await self._use(daemon)
            self.look(await daemon.text("/metrics"), "metrics")
        self._look_through_files()
        assert set(ROOT.glob("core*")) == before, "a core file holds every session"
        self.done[f"lives ended by {end.name}"] += 1

    def _look_through_log(self, log):
        self.look(log, "the log")
        self.done[NO_SECRETS[1]] += any(str(each.id) in log for each in self.people)

    async def _end(self, daemon, end):
        self._learn_files()
        self._learn_keys()
        code = await daemon.stop(end)
        assert code in ((0,) if end == signal.SIGTERM else (-end,)), f"ended with {code}:\n{daemon.log}"

    def _learn_files(self):
        for file, kind in (("master.key", "master key"), ("admin-token", "admin token")):
            self.secrets.learn(kind, (self.folder / "var" / file).read_text().strip())

    def _learn_keys(self):
        """Those of every session that there ever was, the data centre's side of them."""
        for row in self.dc.dc.keys.rows():
            self.secrets.learn("auth key", bytes.fromhex(str(row["key"])))

    def _look_through_files(self):
        for path in (self.folder / "var").rglob("*"):
            if path.is_file() and not path.name.startswith(("master.key", "admin-token")):
                self.look(path.read_bytes().decode("latin-1"), "files")

    def _break(self):
        """Some calls fail, some lines are cut, something happens in the channels."""
        rules = self.dc.dc.dispatcher.faults.rules
        rules.clear()
        for method in self.rng.sample(("messages.getHistory", "updates.getDifference", "users.getUsers"), 2):
            error = self.rng.choice(((500, "RPC_CALL_FAIL"), (420, "FLOOD_WAIT_1"), (400, "SOMETHING_NEW"), None))
            rules.append(Rule(method=method, error=error, drop=error is None, count=self.rng.randint(1, 3)))
        if self.rng.random() < 0.4:
            self.dc.drop_connections()

    async def _use(self, daemon):
        for channel in self.dc.world.channels:
            await self.dc.publish(channel, text=f"post {self.rng.random()}")
        await self.ask("POST", "/parse/all?wait=10")
        if self.rng.random() < 0.4:
            await self.server.stop()
            await self.ask("GET", "/users")
            await self.ask("POST", "/signin", {"phone": "+" + self.people[0].phone})
            await self.server.start()
            self.done["restarts of the database"] += 1
        for path in ("users", "channels", "alerts", "invites", "actors", "ledger", "plan", "readyz", "clients"):
            await self.ask("GET", f"/{path}")
        for command in (("users",), ("ledger",), ("users", "--json")):
            _, out, err = await daemon.cli(*command)
            self.look(out + err, "commands")
        admin = (self.folder / "var" / "admin-token").read_text().strip()
        await self.ask("POST", "/keys/rotate", token=admin)
        name = secrets.token_hex(8)  # not from the seed: what is drawn from that stays as it was
        made = await self.ask("POST", "/tokens", {"name": name, "role": "operator"}, secret=True, token=admin)
        if made is not None and "token" in made:
            self.secrets.learn("token", made["token"])
            await self.ask("GET", "/users", token=made["token"])
        self._learn_files()
        person = self.rng.choice(self.people)
        if self.rng.random() < 0.5:
            await self.ask("POST", f"/users/{person.id}/logout")
        else:
            for key in self.dc.dc.keys.of(person.id):
                self.dc.dc.revoke(key, "SESSION_REVOKED")

    async def ask(self, method, path, body=None, *, secret=False, token=None):
        """Whatever it answers, looked through with its headers; None where nobody answers."""
        timeout = aiohttp.ClientTimeout(total=30)
        with suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(
                    method, self.url + path, json=body, headers={"Authorization": f"Bearer {token}"} if token else {}
                ) as answer,
            ):
                text = await answer.text()
                if not secret:
                    self.look(f"{answer.headers} {text}", ANSWERS)
                return json.loads(text)
        return None

    # --- people ----------------------------------------------------------------------------------------------------

    async def _come_in(self, person):
        road = self.rng.choice((self._by_http, self._on_the_page, self._by_bot, self._by_session))
        with suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
            async with asyncio.timeout(40):
                self.done[f"{road.__name__.strip('_')}: {await road(person)}"] += 1

    async def _code(self, person):
        """The one that was sent; longer than the service's, so that no other number is it by chance."""
        sent = [each for (phone, _), each in self.dc.dc.logins._codes.items() if phone == person.phone]
        code = str(secrets.randbelow(9 * 10**11) + 10**11)
        self.secrets.learn("login code", code)
        for each in sent:
            each.code = code
        return code

    def _passwords(self, person):
        wrong = f"canary of a wrong password {secrets.token_hex(4)}"
        self.secrets.learn("wrong password", wrong)
        return wrong, self._password(person)

    def _password(self, person):
        return self.dc.world.account(person.id).password

    async def _by_http(self, person):
        step = await self.ask("POST", "/signin", {"phone": f"+{person.phone}"})
        if not step or step.get("state") != "code_needed":
            return "refused"
        path, code = f"/signin/{step['sign_in_id']}", await self._code(person)
        await self.ask("POST", f"{path}/code", {"code": code[::-1]})
        step = await self.ask("POST", f"{path}/code", {"code": code})
        for password in self._passwords(person) if step and step.get("state") == "password_needed" else ():
            step = await self.ask("POST", f"{path}/password", {"password": password})
        return step.get("state") if step else "unanswered"

    async def _made(self, path):
        """What is answered with its secret, once."""
        made = await self.ask("POST", path, {}, secret=True)
        if not made or "detail" in made:
            raise ConnectionError(made)
        return made

    async def _link(self):
        made = await self._made("/signin/link")
        self.secrets.learn("page's link", made["url"].rpartition("/")[2], told=(BOT,))
        return made["url"]

    async def _on_the_page(self, person):
        link, browser = await self._link(), Browser(self.url)
        try:
            _, text = await browser.open(link)
            self.look(text, "the page")
            _, text = await browser.post("/login/phone", agree="yes", phone=f"+{person.phone}")
            forms = [("code", {"code": await self._code(person)})]
            forms += [("password", {"password": password}) for password in self._passwords(person) if password]
            for what, form in forms:
                if f'name="{what}"' in text:
                    _, text = await browser.post(f"/login/{what}", **form)
                    self.look(text, "the page")
            cookies = [cookie.value for cookie in browser.http.cookie_jar]
            for value in cookies:
                self.secrets.learn("page's cookie", value)
            return "done" if "Done" in text else "refused"
        finally:
            await browser.http.close()

    async def _by_bot(self, person):
        async with chat_of(self.dc, person.id, self.bot.id) as chat:
            made = await self._made("/invites")
            self.secrets.learn("invite", made["code"], told=(BOT,))
            await chat.say(f"/start {made['code']}")
            await chat.say(f"/login {await self._code(person)} {self._password(person)}")
            ended = "unanswered"
            with suppress(TimeoutError):
                while True:
                    note = await chat.hear_note(within=8)
                    self.look(str(note), BOT)
                    if note.reply_markup and "Личные чаты" in note.message:
                        await chat.press(note, "Согласен")
                    elif note.media:
                        token = next(reversed(self.dc.dc.logins._tokens))
                        self.secrets.learn("QR token", token, told=(ANSWERS,))
                        with suppress(Exception):  # a cut line may have made it void
                            self.dc.dc.accept_token(token, person)
                    elif "подключён" in note.message:
                        ended = "done"
                        break
            return ended

    async def _by_session(self, person):
        session = self.dc.session(person.id)
        key = StringSession(session).auth_key.key
        self.secrets.learn("session", session)
        self.secrets.learn("auth key", key)
        await self.ask("POST", "/sessions", {"session": session[:-4] + "oops"})
        user = await self.ask("POST", "/sessions", {"session": session})
        return "done" if user and user.get("id") else "refused"


async def play(folder, *, seed, minutes=0.0, lives=0, told=lambda _: None):
    """Until the time is over, and at least so many lives."""
    ends = time.monotonic() + 60 * minutes
    async with (
        Sandbox(accounts=8, channels=4, posts=80, seed=seed) as dc,
        EmbeddedPostgres(folder / "postgres") as server,
    ):
        chaos = Chaos(folder, dc, server, seed)
        lived = 0
        while lived < lives or time.monotonic() < ends:
            await chaos.live(ENDS[lived % len(ENDS)])
            lived += 1
            told(f"life {lived}: {dict(chaos.found)} {dict(chaos.done)}")
        # A number stands by chance in many a column; those of letters don't.
        words = [word for word in chaos.secrets.words if not word.isdigit()]
        for table in await kept(server.dsn, words):
            chaos.found[f"something in the table {table}"] += 1
        names = [each.first_name for each in (*chaos.people, chaos.bot)]
        chaos.done[NO_SECRETS[0]] = len(await kept(server.dsn, names))
    return chaos


def tell(text):
    print(text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="also write the result here")
    options = parser.parse_args()
    ran_on, began = commit(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="secrets-") as folder:
        chaos = asyncio.run(play(Path(folder), seed=options.seed, minutes=options.minutes, told=tell))
    blind = not all(chaos.done[each] for each in NO_SECRETS)
    result = {
        "adversity": "secrets",
        "kinds": len(chaos.secrets.kinds),
        "forms": dict(chaos.secrets.kinds),
        "found": dict(chaos.found),
        "looked_through": dict(chaos.said),
        "happened": dict(sorted(chaos.done.items())),
        "seed": options.seed,
        "seconds": round(time.monotonic() - began, 1),
    }
    if options.out is not None:
        command = " ".join(("python -m tests.adversity.secrets", *sys.argv[1:]))
        write(options.out, {**result, "command": command, "commit": ran_on})
    print(json.dumps(result))
    sys.exit(bool(chaos.found) or blind)


if __name__ == "__main__":
    main()
