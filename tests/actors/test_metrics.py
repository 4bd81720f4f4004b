"""The counters of the contract, and the refusal that the second of them counts."""

import asyncio
import math

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from actors.ledger import LedgerTotals
from actors.metrics import ActorCollector, Metrics
from actors.runtime.actor import TaskActor
from actors.runtime.errors import ForeignLoopError
from actors.runtime.owner import LoopOwner
from actors.runtime.supervision import Backoff, ChildSpec, StartChild, Supervisor


class Listener(TaskActor):
    def __init__(self, heard):
        super().__init__()
        self._heard = heard

    def on_receive(self, message):
        self._heard.append(message)


@pytest.fixture
async def owner():
    owner = LoopOwner()
    yield owner
    await owner.close()


def text(registry):
    return generate_latest(registry).decode()


def test_both_counters_of_the_contract_are_there_from_the_start_at_0():
    registry = CollectorRegistry()
    Metrics(registry)
    assert "\ntelethon_posts_parsed_total 0.0\n" in text(registry)
    assert "\ntelethon_event_loop_errors_total 0.0\n" in text(registry)


async def test_touching_an_actor_from_a_foreign_loop_is_refused_before_it_is_queued_and_counted(owner):
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    owner.on_foreign_loop = metrics.event_loop_errors.inc
    heard = []
    ref = Listener.start(heard, key="listener")

    async def trespass():
        refusals = 0
        for touch in (
            lambda: ref.tell("mail"),
            lambda: ref.ask("mail", block=False),
            lambda: ref.control("mail"),
            lambda: ref.stop(block=False),
            lambda: Listener.start(heard, key="stranger"),
        ):
            try:
                touch()
            except ForeignLoopError:
                refusals += 1
        return refusals

    assert await asyncio.to_thread(lambda: asyncio.run(trespass())) == 5
    assert ref.is_alive()
    assert owner.get("stranger") is None
    ref.stop(block=False)
    assert await ref.wait_stopped(5)
    assert heard == []
    assert "\ntelethon_event_loop_errors_total 5.0\n" in text(registry)


async def test_actors_and_their_mail_are_counted_by_class(owner):
    registry = CollectorRegistry()
    registry.register(ActorCollector(owner))
    for number in range(3):
        Listener.start([], key=f"listener/{number}")
    assert 'telewarden_actors{actor="Listener"} 3.0' in text(registry)
    assert 'telewarden_mailbox_messages{actor="Listener"} 0.0' in text(registry)


class Fragile(Exception):
    park = True


async def test_waits_handling_restarts_and_parked_children_are_told_by_class(owner):
    registry = CollectorRegistry()
    registry.register(ActorCollector(owner))
    root = Supervisor.start(policy=Backoff(first=0.0), key="root")
    for name in "abc":
        spec = ChildSpec(key=name, factory=lambda name=name: Failing.start(key=name))
        await root.call(StartChild(spec=spec))
    for name, error in (("a", ValueError("a defect")), ("b", Fragile("a decision"))):
        ref = owner.find(name)
        ref.tell(error)
        assert await ref.wait_stopped(5)
    async with asyncio.timeout(5):
        while owner.get("a") is None:
            await asyncio.sleep(0)
    seen = text(registry)
    for line in (
        'telewarden_actors{actor="Failing"} 2.0',
        'telewarden_actors_parked{actor="Failing"} 1.0',
        'telewarden_actors_waiting{actor="Failing"} 0.0',
        'telewarden_actor_restarts_total{actor="Failing"} 1.0',
        'telewarden_actor_failures_total{actor="Failing"} 2.0',
        'telewarden_handler_seconds_count{actor="Failing"} 2.0',
        'telewarden_mailbox_wait_seconds_bucket{actor="Failing",le="+Inf"} 2.0',
        'telewarden_mailbox_wait_seconds_count{actor="Supervisor"} 3.0',
        "telewarden_dead_letters_total 0.0",
        "telewarden_abandoned_jobs_total 0.0",
        "telewarden_expired_requests_total 0.0",
    ):
        assert f"\n{line}\n" in seen
    assert "Failing-" not in seen, "a key is no label"


class Failing(TaskActor):
    def on_receive(self, message):
        raise message


def test_totals_of_the_ledger_are_numbers_while_they_are_known_and_none_at_all_otherwise():
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    totals = LedgerTotals(
        covered=90, missing=3, awaited=5, unasked=7, stored=80, deleted=2, channels_in_doubt=1, oldest_doubt=12.5
    )
    metrics.ledger_told(totals)
    assert registry.get_sample_value("telewarden_ids", {"state": "awaited"}) == 5
    assert registry.get_sample_value("telewarden_posts", {"state": "stored"}) == 80
    assert registry.get_sample_value("telewarden_oldest_doubt_seconds") == 12.5
    metrics.ledger_told(None)
    for line in text(registry).splitlines():
        if line.startswith(("telewarden_ids{", "telewarden_posts{", "telewarden_channels_in", "telewarden_oldest")):
            assert math.isnan(float(line.rpartition(" ")[2])), line


def test_accounts_are_told_by_state_and_as_unknown_while_the_database_is_away():
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.accounts_told(["active", "revoked", "active"])
    assert registry.get_sample_value("telewarden_accounts", {"state": "active"}) == 2
    assert registry.get_sample_value("telewarden_accounts", {"state": "banned"}) == 0
    metrics.accounts_told(None)
    assert math.isnan(registry.get_sample_value("telewarden_accounts", {"state": "active"}))
