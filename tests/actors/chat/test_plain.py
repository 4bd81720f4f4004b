"""The bot's texts, lists and words: plain functions."""

import re
import string
from datetime import UTC, datetime, timedelta

import pytest

from actors.chat.alerts import alerts_text
from actors.chat.answers import invite_terms, parse_command, schedule_text
from actors.chat.lists import PAGE, page_of, short
from actors.chat.texts import TEXTS, menu_of, text_of
from actors.messages.alerts import AlertRow
from actors.messages.chat import Button
from actors.messages.ids import AccountId
from config.model import Schedule

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize("name", TEXTS)
def test_each_sentence_says_the_same_in_both_languages(name):
    told = TEXTS[name]
    fields = [{field for _, field, _, _ in string.Formatter().parse(told[each]) if field} for each in ("ru", "en")]
    assert fields[0] == fields[1]
    assert told["ru"] != told["en"] or name == "invite_how"
    assert len(text_of(name, "en", **dict.fromkeys(fields[0], "x" * 64)).encode("utf-16-le")) // 2 <= 1024


def test_the_menu_offers_every_command_of_the_help_in_both_languages():
    offered = {language: dict(menu_of(language)) for language in ("ru", "en")}
    assert set(offered["ru"]) == set(offered["en"]) == set(re.findall(r"^/(\w+)", text_of("help", "en"), re.MULTILINE))
    assert {"login", "logout", "status", "add", "remove", "channels", "parse", "schedule", "latest"} <= set(
        offered["en"]
    )
    for menu in offered.values():
        # https://core.telegram.org/constructor/botCommand
        assert all(re.fullmatch(r"[a-z0-9_]{1,32}", command) for command in menu)
        assert all(0 < len(what) <= 256 for what in menu.values())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/start", ("start", "")),
        ("/start  code ", ("start", "code")),
        ("/ADD@some_bot @channel", ("add", "@channel")),
        ("/", ("", "")),
        ("/ add x", ("add", "x")),
        ("add", (None, "")),
    ],
)
def test_a_command_is_told_from_what_stands_after_it(text, told):
    assert parse_command(text) == told


@pytest.mark.parametrize(
    ("argument", "told"),
    [("", ("user", 1)), ("5", ("user", 5)), ("admin 2", ("admin", 2)), ("2 admin", ("admin", 2)),
     ("0", (None, 0)), ("101", (None, 0)), ("king", (None, 0)), ("٣", (None, 0))],
)  # fmt: skip
def test_what_an_invite_is_asked_for(argument, told):
    assert invite_terms(argument) == told


@pytest.mark.parametrize(("count", "page", "lines", "turns"), [
    (0, 0, 1, []), (PAGE, 0, PAGE + 1, []), (PAGE + 1, 0, PAGE + 1, ["list:1"]), (PAGE + 1, 1, 2, ["list:0"]),
    (3 * PAGE, 1, PAGE + 1, ["list:0", "list:2"]), (PAGE, 99, PAGE + 1, []), (3, -1, 4, []),
])  # fmt: skip
def test_a_page_of_a_list(count, page, lines, turns):
    note = page_of("Title", [(f"row {n}", Button(f"b{n}", f"x:{n}")) for n in range(count)], page, "list")
    assert len(note.text.splitlines()) == lines
    told = [button.data for row in note.buttons for button in row if button.data.startswith("list:")]
    assert told == turns


def test_labels_are_one_short_line():
    assert short("a\n b") == "a b"
    assert len(short("x" * 100)) == 40


def test_schedules_are_told_in_words():
    assert schedule_text(Schedule(every=timedelta(minutes=90)), "en") == "• every 1h30m"
    assert schedule_text(Schedule(cron="0 8 * * *", timezone="Europe/Moscow"), "ru").endswith("(Europe/Moscow)")


def test_a_hundred_alerts_of_a_kind_are_one_line():
    rows = [
        AlertRow(alert_id=n, kind="key_dead", account_id=AccountId(n), channel_id=None, cause="REVOKED", count=1,
                 first_at=NOW, last_at=NOW, ended_at=None)
        for n in range(1, 101)
    ]  # fmt: skip
    assert alerts_text(rows, {}, "en").splitlines()[1:] == ["• key_dead, 1, 2, 3, +97: REVOKED"]
