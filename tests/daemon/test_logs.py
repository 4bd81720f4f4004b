import io
import json
import logging
import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import log
from actors.log import CATALOGUE, emit
from config.load import parse_settings
from config.model import Logging
from daemon.logs import REPEATS, REPEATS_WITHIN, Redactor, Repeated, secrets_of, setup_logging


@pytest.fixture(autouse=True)
def untouched_logging():
    """Logging is the process's: what a test sets up must not reach the next one."""
    root, telethon = logging.getLogger(), logging.getLogger("telethon")
    before = (root.level, root.handlers[:], telethon.level)
    yield
    root.setLevel(before[0])
    root.handlers[:] = [handler for handler in root.handlers if handler in before[1]]
    telethon.setLevel(before[2])


@pytest.fixture
def printed():
    """Sets logging up as asked; answers with a function that takes the lines printed since."""

    def set_up(secrets=(), **settings):
        stream = io.StringIO()
        setup_logging(Logging(**settings), stream, secrets=secrets)

        def lines():
            text = stream.getvalue()
            stream.seek(0)
            stream.truncate()
            return text.splitlines()

        return lines

    return set_up


def test_the_contracts_lines_have_the_contracts_form(printed):
    lines = printed(debug=True)
    emit(log.BOT_STARTED)
    emit(log.SERVICE_READY)
    emit(log.POSTS_ADDED, channel="@channel1", count=5)
    emit(log.PARSE_FINISHED, count=47)
    emit(log.CLIENT_CREATED, account_id=8124731874, loop_id=140234567890)
    emit(log.PARSE_TASK_CREATED)
    emit(log.CLIENT_REUSED, account_id=8124731874, loop_id=140234567890)
    assert lines() == [
        "INFO:parser_service:🤖 Telegram Bot запущен в async task",
        "INFO:parser_service:✅ ParserService инициализирован",
        "INFO:parser_service:✅ ParserService: @channel1 - добавлено 5 постов",
        "INFO:parser_service:✅ ParserService: Парсинг завершен. Всего добавлено 47 постов",
        "INFO:parser_service:✅ Client 8124731874 создан в event loop 140234567890",
        "INFO:parser_service:📅 ParserService: Задача парсинга создана в текущем event loop",
        "INFO:parser_service:♻️ Используем существующий клиент 8124731874 в loop 140234567890",
    ]


def test_debugging_lines_wait_for_debug_logs(printed):
    lines = printed(level="DEBUG")
    emit(log.CLIENT_CREATED, account_id=1, loop_id=2)
    assert lines() == []


def test_the_log_speaks_english_when_asked(printed):
    lines = printed(language="en")
    emit(log.POSTS_ADDED, channel="@channel1", count=5)
    assert lines() == ["INFO:parser_service:✅ ParserService: @channel1 - added 5 posts"]


def test_json_keys_are_stable_in_every_language(printed):
    for language, wording in (
        ("ru", "✅ ParserService: @c - добавлено 5 постов"),
        ("en", "✅ ParserService: @c - added 5 posts"),
    ):
        lines = printed(format="json", language=language)
        emit(log.POSTS_ADDED, channel="@c", count=5)
        (line,) = lines()
        found = json.loads(line)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", found.pop("timestamp"))
        assert found == {
            "level": "INFO",
            "logger": "parser_service",
            "event": "posts_added",
            "message": wording,
            "fields": {"channel": "@c", "count": 5},
        }


def test_json_keeps_what_a_plain_record_carries(printed):
    lines = printed(format="json")
    try:
        int("boom")
    except ValueError:
        logging.getLogger("other").exception("it %s", "failed", extra={"account_id": 7, "channel_id": 9})
    (line,) = lines()
    found = json.loads(line)
    assert (found["event"], found["message"], found["fields"]) == (
        None,
        "it failed",
        {"account_id": 7, "channel_id": 9},
    )
    assert found["exception"].startswith("Traceback")
    assert found["exception"].endswith("'boom'")


def test_plain_records_pass_as_they_are_and_tracebacks_follow_their_line(printed):
    lines = printed()
    logging.getLogger("other").warning("100%% of %d, {not a field}", 5)
    logging.getLogger("other").info("two\nlines")
    try:
        int("boom")
    except ValueError as error:
        emit(log.STOPPED, exc_info=error)
    found = lines()
    assert found[:4] == [
        "WARNING:other:100% of 5, {not a field}",
        "INFO:other:two",
        "lines",
        "INFO:telewarden:👋 Остановлен",
    ]
    assert found[4] == "Traceback (most recent call last):"
    assert found[-1].startswith("ValueError: ")


def test_a_channels_name_cant_forge_a_line_or_steer_the_terminal(printed):
    lines = printed()
    emit(log.POSTS_ADDED, channel="@x\r\nERROR:root:forged\x1b[2J\u2028 👨‍👩‍👧\xa0ы", count=7)
    (line,) = lines()
    assert line.endswith(": @x\\r\\nERROR:root:forged\\x1b[2J\\u2028 👨‍👩‍👧\xa0ы - добавлено 7 постов")


def test_every_event_names_the_same_fields_in_both_languages():
    for event in CATALOGUE.values():
        assert re.findall(r"\{(\w+)\}", event.ru) == re.findall(r"\{(\w+)\}", event.en), event.name


def test_levels_hold_and_telethon_never_says_less_than_a_warning(printed):
    lines = printed(level="DEBUG")
    logging.getLogger("telethon.network").info("Connecting to 149.154.167.51")
    logging.getLogger("telethon.network").warning("Server closed the connection")
    logging.getLogger("other").debug("small")
    assert lines() == ["WARNING:telethon.network:Server closed the connection", "DEBUG:other:small"]
    lines = printed(level="ERROR")
    logging.getLogger("telethon.network").warning("Server closed the connection")
    logging.getLogger("other").warning("small")
    assert lines() == []


def test_a_second_setup_replaces_the_first_and_leaves_foreign_handlers(printed):
    foreign = logging.NullHandler()
    logging.getLogger().addHandler(foreign)
    first, second = printed(), printed()
    logging.getLogger("other").info("once")
    assert (first(), second()) == ([], ["INFO:other:once"])
    assert foreign in logging.getLogger().handlers


HASH = "0123456789abcdef0123456789abcdef"
BOT = "8124731874:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call +79161234567 now", "call +…67 now"),
        ("+7 916 123-45-67", "+…67"),
        ("+1 (202) 555-0143", "+…43"),
        ("phone='79161234567'", "phone='…67'"),
        ('{"phone": "79161234567"}', '{"phone": "…67"}'),
        ("phone_number=79161234567", "phone_number=…67"),
        (f"https://api.telegram.org/bot{BOT}/getMe", "https://api.telegram.org/bot8124731874:[hidden]/getMe"),
        (BOT, "8124731874:[hidden]"),
        (f"api_hash {HASH}.", "api_hash [hidden]."),
        (HASH.upper(), "[hidden]"),
        ("auth key " + "0a" * 256, "auth key [hidden]"),
        ("session 1" + "Aa_-" * 88 + "=", "session [hidden]"),
        ("Bearer tw_" + "Zx9_" * 11, "Bearer tw_[hidden]"),
        ("postgresql://u:p%40ss@h:5432/d", "postgresql://u:[hidden]@h:5432/d"),
        ("postgres://u:p@ss/w:ord@h/d", "postgres://u:[hidden]@h/d"),
        ("socks5://u:hush@h:1080", "socks5://u:[hidden]@h:1080"),
        ("SignIn(phone_code_hash='abcd', phone_code='1')", "SignIn(phone_code_hash='[hidden]', phone_code='1')"),
        ("access_hash=-123456789012", "access_hash=[hidden]"),
        ('{"password": "hush hush"}', '{"password": "[hidden] hush"}'),
    ],
)
def test_secrets_are_taken_out_by_their_looks(text, expected):
    assert Redactor()(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Client 8124731874: loop=140234567890, same=True",
        "✅ Client 8124731874 создан в event loop 140234567890",
        "channel -1001234567890, post 12345678901234567890123456789012",
        "2026-11-23T18:14:41+03:00 and 2026-11-23T18:14:41.727+0300",
        "PostgreSQL: postgresql://u@h:5432/d, http://127.0.0.1:8010/users?x=a@b",
        "job 2f1c4a9e-6d1b-4f6e-9a55-0c9a4b8d7e21",
        "bot.token: expected text, got nothing; password: is required",
        "added +5 posts, +100000",
        "@channel1 t.me/some_name /var/lib/telewarden/postgres/18/bin/postgres",
    ],
)
def test_what_is_no_secret_stays(text):
    assert Redactor()(text) == text


@given(st.integers(-(10**15), 10**15))
def test_no_bare_number_is_taken_for_a_phone(number):
    text = f"user {number}: {number}, loop={number}, @{number}"
    assert Redactor()(text) == text


@given(st.sampled_from([1, 7, 44, 380, 998]), st.integers(10**7, 10**11 - 1), st.text("abя =:'\"({,", max_size=3))
def test_every_international_number_keeps_two_digits_at_most(country, rest, before):
    number = f"+{country}{rest}"
    redacted = Redactor()(f"x {before}{number}")
    assert number[1:-2] not in redacted
    assert redacted.endswith(number[-2:])


def test_known_secrets_are_taken_out_whatever_they_look_like(printed):
    settings = parse_settings(
        b"telegram: {api_hash: hushhush, proxy: 'socks5://u:pr%40xy-word@h:1'}\n"
        b"bot: {token: token-of-mine}\ndatabase: {dsn: 'postgresql://u:pass word@h/d'}",
        "x",
        {},
    )
    secrets = secrets_of(settings)
    for form in ("text", "json"):
        lines = printed(format=form, secrets=secrets)
        logging.getLogger("other").info(
            "%s",
            ["hushhush", "token-of-mine", "pass word", "pr@xy-word", "pr%40xy-word"],
            extra={"deep": [{"x": "hushhush"}]},
        )
        (line,) = lines()
        assert not re.search("hushhush|token-of-mine|pass word|xy-word", line)


def test_tracebacks_and_fields_are_redacted_in_both_forms(printed):
    for form in ("text", "json"):
        lines = printed(format=form)
        try:
            int(f"token {BOT}")
        except ValueError as error:
            emit(log.ACCOUNT_PARKED, account_id=5, state="revoked", cause="+79161234567", exc_info=error)
        text = "\n".join(lines())
        assert "AAHdqTcv" not in text
        assert "7916" not in text
        assert "+…67" in text


def test_a_record_that_cant_be_printed_costs_one_line_without_its_arguments(printed, monkeypatch):
    lines = printed()
    with monkeypatch.context() as patched:
        # pytest's own handler would raise what it can't print.
        ours = [handler for handler in logging.getLogger().handlers if type(handler).__module__ == "daemon.logs"]
        patched.setattr(logging.getLogger(), "handlers", ours)
        logging.getLogger("other").info("%d", "hush")
        emit(log.POSTS_ADDED, channel="@x")
    assert lines() == [
        "ERROR:daemon.logs:a record of logger other can't be printed: TypeError",
        "ERROR:daemon.logs:a record of logger parser_service can't be printed: KeyError",
    ]


SPEAKER = """
import sys
from actors import log
from config.model import Logging
from daemon.logs import setup_logging
setup_logging(Logging())
sys.stdin.read()
for count in range(1000):
    log.emit(log.PARSE_FINISHED, count=count)
print("alive")
"""


def test_a_reader_of_stderr_that_goes_away_ends_nothing():
    speaker = subprocess.Popen(
        [sys.executable, "-c", SPEAKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    speaker.stderr.close()
    out, _ = speaker.communicate(b"go", timeout=30)
    assert (out, speaker.returncode) == (b"alive\n", 0)


def test_the_log_is_russian_even_where_the_locale_is_c():
    environ = {**os.environ, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", SPEAKER], input=b"", capture_output=True, env=environ, timeout=30, check=True
    )
    assert done.stderr.decode().startswith(
        "INFO:parser_service:✅ ParserService: Парсинг завершен. Всего добавлено 0 постов\n"
    )


def test_what_is_repeated_is_printed_some_times_and_then_counted():
    now = [0.0]
    repeated = Repeated(lambda: now[0])

    def passes(text="it failed", **fields):
        record = logging.LogRecord("a", logging.ERROR, __file__, 1, text, (), None)
        vars(record).update(fields)
        return repeated.filter(record)

    assert [passes() for _ in range(REPEATS + 5)] == [True] * REPEATS + [False] * 5
    assert passes("something else")
    assert passes(account_id=7), "another account's is another kind"
    now[0] = REPEATS_WITHIN + 1
    assert passes()
    record = logging.LogRecord("a", logging.INFO, __file__, 1, "news", (), None)
    assert all(repeated.filter(record) for _ in range(REPEATS * 2)), "only what is wrong is held back"


def test_what_was_left_out_is_told(printed, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(Repeated.__init__, "__defaults__", (lambda: now[0],))
    lines = printed(language="en")
    for _ in range(REPEATS + 7):
        logging.getLogger("a").warning("it failed again")
    assert len(lines()) == REPEATS
    now[0] = REPEATS_WITHIN
    logging.getLogger("a").warning("it failed again")
    assert lines() == [
        "WARNING:daemon.logs:7 more like the next one were left out of the log within a minute",
        "WARNING:a:it failed again",
    ]


@pytest.mark.parametrize(("level", "mark"), [("CRITICAL", 2), ("ERROR", 3), ("WARNING", 4), ("INFO", 6), ("DEBUG", 7)])
def test_under_the_journal_each_line_has_its_priority(level, mark):
    code = f"""
import logging
from daemon.logs import setup_logging
from config.model import Logging
setup_logging(Logging(level="DEBUG"))
try:
    raise ValueError("a")
except ValueError:
    logging.getLogger("x").log(logging.{level}, "b", exc_info=True)
"""
    read, write = os.pipe()
    told = os.fstat(write)
    for stream, prefixed in ((f"{told.st_dev}:{told.st_ino}", True), ("1:2", False)):
        environ = {**os.environ, "JOURNAL_STREAM": stream}
        subprocess.run([sys.executable, "-c", code], env=environ, stderr=write, check=True)
        lines = os.read(read, 65536).decode().splitlines()
        assert len(lines) > 3
        assert all(line.startswith(f"<{mark}>") == prefixed for line in lines), lines
    os.close(read)
    os.close(write)
