"""What differs between two settings, what of it a running daemon takes over, and that no secret is told."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from config.diff import LIVE, applied, differences, takes
from config.load import parse_settings
from config.model import Settings


def read(text):
    return parse_settings(text.encode(), "a file", {})


def told(old, new):
    return [(each.path, each.before, each.after, each.takes) for each in differences(read(old), read(new))]


def test_the_same_settings_differ_in_nothing():
    assert told("", "") == []
    assert told("schedules: [{every: 60m}]", "schedules: [{every: 1h}]") == []


def test_a_key_is_named_with_what_it_was_and_is():
    assert told("collection: {reread: 5}", "logging: {level: DEBUG}") == [
        ("collection.reread", 5, 200, "now"),
        ("logging.level", "INFO", "DEBUG", "now"),
    ]
    assert told("", "collection: {start: all}") == [("collection.start", "last 100", "all", "now")]
    assert told("", "database: {pool_size: 9}") == [("database.pool_size", 4, 9, "restart")]


def test_elements_with_names_are_found_by_them():
    old = "schedules: [{name: a, every: 1h}, {name: b, every: 2h}]"
    new = "schedules: [{name: b, every: 3h}, {name: c, cron: '0 1 * * *'}]"
    found = {each.path: each for each in differences(read(old), read(new))}
    assert found.keys() == {"schedules[a]", "schedules[b].every", "schedules[c]"}
    assert found["schedules[a]"].after is None
    assert found["schedules[a]"].before["every"] == "1h"
    assert (found["schedules[b].every"].before, found["schedules[b].every"].after) == ("2h", "3h")
    assert found["schedules[c]"].before is None


def test_another_order_is_a_change_since_plans_count_from_the_first():
    first, second = "{name: a, every: 1h}", "{name: b, every: 1h}"
    (change,) = told(f"schedules: [{first}, {second}]", f"schedules: [{second}, {first}]")
    assert change == ("schedules (order)", ["a", "b"], ["b", "a"], "now")


def test_a_secret_that_changes_is_told_as_a_change_and_not_as_itself():
    old, new = "bot: {token: '123456:one'}", "bot: {token: '123456:two'}"
    ((path, before, after, when),) = told(old, new)
    assert (path, before, after, when) == ("bot.token", "**********", "**********", "restart")
    ((path, *values, when),) = told("", "telegram: {proxy: 'socks5://me:word@127.0.0.1:1'}")
    assert (path, values, when) == ("telegram.proxy", [None, "**********"], "now")


def test_only_what_a_running_daemon_takes_over_is_applied():
    old = Settings()
    new = read(
        "schedules: [{every: 1h}]\n"
        "admin: {port: 1, allowed_hosts: [n8n]}\n"
        "media: {store: /elsewhere, parallel: 9}\n"
        "bot: {token: '123456:one'}\n"
        "telegram: {api_id: 5, proxy: 'http://127.0.0.1:1'}\n"
    )
    live = applied(old, new)
    assert live.schedules[0].every == timedelta(hours=1)
    assert (live.admin.port, live.admin.allowed_hosts) == (8010, ("n8n",))
    assert (live.media.store, live.media.parallel) == (None, 9)
    assert (live.telegram.api_id, live.telegram.proxy) == (None, SecretStr("http://127.0.0.1:1"))
    assert live.bot.token is None
    # The rest is told again by the next reload, until the daemon was restarted.
    assert {each.takes for each in differences(live, new)} == {"restart"}
    assert len(differences(live, new)) == 4


@pytest.mark.parametrize("path", LIVE)
def test_every_live_key_is_one_of_the_model(path):
    held = Settings()
    for step in path.split("."):
        held = getattr(held, step)
    assert takes(path) == takes(f"{path}[x].y") == takes(f"{path}.y") == "now"
    assert takes(f"{path}_") == "restart"
