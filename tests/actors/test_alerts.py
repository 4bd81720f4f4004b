"""Alerts, from the fault at the sandbox to the row, event and the metric: the whole tree, a real database."""

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from actors.errors import AccountUnusable, FloodWaited, Refused, TryAgain
from actors.messages.alerts import EndAlert, RaiseAlert
from actors.messages.ids import AccountId, ChannelId
from actors.telegram.alarms import FAILING, PROBE_EVERY, Circuit, alert_of, is_short_of_room
from sandbox.faults import Rule
from tests.adversity.tree import running_tree
from tests.daemon.store.rows import ask
from tests.processes import http

ME = AccountId(7)
OPEN = "SELECT kind, account_id, channel_id, cause FROM alerts WHERE ended_at IS NULL ORDER BY kind"


def flood(seconds):
    return FloodWaited(ME, "messages.getHistory", timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("decision", "name", "known", "kind"),
    [
        (flood(300), "FLOOD_WAIT_X", True, None),
        (flood(301), "FLOOD_WAIT_X", True, "flood_wait"),
        (flood(3600), "FLOOD_WAIT_X", True, "flood_wait"),
        (flood(3601), "FLOOD_WAIT_X", True, "method_parked"),
        (flood(86_400), "PEER_FLOOD", True, "method_parked"),
        (flood(5), "STRANGE_WAIT_X", False, "unknown_wait"),
        (AccountUnusable(ME, "revoked", "SESSION_REVOKED"), "SESSION_REVOKED", True, "key_dead"),
        (AccountUnusable(ME, "duplicated", "AUTH_KEY_DUPLICATED"), "AUTH_KEY_DUPLICATED", True, "key_dead"),
        (AccountUnusable(ME, "frozen", "FROZEN_METHOD_INVALID"), "FROZEN_METHOD_INVALID", True, "frozen"),
        (AccountUnusable(ME, "banned", "USER_DEACTIVATED"), "USER_DEACTIVATED", True, "account_parked"),
        (Refused(ME, "messages.getHistory", "MSG_ID_INVALID"), "MSG_ID_INVALID", False, "refused"),
        (Refused(ME, "contacts.resolveUsername", "USERNAME_INVALID"), "USERNAME_INVALID", False, None),
        (Refused(ME, "messages.getPeerDialogs", "CHANNEL_PRIVATE"), "CHANNEL_PRIVATE", True, None),
        (TryAgain(ME, "messages.getHistory", "TIMEOUT"), "TIMEOUT", True, None),
    ],
)
def test_of_which_faults_the_operator_is_told(decision, name, known, kind):
    alert = alert_of(decision, name, known=known)
    assert (alert and alert.kind) == kind
    assert alert is None or alert.account_id == ME


@pytest.mark.parametrize(
    ("joined", "short"), [(0, False), (450, False), (451, True), (500, True), (501, False), (901, True), (2000, True)]
)
def test_an_account_with_little_room_for_channels_is_told_of(joined, short):
    assert is_short_of_room(joined) is short


def test_a_circuit_opens_after_five_minutes_of_failures_and_lets_one_call_a_minute_through():
    circuit = Circuit()
    assert not circuit.failed(1000.0)
    assert not circuit.failed(1000.0 + FAILING - 1)
    assert circuit.rest(1000.0 + FAILING - 1) == 0
    assert circuit.failed(1000.0 + FAILING)
    assert circuit.rest(1000.0 + FAILING) == PROBE_EVERY
    assert circuit.rest(1000.0 + FAILING + PROBE_EVERY) == 0
    assert circuit.failed(1000.0 + FAILING + PROBE_EVERY)
    assert circuit.rest(1000.0 + FAILING + PROBE_EVERY) == PROBE_EVERY
    assert circuit.answered()
    assert circuit.rest(1000.0 + FAILING + PROBE_EVERY) == 0
    assert not circuit.answered()


def test_one_answer_between_failures_keeps_the_circuit_closed():
    circuit = Circuit()
    circuit.failed(0.0)
    assert not circuit.answered()
    assert not circuit.failed(FAILING)


async def test_an_alert_stands_once_is_counted_up_and_is_opened_anew_after_its_end(store):
    alert = RaiseAlert(kind="refused", account_id=ME, cause="messages.getHistory: X")
    other = RaiseAlert(kind="refused", account_id=ME, cause="messages.getHistory: Y")
    assert await store.alerts.raise_alert(alert)
    assert not await store.alerts.raise_alert(alert)
    assert await store.alerts.raise_alert(other)
    assert await store.alerts.raise_alert(RaiseAlert(kind="channel_private", channel_id=ChannelId(5), cause="gone"))
    assert await store.alerts.open_counts() == {"refused": 2, "channel_private": 1}
    assert await store.alerts.end_alerts(EndAlert(kind="refused", account_id=ME, cause=alert.cause)) == 1
    assert await store.alerts.end_alerts(EndAlert(kind="refused")) == 0
    assert await store.alerts.raise_alert(alert)
    rows = await store.alerts.page(ended=True, limit=10)
    assert [(row.cause, row.count, row.ended_at is None) for row in rows] == [
        (alert.cause, 1, True),
        ("gone", 1, True),
        (other.cause, 1, True),
        (alert.cause, 2, False),
    ]
    assert len(await store.alerts.page(ended=False, limit=10)) == 3


@asynccontextmanager
async def reading(store, **shape):
    async with running_tree(store, **shape) as tree:
        await tree.signed_in()
        yield tree


async def told(tree, dsn, kinds):
    async def as_expected():
        return {row[0] for row in await ask(dsn, OPEN)} >= kinds

    await tree.until(as_expected)
    return await ask(dsn, OPEN)


async def test_a_long_flood_wait_is_an_alert_of_its_account_and_method(store, dsn):
    async with reading(store, accounts=1, channels=2, posts=40, seed=4) as tree:
        (user_id,) = tree.user_ids
        tree.sandbox.dc.dispatcher.faults.rules.append(
            Rule(method="messages.getPeerDialogs", error=(420, "FLOOD_WAIT_4000"))
        )
        await tree.parse()
        assert await told(tree, dsn, {"method_parked"}) == [("method_parked", user_id, None, "messages.getPeerDialogs")]
        assert tree.metrics.registry.get_sample_value("telewarden_alerts", {"kind": "method_parked"}) == 1
        raised = tree.metrics.registry.get_sample_value("telewarden_alerts_raised_total", {"kind": "method_parked"})
        assert raised == 1


async def test_three_dead_keys_within_five_minutes_are_an_incident(store, dsn, caplog):
    async with reading(store, accounts=3, channels=3, posts=30, seed=4) as tree:
        for user_id in tree.user_ids:
            await http("DELETE", f"{tree.sandbox.control_url}/sessions/{user_id}")
        rows = await told(tree, dsn, {"key_dead", "key_incident"})
        assert [row[1] for row in rows if row[0] == "key_dead"] != []

        async def all_dead():
            return sum(row[0] == "key_dead" for row in await ask(dsn, OPEN)) == 3

        await tree.until(all_dead)
        assert [row[3] for row in await ask(dsn, OPEN) if row[0] == "key_incident"] == [
            "3 accounts lost their keys within 300 s"
        ]
    raised = [record.getMessage() for record in caplog.records]
    assert sum("alert_raised" in each for each in raised) == 4
