"""Accounts connect by the proxy that the settings give them, through real relays."""

from urllib.parse import quote

import pytest
from telethon.tl import functions, types

from actors.errors import LoopbackViolated
from actors.messages.ids import AccountId
from actors.telegram.client import build_client
from actors.telegram.link import Gate
from actors.telegram.login import Attempt, SignInRefused
from actors.telegram.proxy import proxy_of
from actors.telegram.session import AccountSession
from config.model import Proxy, Telegram
from tests.actors.telegram.house import Skewed, account_ids, key_of, place_of
from tests.actors.telegram.relays import PASSWORD, SECRET, USER, http, mtproxy, relay, socks5

SELF = functions.users.GetUsersRequest([types.InputUserSelf()])
WHO = f"{USER}:{quote(PASSWORD, safe='')}@127.0.0.1"


def url_of(kind, port):
    if kind is mtproxy:
        return f"tg://proxy?server=127.0.0.1&port={port}&secret=dd{SECRET.hex()}"
    return f"{'socks5' if kind is socks5 else 'http'}://{WHO}:{port}"


@pytest.mark.parametrize("kind", [socks5, http, mtproxy])
async def test_an_account_connects_through_its_proxy_and_no_other_way(dc, kind):
    me = account_ids(dc)[0]
    async with relay(kind, (dc.address, dc.port)) as (through, port):
        client = build_client(
            AccountSession(key_of(dc, me)),
            Telegram(),
            datacenter=place_of(dc),
            loopback_only=True,
            on_update=lambda _: None,
            on_doubt=lambda: None,
            proxy=url_of(kind, port),
        )
        await client.connect()
        try:
            (user,) = await client.ask(SELF)
        finally:
            await client.disconnect()
        assert (user.id, through.passed, through.refused) == (me, 1, 0)


async def test_a_sign_in_takes_the_proxy_of_whom_it_is_for(dc):
    me = AccountId(account_ids(dc)[0])
    async with relay(socks5, (dc.address, dc.port)) as (through, port):
        settings = Telegram(proxies=(Proxy(accounts=(me,), url=url_of(socks5, port)),))
        for expected, passed in ((None, 0), (me, 1)):
            attempt = Attempt(settings, datacenter=place_of(dc), loopback_only=True, expected=expected)
            await attempt.show()
            await attempt.close()
            assert through.passed == passed


async def test_a_wrong_password_of_the_proxy_reaches_nobody(dc):
    async with relay(socks5, (dc.address, dc.port)) as (through, port):
        settings = Telegram(proxy=f"socks5://{USER}:wrong@127.0.0.1:{port}")
        attempt = Attempt(settings, datacenter=place_of(dc), loopback_only=True)
        with pytest.raises(SignInRefused, match="can't be reached"):
            await attempt.show()
        await attempt.close()
        assert (through.passed, through.refused > 0) == (0, True)


def test_an_account_has_its_own_proxy_or_everybodys_or_none():
    settings = Telegram(proxy="http://all:1", proxies=(Proxy(accounts=(7,), url="socks5://mine:2"),))
    assert proxy_of(AccountId(7), settings) == "socks5://mine:2"
    assert proxy_of(AccountId(8), settings) == proxy_of(None, settings) == "http://all:1"
    assert proxy_of(AccountId(7), Telegram()) is None


@pytest.mark.parametrize(
    "url", ["socks5://example.org:1080", f"tg://proxy?server=example.org&port=443&secret={SECRET.hex()}"]
)
async def test_in_sandbox_mode_a_proxy_elsewhere_is_refused(dc, url):
    with pytest.raises(LoopbackViolated):
        build_client(
            AccountSession(key_of(dc, account_ids(dc)[0])),
            Telegram(),
            datacenter=place_of(dc),
            loopback_only=True,
            on_update=lambda _: None,
            on_doubt=lambda: None,
            proxy=url,
        )


async def test_connections_begin_one_after_the_other_at_their_pace():
    clock = Skewed()
    gate, begun = Gate(clock, rate=50), clock.monotonic()
    for _ in range(11):
        await gate.turn()
    assert clock.monotonic() - begun >= 10 / 50
