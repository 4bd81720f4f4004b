"""Proxies as Telethon takes them: a plain function of an account and the settings."""

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from actors.messages.ids import AccountId
from config.model import Telegram


def proxy_of(account_id: AccountId | None, settings: Telegram) -> str | None:
    """The address of the proxy by which an account connects: its own, else everybody's, else none."""
    for each in settings.proxies:
        if account_id is not None and account_id in each.accounts:
            return each.url.get_secret_value()
    return None if settings.proxy is None else settings.proxy.get_secret_value()


def is_mtproxy(url: str | None) -> bool:
    return url is not None and url.startswith("tg://")


def options_of(url: str) -> Any:
    """What ``TelegramClient(proxy=…)`` takes. The address was checked when the settings were read."""
    parts = urlsplit(url)
    if is_mtproxy(url):
        told = parse_qs(parts.query)
        return told["server"][0], int(told["port"][0]), told["secret"][0]
    return {
        "proxy_type": parts.scheme,
        "addr": parts.hostname,
        "port": parts.port,
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "rdns": True,
    }


def address_of(url: str) -> tuple[str, int]:
    """Host and port."""
    parts = urlsplit(url)
    if is_mtproxy(url):
        told = parse_qs(parts.query)
        return told["server"][0], int(told["port"][0])
    return parts.hostname or "", parts.port or 0
