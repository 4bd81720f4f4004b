"""The sign-in page's documents: plain functions of what is to be shown. No script; every text is escaped."""

from html import escape
from typing import Literal

from actors.chat.texts import text_of
from actors.messages.ids import Language

TEXTS: dict[str, dict[Language, str]] = {
    "title": {"ru": "Вход в Telegram", "en": "Sign in to Telegram"},
    "open": {"ru": "Продолжить", "en": "Continue"},
    "open_why": {
        "ru": "Эта ссылка открывается один раз. Нажмите, когда будете готовы войти.",
        "en": "This link opens once. Press when you are ready to sign in.",
    },
    "gone": {
        "ru": "Эта ссылка уже открыта или устарела. Попросите новую: /login в боте, или у администратора.",
        "en": "This link was opened before, or is too old. Ask for a new one: /login in the bot, or an administrator.",
    },
    "agree": {"ru": "Согласен", "en": "I agree"},
    "by_qr": {"ru": "Показать QR-код", "en": "Show a QR code"},
    "by_phone": {"ru": "Прислать код в Telegram", "en": "Send a code to Telegram"},
    "phone": {"ru": "Номер телефона с кодом страны", "en": "Phone number with its country code"},
    "scan": {
        "ru": "Отсканируйте в Telegram: Настройки > Устройства > Подключить устройство. Страница обновляется сама.",
        "en": "Scan it in Telegram: Settings > Devices > Link Desktop Device. This page renews itself.",
    },
    "code": {"ru": "Код из Telegram", "en": "Code from Telegram"},
    "password": {"ru": "Пароль двухфакторной защиты", "en": "Two-factor password"},
    "send": {"ru": "Войти", "en": "Sign in"},
    "again": {"ru": "Начать заново", "en": "Begin again"},
    "done": {
        "ru": "Готово, аккаунт подключён. Страницу можно закрыть.",
        "en": "Done, you are signed in. Close this page.",
    },
    "must_agree": {"ru": "Без согласия войти нельзя.", "en": "Without your agreement nobody can be signed in."},
}
STYLE = """
:root { color-scheme: light dark; font: 17px/1.5 system-ui, sans-serif; }
body { max-width: 26rem; margin: 3rem auto; padding: 0 1rem; }
input, button { font: inherit; padding: .6rem; box-sizing: border-box; }
input:not([type=checkbox]), button { width: 100%; margin: .3rem 0; }
img { width: 100%; max-width: 20rem; background: #fff; display: block; margin: 1rem auto; }
form { margin: 1rem 0; }
.wrong { color: #c0392b; }
"""


def say(name: str, language: Language) -> str:
    return escape(TEXTS[name][language])


def closed(token_path: str, language: Language) -> str:
    """A link that wasn't opened yet: messengers fetch links for their previews, and a look must not use it up."""
    form = f'<form method="post" action="{escape(token_path)}"><button>{say("open", language)}</button></form>'
    return document(f"<p>{say('open_why', language)}</p>{form}", language)


def gone(language: Language) -> str:
    return document(f"<p>{say('gone', language)}</p>", language)


def choice(language: Language, wrong: str = "") -> str:
    consent = escape(text_of("consent", language))
    agree = f'<label><input type="checkbox" name="agree" value="yes" required> {say("agree", language)}</label>'
    by_qr = f'<form method="post" action="/login/qr">{agree}<button>{say("by_qr", language)}</button></form>'
    by_phone = (
        f'<form method="post" action="/login/phone">{agree}'
        f'<input name="phone" type="tel" autocomplete="tel" required placeholder="{say("phone", language)}">'
        f"<button>{say('by_phone', language)}</button></form>"
    )
    return document(f"<p>{consent}</p>{_wrong(wrong)}{by_qr}<hr>{by_phone}", language)


def scan(language: Language) -> str:
    return document(f'<p>{say("scan", language)}</p><img src="/login/qr.svg" alt="QR">', language, renew=True)


def entry(kind: Literal["code", "password"], language: Language, wrong: str = "") -> str:
    field = (
        '<input name="code" inputmode="numeric" autocomplete="one-time-code" required autofocus'
        if kind == "code"
        else '<input name="password" type="password" autocomplete="current-password" required autofocus'
    )
    form = (
        f'<form method="post" action="/login/{kind}">{field} placeholder="{say(kind, language)}">'
        f"<button>{say('send', language)}</button></form>"
    )
    return document(_wrong(wrong) + form, language)


def done(language: Language) -> str:
    return document(f"<p>✅ {say('done', language)}</p>", language)


def failed(language: Language, wrong: str) -> str:
    form = f'<form method="post" action="/login/again"><button>{say("again", language)}</button></form>'
    return document(_wrong(wrong) + form, language)


def _wrong(text: str) -> str:
    return f'<p class="wrong">{escape(text)}</p>' if text else ""


def document(body: str, language: Language, *, renew: bool = False) -> str:
    again = '<meta http-equiv="refresh" content="2">' if renew else ""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">{again}'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f'<link rel="stylesheet" href="/login/style.css"><title>Telewarden</title></head>'
        f"<body><h1>{say('title', language)}</h1>{body}</body></html>"
    )
