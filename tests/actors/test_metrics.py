"""The counters of the contract, and the refusal that the second of them counts."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from actors.metrics import ActorCollector, Metrics
from actors.runtime.actor import TaskActor
from actors.runtime.errors import ForeignLoopError
from actors.runtime.owner import LoopOwner


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
