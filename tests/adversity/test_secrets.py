"""Twelve secrets live through sign-ins, refusals, cut lines and a kill at DEBUG, and stand nowhere in the clear."""

import base64
import json
import re
from urllib.parse import quote

import aiohttp
import pytest
from telethon.sessions import StringSession

from daemon.keys import load_master_keys
from tests.adversity.test_canaries import kept
from tests.processes import DaemonProcess, SandboxProcess

PAGE = "https://telewarden.example.org"
API_HASH = "canaryapihash0123456789abcdef0123"
PASSWORD = "canary of a two-factor password"
WRONG = "canary of a wrong password"
DSN_PASSWORD = "canaryDsnPassword"
PROXY_PASSWORD = "canaryProxyPassword"


class Place:
    """A daemon at DEBUG, all that it ever said, and all that it ever answered."""

    def __init__(self, folder, env):
        self.folder, self.env = folder, env
        self.said, self.answers = [], []

    async def live(self, work, *, killed=False):
        async with DaemonProcess(self.folder / "var", env=self.env) as daemon:
            await work(daemon)
            self.answers.append(await daemon.text("/metrics"))
            if killed:
                await daemon.kill()
        self.said.append(daemon.log)

    async def ask(self, daemon, method, path, body=None):
        """Whatever it answers; the answer is kept, with its headers."""
        async with aiohttp.ClientSession() as http, http.request(method, daemon.url + path, json=body) as answer:
            text = await answer.text()
            self.answers.append(f"{answer.headers} {text}")
            return json.loads(text)


@pytest.mark.timeout(180)
async def test_no_secret_stands_in_log_metric_answer_or_text_column(tmp_path, dsn):
    async with SandboxProcess("--accounts", 4, "--channels", 3, "--posts", 30, "--seed", 9) as sandbox:
        dc, world = sandbox.dc, await sandbox.get("/world")
        people = [each for each in world["accounts"] if not each["bot"]]
        (bot,) = (each for each in world["accounts"] if each["bot"])
        head, at, tail = dsn.partition("@")
        with_password = f"{head}:{DSN_PASSWORD}@{tail}" if at else dsn
        env = {
            "DEBUG_LOGS": "true",
            "TELEWARDEN__LOGGING__LEVEL": "DEBUG",
            "TELEWARDEN__DATABASE__DSN": with_password,
            "TELEWARDEN__TELEGRAM__API_ID": "1",
            "TELEWARDEN__TELEGRAM__API_HASH": API_HASH,
            "TELEWARDEN__TELEGRAM__DATACENTER__ID": str(dc["id"]),
            "TELEWARDEN__TELEGRAM__DATACENTER__ADDRESS": dc["address"],
            "TELEWARDEN__TELEGRAM__DATACENTER__PORT": str(dc["port"]),
            "TELEWARDEN__TELEGRAM__DATACENTER__PUBLIC_KEY": dc["public_key"],
            # The last account's proxy doesn't answer: its address, password and all, is part of what goes wrong.
            "TELEWARDEN__TELEGRAM__PROXIES__0__ACCOUNTS__0": str(people[3]["id"]),
            "TELEWARDEN__TELEGRAM__PROXIES__0__URL": f"socks5://me:{quote(PROXY_PASSWORD)}@127.0.0.1:9",
            "TELEWARDEN__BOT__TOKEN": bot["token"],
            "TELEWARDEN__ADMIN__PUBLIC_URL": PAGE,
        }
        place = Place(tmp_path, env)
        secrets = {
            "api_hash": API_HASH,
            "2FA password": PASSWORD,
            "wrong password": WRONG,
            "DSN's password": DSN_PASSWORD if at else API_HASH,
            "proxy's password": PROXY_PASSWORD,
            "bot's token": bot["token"],
        }
        await sandbox.post(f"/accounts/{people[0]['id']}", {"password": PASSWORD})

        async def sign_in(daemon):
            phone = people[0]["phone"]
            secrets["phone"] = phone
            step = await place.ask(daemon, "POST", "/signin", {"phone": f"+{phone}"})
            path = f"/signin/{step['sign_in_id']}"
            code = (await sandbox.get(f"/codes/{phone}"))["code"]
            await place.ask(daemon, "POST", f"{path}/code", {"code": "00000"})
            await place.ask(daemon, "POST", f"{path}/code", {"code": code})
            await place.ask(daemon, "POST", f"{path}/password", {"password": WRONG})
            done = await place.ask(daemon, "POST", f"{path}/password", {"password": PASSWORD})
            assert done["state"] == "done"
            secrets["login code"] = code
            for number, person in enumerate(people[1:], start=1):
                session = (await sandbox.get(f"/sessions/{person['id']}"))["session"]
                key = StringSession(session).auth_key.key
                secrets[f"session {number}"], secrets[f"auth key {number}"] = session, key.hex()
                secrets[f"auth key {number} in base64"] = base64.urlsafe_b64encode(key).decode()[:64]
                await place.ask(daemon, "POST", "/sessions", {"session": session})
            await place.ask(daemon, "POST", "/sessions", {"session": session[:-4] + "oops"})

        async def go_wrong(daemon):
            for rule in (
                {"method": "messages.getHistory", "error": {"code": 500, "message": "RPC_CALL_FAIL"}, "count": 3},
                {"method": "updates.getDifference", "error": {"code": 420, "message": "FLOOD_WAIT_1"}, "count": 2},
                {"method": "users.getUsers", "drop": True, "count": 2},
            ):
                await sandbox.post("/faults", rule)
            await sandbox.post("/drop", {})
            for channel in world["channels"]:
                await sandbox.post("/posts", {"channel": channel["id"], "count": 30})
            await place.ask(daemon, "POST", "/parse/all?wait=20")

        async def be_asked(daemon):
            await daemon.signed_in(3)
            made = await place.ask(daemon, "POST", "/invites", {})
            link = await place.ask(daemon, "POST", "/signin/link")
            del place.answers[-2:]  # these two are answered with their secret, once
            secrets["invite"], secrets["page's link"] = made["code"], link["url"].rpartition("/")[2]
            async with aiohttp.ClientSession() as http, http.get(daemon.url + link["url"].removeprefix(PAGE)) as answer:
                assert answer.status == 200
            for path in ("users", "channels", "alerts", "invites", "actors", "ledger", "plan", "readyz", "clients"):
                await place.ask(daemon, "GET", f"/{path}")
            await place.ask(daemon, "POST", "/keys/rotate")
            await place.ask(daemon, "POST", f"/users/{people[1]['id']}/logout")

        async def first(daemon):
            await sign_in(daemon)
            await go_wrong(daemon)

        await place.live(first, killed=True)
        secrets["admin token"] = (tmp_path / "var" / "admin-token").read_text().strip()
        secrets["master key"] = (tmp_path / "var" / "master.key").read_text().strip()
        await place.live(be_asked)
        secrets["next master key"] = (tmp_path / "var" / "master.key").read_text().strip()
        assert load_master_keys(tmp_path / "var", None)

        assert len(secrets) >= 12
        written = {name: [secret, secret.encode().hex()] for name, secret in secrets.items()}
        for text in (*place.said, *place.answers):
            found = [name for name, forms in written.items() if any(_stands(form, text) for form in forms)]
            assert not found, found
        assert "DEBUG" in place.said[0]
        me = [str(people[0]["id"])]
        assert all(any(_stands(form, text) for text in place.said) for form in me), "the search itself finds something"
        assert await kept(dsn, me)
        assert "connects again" in "\n".join(place.said), "something did go wrong"
        # A code of five digits stands by chance in many a number.
        long = [form for name, forms in written.items() for form in forms if name != "login code"]
        assert await kept(dsn, long) == []


def _stands(form, text):
    return re.search(rf"(?<![0-9A-Za-z]){re.escape(form)}(?![0-9A-Za-z])", text) is not None
