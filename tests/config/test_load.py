import re
from datetime import date, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.load import SettingsInvalid, load_settings, missing_credentials, parse_settings
from config.model import MEDIA_KINDS, Settings
from config.values import parse_size, render_size

PEM = "-----BEGIN RSA PUBLIC KEY-----\nMIIB\n-----END RSA PUBLIC KEY-----"


def read(text, **environ):
    return parse_settings(text.encode(), "config/x.yaml", environ)


def faults_of(text, **environ):
    with pytest.raises(SettingsInvalid) as invalid:
        read(text, **environ)
    return [str(fault) for fault in invalid.value.faults]


def test_an_empty_file_means_the_defaults():
    assert read("") == read("# nothing\n") == load_settings(None, {}) == Settings()


def test_all_faults_are_reported_at_once_each_with_its_line_and_path():
    text = """\
schedules:
  - every: 30m
  - {name: b, every: 1h, timezone: Mars}
  - name: c
    every: 5 minuts
admin:
  prot: 8010
  port: 80100
  trusted_peers: [10.0.0.1/8]
telegram: {datacenter: {id: 2, address: x}}
logging:
  level: info
  level: DEBUG
sandbox:
  enabled: yes
collection:
  start: last week
"""
    assert faults_of(text) == [
        "config/x.yaml:3: schedules[1].timezone: expected a time zone such as Europe/Moscow, got 'Mars'",
        "config/x.yaml:5: schedules[2].every: expected a duration such as 30m, got '5 minuts'",
        "config/x.yaml:7: admin.prot: unknown key; did you mean 'port'?",
        "config/x.yaml:8: admin.port: expected at most 65535, got 80100",
        "config/x.yaml:9: admin.trusted_peers[0]: expected 10.0.0.0/8, got '10.0.0.1/8'",
        "config/x.yaml:10: telegram.datacenter.port: is required",
        "config/x.yaml:12: logging.level: expected one of DEBUG, INFO, WARNING, ERROR, got 'info'",
        "config/x.yaml:13: the key 'level' stands twice (first in line 12)",
        "config/x.yaml:15: sandbox.enabled: expected true or false, got 'yes'",
        "config/x.yaml:17: collection.start: expected 'last 100', 'all', 'now' or 'since 2024-01-31', got 'last week'",
    ]


def test_words_that_yaml_1_1_would_twist_stay_words():
    settings = read(
        "collection: {channels: [no, on, 12:30, +79161234567, 0777, 1_000, -1001234567890, 2024-01-31, '=']}"
    )
    assert settings.collection.channels == (
        "no", "on", "12:30", "+79161234567", "0777", "1_000", "-1001234567890", "2024-01-31", "=",
    )  # fmt: skip


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "1", "0", "y", "tRUE"])
def test_only_true_and_false_are_booleans(word):
    assert faults_of(f"sandbox: {{enabled: {word}}}") == [
        f"config/x.yaml:1: sandbox.enabled: expected true or false, got '{word}'"
    ]


@pytest.mark.parametrize(("word", "meant"), [("true", True), ("false", False), ("True", True)])
def test_true_and_false_are_booleans(word, meant):
    assert read(f"sandbox: {{enabled: {word}}}").sandbox.enabled is meant


@pytest.mark.parametrize("word", ["0x10", "+5", "1_000", "08", "1e3", "9" * 5000])
def test_a_whole_number_is_written_in_plain_digits(word):
    (fault,) = faults_of(f"admin: {{port: {word}}}")
    assert "admin.port: expected a whole number, got" in fault


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("30s", timedelta(seconds=30)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
        ("1w", timedelta(weeks=1)),
        ("1h30m", timedelta(minutes=90)),
    ],
)
def test_durations(text, meant):
    assert read(f"telegram: {{request_timeout: {text}}}").telegram.request_timeout == meant


@pytest.mark.parametrize("text", ["1M", "5 minuts", "30 m", "m", "-5m", "1.5h", "PT30S", "٣m", "''"])
def test_what_is_no_duration_is_refused(text):
    (fault,) = faults_of(f"telegram: {{request_timeout: {text}}}")
    assert "telegram.request_timeout: expected a duration such as 30m, got" in fault


def test_a_bare_number_is_refused_with_a_hint():
    (fault,) = faults_of("telegram: {request_timeout: 30}")
    assert fault.endswith("expected a duration such as 30m, got '30' without a unit (s, m, h, d or w)")


@pytest.mark.parametrize("text", ["0s", "999999999w", "3651d"])
def test_a_duration_has_a_sane_size(text):
    (fault,) = faults_of(f"telegram: {{request_timeout: {text}}}")
    assert re.search(r"expected (more than 0|at most 3650d)", fault)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("20MiB", 20 * 1024 * 1024),
        ("1 GiB", 1024**3),
        ("2GB", 2_000_000_000),
        ("500KB", 500_000),
        ("4KiB", 4096),
        ("17B", 17),
    ],
)
def test_sizes(text, meant):
    (rule,) = read(f"media: {{channels: [{{channel: x, max_size: {text}}}]}}").media.channels
    assert rule.max_size == meant


@pytest.mark.parametrize("text", ["20", "20M", "20mib", "1.5GiB", "-1MiB", "0B", "5000GiB", "''", "[]"])
def test_what_is_no_size_is_refused(text):
    (fault,) = faults_of(f"media: {{channels: [{{channel: x, max_size: {text}}}]}}")
    assert fault.startswith("config/x.yaml:1: media.channels[0].max_size: expected ")


def test_a_media_rule_takes_all_kinds_up_to_20_mib_of_a_channel_unless_it_says_otherwise():
    assert read("").media.channels == ()
    (rule,) = read("media: {channels: [{channel: '@a'}]}").media.channels
    assert (rule.kinds, rule.max_size, rule.protected) == (MEDIA_KINDS, 20 * 2**20, False)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("channels: [{kinds: [photo]}]", "media.channels[0].channel: is required"),
        ("channels: [{channel: a, kinds: [gif]}]", "media.channels[0].kinds[0]: expected one of photo, document, "),
        ("channels: [{channel: a, kinds: []}]", "media.channels[0].kinds: expected at least 1"),
        ("store: 'ftp://host/x'", "media.store: expected a folder or s3://bucket/prefix, got 'ftp://host/x'"),
        ("store: 's3:///x'", "media.store: expected a folder or s3://bucket/prefix, got 's3:///x'"),
        ("s3: {endpoint: minio}", "media.s3.endpoint: expected text that matches"),
        ("parallel: 0", "media.parallel: expected at least 1, got 0"),
    ],
)
def test_what_is_wrong_with_media_is_named(text, fault):
    (found,) = faults_of(f"media: {{{text}}}")
    assert fault in found


def test_media_lie_in_the_state_folder_unless_a_folder_is_named(tmp_path):
    assert read("state_dir: /s").media_dir == Path("/s/media")
    assert read("{state_dir: /s, media: {store: /big}}").media_dir == Path("/big")
    assert read("{state_dir: /s, media: {store: 's3://bucket/a/b'}}").media_dir == Path("/s/media")


@given(st.integers(1, 2**42))
def test_a_size_is_written_as_it_is_read(size):
    assert parse_size(render_size(size)) == size


@pytest.mark.parametrize(
    ("text", "policy", "count", "since"),
    [
        ("last 100", "last", 100, None),
        ("all", "all", None, None),
        ("now", "now", None, None),
        ("since 2024-01-31", "since", None, date(2024, 1, 31)),
        ("{policy: last, count: 5}", "last", 5, None),
    ],
)
def test_start_policies(text, policy, count, since):
    start = read(f"collection: {{start: {text}}}").collection.start
    assert (start.policy, start.count, start.since) == (policy, count, since)


@pytest.mark.parametrize(
    "text", ["last", "last 0", "last -5", "since 2024-02-30", "since yesterday", "ALL", "{policy: all, count: 5}", "[]"]
)
def test_what_is_no_start_policy_is_refused(text):
    (fault,) = faults_of(f"collection: {{start: {text}}}")
    assert fault.startswith("config/x.yaml:1: collection.start: expected ")


def test_posts_are_read_again_after_durations_that_ascend():
    assert read("collection: {reread_after: [1h, 1d, 7d]}").collection.reread_after == (
        timedelta(hours=1),
        timedelta(days=1),
        timedelta(days=7),
    )
    assert read("").collection.reread_after == ()


@pytest.mark.parametrize(
    "text", ["[1m]", "[60w]", "[1d, 1h]", "[1h, 1h]", "[soon]", "1", f"[{', '.join(['1h'] * 11)}]"]
)
def test_other_lists_of_them_are_refused(text):
    (fault,) = faults_of(f"collection: {{reread_after: {text}}}")
    assert fault.startswith("config/x.yaml:1: collection.reread_after")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{name: a}", "schedules[0]: expected either 'every' or 'cron'"),
        ("{every: 1h, cron: '0 * * * *'}", "schedules[0]: expected either 'every' or 'cron', not both"),
        ("{every: 1h, jitter: -5s}", "schedules[0].jitter: expected a duration such as 30m"),
        ("{every: 9s}", "schedules[0].every: expected at least 10s, got 9s"),
        ("{cron: '0 0 30 2 *'}", "schedules[0].cron: expected five cron fields such as"),
        ("{cron: '* * * * * *'}", "schedules[0].cron: expected five cron fields such as"),
        ("{every: 1h, timezone: ../passwd}", "schedules[0].timezone: expected a time zone such as Europe/Moscow"),
        ("{every: 1h, users: [0]}", "schedules[0].users[0]: expected more than 0, got 0"),
        ("{every: 1h, users: ['@ann']}", "schedules[0].users[0]: expected a whole number, got '@ann'"),
        ("{every: 1h, name: a b}", "schedules[0].name: expected text that matches"),
        ("{every: 1h}, {every: 2h}", "schedules: expected a name of its own for each, got 'all' 2 times"),
        ("", None),
    ],
)
def test_schedules(text, fault):
    if fault is None:
        assert read(f"schedules: [{text}]").schedules == ()
    else:
        (found,) = faults_of(f"schedules: [{text}]")
        assert found.startswith(f"config/x.yaml:1: {fault}")


def test_a_faulty_element_doesnt_shift_the_numbers_of_those_after_it():
    faults = faults_of("schedules: [3, {every: 1h}, {name: c, every: 1M}]")
    assert [fault.split(": ")[1] for fault in faults] == ["schedules[0]", "schedules[2].every"]


def test_the_sandbox_and_a_datacenter_contradict_each_other_even_beside_other_faults():
    datacenter = "{id: 2, address: 127.0.0.1, port: 443}"
    faults = faults_of(f"sandbox: {{enabled: true}}\nadmin: {{port: x}}\ntelegram:\n  datacenter: {datacenter}")
    assert faults[1].startswith("config/x.yaml:4: telegram.datacenter: can't be set while sandbox.enabled is true")
    assert read(f"telegram: {{datacenter: {datacenter}}}").telegram.datacenter.port == 443


def test_a_section_without_keys_holds_its_defaults():
    assert read("admin:\nsandbox: null\ntelegram: {datacenter: null}") == Settings()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- a", "1: expected sections"),
        ("admin: 5", "1: admin: expected keys and values, got text"),
        ("schedules:", "1: schedules: expected a list such as [a, b], got nothing"),
        ("admin:\n  host:", "2: admin.host: expected text, got nothing"),
        ("admin: {host: ''}", "1: admin.host: expected text, got nothing"),
        ("admin: {host: [a]}", "1: admin.host: expected text, got a list"),
        ('state_dir: "a\\0b"', "1: state_dir: expected a path, got"),
        ("a: 1\n---\nb: 2", "2: holds more than one YAML document"),
        ("a: [", "2: isn't YAML: "),
        ("admin: *a", "1: holds an alias"),
        ("admin: &a {x: *a}", "1: holds an alias"),
        ("a: !!python/object/apply:os.system [x]", "1: holds a YAML tag"),
        ("x:\n? [a]\n: b", "2: has a list or a mapping for a key"),
        ("a: \x00", "1: isn't YAML: it holds a character that YAML forbids"),
        ("<<: {a: 1}", "1: <<: unknown key"),
        ("[" * 1_000_000, "1: is nested deeper than 32 levels"),
        ("{a: " * 100_000, "1: is nested deeper than 32 levels"),
        ("x: &a 1\ny: [" + "*a, " * 100 + "]", "2: holds more than 50 aliases"),
    ],
    ids=lambda text: text[:20].encode("unicode_escape").decode(),
)
def test_what_is_no_settings_file_is_refused_with_its_line(text, fault):
    assert faults_of(text)[0].startswith(f"config/x.yaml:{fault}")


def test_a_file_that_isnt_utf8_or_is_too_large_is_refused():
    for raw, fault in ((b"a: 1\nb: \xff", "x:2: isn't UTF-8 text"), (b"#" * 2**21 + b"#", "x: is larger than 2 MiB")):
        with pytest.raises(SettingsInvalid, match=fault):
            parse_settings(raw, "x", {})


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm():
    assert parse_settings(b"\xef\xbb\xbfadmin:\r\n  port: 1\r\n", "x", {}).admin.port == 1


def test_a_thousand_faults_are_cut_to_a_hundred_and_counted():
    faults = faults_of("".join(f"k{nth}: 1\n" for nth in range(1000)))
    assert len(faults) == 101
    assert faults[-1] == "config/x.yaml: and 900 more faults"


def test_an_alias_repeats_what_its_anchor_said():
    settings = read("schedules: [&a {name: a, cron: &c '0 1 * * *'}, {name: b, cron: *c}]")
    assert settings.schedules[1].cron == "0 1 * * *"


def test_a_missing_file_is_a_fault(tmp_path):
    for path, why in ((tmp_path / "none.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsInvalid, match=re.escape(f"{path}: can't be read: {why}")):
            load_settings(path, {})


def test_the_environment_goes_over_the_file_and_the_file_over_the_defaults(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("admin: {port: 1, host: a}\n")
    settings = load_settings(file, {"TELEWARDEN__ADMIN__PORT": "2", "telewarden__sandbox__Enabled": "true"})
    assert (settings.admin.port, settings.admin.host, settings.sandbox.enabled) == (2, "a", True)
    assert settings.database.pool_size == 4


def test_the_environment_reaches_into_lists_and_changes_defaults_in_place():
    settings = read(
        "",
        TELEWARDEN__SCHEDULES__0__EVERY="1h",
        TELEWARDEN__SCHEDULES__1__NAME="nightly",
        TELEWARDEN__SCHEDULES__1__CRON="0 3 * * *",
        TELEWARDEN__ADMIN__TRUSTED_PEERS__2="172.28.0.0/16",
        TELEWARDEN__ADMIN__ALLOWED_HOSTS="[telethon]",
    )
    assert [(each.name, each.every, each.cron) for each in settings.schedules] == [
        ("all", timedelta(hours=1), None),
        ("nightly", None, "0 3 * * *"),
    ]
    assert settings.admin.trusted_peers[2] == ip_network("172.28.0.0/16")
    assert settings.admin.allowed_hosts == ("telethon",)


def test_eleven_elements_come_in_their_order():
    environ = {f"TELEWARDEN__COLLECTION__CHANNELS__{nth}": f"c{nth}" for nth in range(11)}
    assert read("", **environ).collection.channels == tuple(f"c{nth}" for nth in range(11))


def test_a_whole_section_in_one_variable_joins_what_the_file_says():
    settings = read("admin: {host: a}", TELEWARDEN__ADMIN="{port: 1}", TELEWARDEN__COLLECTION__START="last 5")
    assert (settings.admin.host, settings.admin.port, settings.collection.start.count) == ("a", 1, 5)


def test_text_in_the_environment_needs_no_quotes_and_an_empty_one_means_null():
    settings = read(
        "sandbox: {posts_dir: /posts}",
        TELEWARDEN__TELEGRAM__API_HASH="[#12: no",
        TELEWARDEN__SANDBOX__POSTS_DIR="",
        TELEWARDEN__TELEGRAM__API_ID="",
        TELEWARDEN__STATE_DIR="/a b: c",
    )
    assert settings.telegram.api_hash.get_secret_value() == "[#12: no"
    assert settings.sandbox.posts_dir is None
    assert settings.telegram.api_id is None
    assert settings.state_dir == Path("/a b: c")


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("TELEWARDEN__ADMIN__PROT", "1", "admin.prot: unknown key; did you mean 'port'?"),
        ("TELEWARDEN__ADMIN__PORT__X", "1", "admin.port: holds one value; X is too much"),
        ("TELEWARDEN__ADMIN__PORT", "[", "admin.port: expected a whole number"),
        ("TELEWARDEN__ADMIN__PORT", "", "admin.port: expected a whole number, got nothing"),
        ("TELEWARDEN__ADMIN__HOST", "", "admin.host: expected text, got nothing"),
        ("TELEWARDEN__ADMIN__PORT", "\udcff", "admin.port: isn't UTF-8 text"),
        (
            "TELEWARDEN__SCHEDULES__5__EVERY",
            "1h",
            "schedules: its elements are numbered from 0, the next one is 1, not",
        ),
        (
            "TELEWARDEN__SCHEDULES__X__EVERY",
            "1h",
            "schedules: its elements are numbered from 0, the next one is 1, not",
        ),
        ("TELEWARDEN__", "1", "unknown key"),
        ("TELEWARDEN__BOT__TOKEN_FILE", "/nowhere", "bot.token: '/nowhere' can't be read: No such file or directory"),
        ("DEBUG_LOGS", "maybe", "logging.debug: expected true or false"),
    ],
)
def test_a_variable_that_cant_be_used_is_named(name, value, fault):
    assert faults_of("", **{name: value})[0].startswith(f"{name}: {fault}")


def test_two_spellings_of_one_variable_are_a_fault():
    assert faults_of("", TELEWARDEN__ADMIN__PORT="1", telewarden__admin__port="2") == [
        "telewarden__admin__port: means the same key as TELEWARDEN__ADMIN__PORT"
    ]


@pytest.mark.parametrize("value", ["true", "1", "yes", "TRUE", " on "])
def test_debug_logs_switches_the_debugging_lines_on(value):
    assert read("", DEBUG_LOGS=value).logging.debug
    assert read("logging: {level: WARNING}", DEBUG_LOGS=value).logging.level == "WARNING"


@pytest.mark.parametrize("value", ["", "false", "0", "no"])
def test_debug_logs_may_say_no(value):
    assert not read("", DEBUG_LOGS=value).logging.debug
    assert not read("", DEBUG_LOGS="true", TELEWARDEN__LOGGING__DEBUG="false").logging.debug


def test_a_secret_may_stand_in_a_file_whose_last_newline_isnt_part_of_it(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hush \n")
    settings = read("bot: {token: other}", TELEWARDEN__BOT__TOKEN_FILE=str(secret))
    assert settings.bot.token.get_secret_value() == "hush "
    secret.write_text("12345\n")
    assert read("", TELEWARDEN__TELEGRAM__API_ID_FILE=str(secret)).telegram.api_id == 12345
    assert read("", TELEWARDEN__ADMIN__TOKEN_FILE=str(secret)).admin.token_file == secret


def test_credentials_fill_only_what_nothing_else_set(tmp_path):
    for name, value in {"api_id": "7", "api_hash": "abc", "bot_token": "t", "database_dsn": "postgresql://h/d"}.items():
        (tmp_path / name).write_text(value + "\n")
    settings = read("telegram: {api_id: 5}\nbot:\n  token: null", CREDENTIALS_DIRECTORY=str(tmp_path))
    assert settings.telegram.api_id == 5
    assert settings.telegram.api_hash.get_secret_value() == "abc"
    assert settings.bot.token.get_secret_value() == "t"
    assert settings.database.dsn.get_secret_value() == "postgresql://h/d"
    (tmp_path / "api_id").write_text("seven")
    assert faults_of("", CREDENTIALS_DIRECTORY=str(tmp_path)) == [
        "credential api_id: telegram.api_id: expected a whole number, got 'seven'"
    ]


def test_a_public_key_may_be_text_or_a_path(tmp_path):
    key = tmp_path / "key.pem"
    key.write_text(PEM)
    base = "telegram: {datacenter: {id: 2, address: 127.0.0.1, port: 443%s}}"
    assert read(base % f", public_key: {key}").telegram.datacenter.public_key == PEM
    assert read(base % "", TELEWARDEN__TELEGRAM__DATACENTER__PUBLIC_KEY=PEM).telegram.datacenter.public_key == PEM
    assert faults_of(base % ", public_key: /nowhere") == [
        "config/x.yaml:1: telegram.datacenter.public_key: '/nowhere' can't be read: No such file or directory"
    ]
    key.write_text("no key")
    assert faults_of(base % f", public_key: {key}")[0].endswith("names a file that holds no PEM key")


SECRET = "canary5ecret"


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        (f"telegram: {SECRET}", {}),
        (f"telegram: {{api_hash: [{SECRET}]}}", {}),
        (f"telegram: {{api_hash: {{a: {SECRET}}}}}", {}),
        (f"telegram: {{api_hsah: {SECRET}}}", {}),
        (f"database: {{dsn: 'mysql://u:{SECRET}@h/d'}}", {}),
        (f"database: {{dsn: *{SECRET}}}", {}),
        (f"database: {{dsn: !{SECRET} x}}", {}),
        (f'database: {{dsn: "\\0{SECRET}"}}', {}),
        (f"bot:\n  token: 'x{SECRET}\n", {}),
        (f"bot: [{SECRET}]", {}),
        ("", {"TELEWARDEN__BOT": SECRET}),
        ("", {"TELEWARDEN__BOT__TOKEN_FILE": SECRET}),
        ("", {"TELEWARDEN__DATABASE__DSN": SECRET}),
        ("", {"TELEWARDEN__BOT": f"{{token: [{SECRET}]}}"}),
        ("", {"TELEWARDEN__BOT": f"{{token: '{SECRET}"}),
    ],
)
def test_no_fault_shows_a_secret(text, environ):
    assert SECRET not in "\n".join(faults_of(text, **environ))


def test_no_repr_shows_a_secret():
    settings = read(
        f"telegram: {{api_hash: {SECRET}}}\nbot: {{token: {SECRET}}}\ndatabase: {{dsn: 'postgresql://u:{SECRET}@h/d'}}"
    )
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()


def test_what_is_missing_for_real_accounts_is_said_plainly():
    assert "telegram.api_id and telegram.api_hash must be set" in (missing_credentials(Settings()) or "")
    assert "telegram.api_hash must be set" in (missing_credentials(read("telegram: {api_id: 1}")) or "")
    assert missing_credentials(read("telegram: {api_id: 1, api_hash: x}")) is None
    assert missing_credentials(read("sandbox: {enabled: true}")) is None
    assert missing_credentials(read("telegram: {datacenter: {id: 1, address: a, port: 1}}")) is None


def test_settings_never_change():
    with pytest.raises(ValueError, match="frozen"):
        Settings().admin.port = 1


def taken_or_refused(raw, **environ):
    """Any other exception is the bug that the fuzzing looks for."""
    try:
        return isinstance(parse_settings(raw, "x", environ), Settings)
    except SettingsInvalid as invalid:
        return len(invalid.faults) > 0


KEYS = st.sampled_from([*Settings.model_fields, "every", "cron", "name", "start", "port", "datacenter", "dsn", "token"])
SCALARS = st.sampled_from(
    ["30m", "1M", "null", "~", "yes", "true", "5", "-1", "1e999", "last 5", "* * * * *", "''", "*a", "!x"]
)
TREES = st.recursive(
    SCALARS | st.text("abc:-[]{}#&*!|>'\"%@`\\ \n\t0", max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]")
        | st.lists(st.tuples(KEYS, inner), max_size=3).map(
            lambda parts: "{" + ", ".join(f"{key}: {value}" for key, value in parts) + "}"
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(st.tuples(KEYS, TREES), max_size=4).map(lambda parts: "\n".join(f"{key}: {value}" for key, value in parts))
)
@example("schedules: [{every: 1h, timezone: '\\ud800'}]")
@example("%YAML 9.9\n---\n")
def test_any_yaml_makes_settings_or_faults(text):
    assert taken_or_refused(text.encode())


@given(st.binary(max_size=60))
def test_any_bytes_make_settings_or_faults(raw):
    assert taken_or_refused(raw)


@given(
    st.dictionaries(
        st.lists(KEYS | st.sampled_from(["0", "1", "00", "x", ""]), min_size=1, max_size=4).map(
            lambda steps: f"TELEWARDEN__{'__'.join(steps).upper()}"
        ),
        TREES | st.text(max_size=8),
        max_size=4,
    )
)
def test_any_environment_makes_settings_or_faults(environ):
    assert taken_or_refused(b"", **environ)


@given(st.text("0123456789*/-,LWMONJAN# ", max_size=20), st.text(max_size=20))
def test_any_schedule_is_taken_or_refused(cron, timezone):
    environ = {"TELEWARDEN__SCHEDULES__0__CRON": cron, "TELEWARDEN__SCHEDULES__0__TIMEZONE": timezone}
    assert taken_or_refused(b"schedules: [{name: a}]", **environ)


def test_each_world_of_the_sandbox_has_its_own_folder_and_real_accounts_have_another():
    def folder(**sandbox):
        return Settings(sandbox={"enabled": True, **sandbox}).world_dir

    assert folder() == folder() == folder(rate=3)
    others = [folder(seed=2), folder(accounts=4), folder(channels=7), folder(posts=9), folder(posts_dir="here")]
    assert len({folder(), *others, Settings().world_dir}) == 7
    assert Settings().world_dir == Settings().state_dir


@pytest.mark.parametrize(
    ("telegram", "fault"),
    [
        ("{proxy: 'socks5://user:secret@host:1080'}", None),
        ("{proxy: 'http://host:3128'}", None),
        ("{proxy: 'tg://proxy?server=host&port=443&secret=dd00112233445566778899aabbccddeeff'}", None),
        ("{proxy: 'socks4://host:1080'}", "expected a proxy such as socks5://"),
        ("{proxy: 'socks5://host'}", "expected a proxy such as socks5://"),
        ("{proxy: 'socks5://user:canary@host:many'}", "expected a proxy such as socks5://"),
        ("{proxy: 'tg://proxy?server=host&port=443&secret=ee00112233445566778899aabbccddeeff'}", "hides as TLS"),
        ("{proxy: 'tg://proxy?server=host&port=443&secret=canary'}", "32 hexadecimal digits"),
        ("{proxies: [{accounts: [7], url: 'http://a:1'}, {accounts: [7], url: 'http://b:1'}]}", "one proxy for each"),
    ],
)
def test_proxies(telegram, fault):
    if fault is None:
        assert "host" not in repr(read(f"telegram: {telegram}").telegram)
    else:
        (found,) = faults_of(f"telegram: {telegram}")
        assert fault in found
        assert "canary" not in found


def test_a_duration_out_of_range_is_told_as_it_is_written():
    (fault,) = faults_of("retention: [{keep: 0d}]")
    assert fault == "config/x.yaml:1: retention[0].keep: expected at least 1 day, got 0s"
