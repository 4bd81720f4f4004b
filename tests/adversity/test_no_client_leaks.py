"""No reference to a client leaves its actor: all that can be had from outside is walked."""

from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pykka
import pytest
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr
from telethon import TelegramClient
from telethon.network import Connection, MTProtoSender

from actors.messages.account import DescribeAccount, FetchHistory, FindStart, PeekChannels
from actors.messages.channel import Resume
from actors.messages.jobs import AwaitJob, DescribeJob, ParseAll, ParseUser
from actors.messages.recorder import Flush
from actors.messages.roster import Introduce, ReaderFor, ReadersFor
from actors.messages.signin import CancelSignIn, EnterCode, EnterPassword, ImportSession, StartSignIn
from actors.runtime.actor import TaskActor
from actors.runtime.errors import ProxyRefused
from actors.runtime.loop import LoopOwner
from actors.runtime.message import Request
from actors.runtime.supervision import Children, RestartChild, StartChild, StopChild, Unpark
from actors.supervisor import Root
from actors.telegram.client import AccountClient
from tests.actors.telegram.house import account_ids, open_client, open_sandbox
from tests.adversity.tree import running_tree, until
from tests.adversity.walk import find
from tests.processes import http

CLIENTS = (TelegramClient, MTProtoSender, Connection)
SHAPE = {"accounts": 2, "channels": 3, "posts": 60, "seed": 2}


@dataclass(frozen=True)
class Poison:
    """No message that any actor knows."""


@pytest.fixture
async def tree(store):
    async with running_tree(store, **SHAPE) as tree:
        await tree.signed_in()
        assert (await tree.parse()).state == "success"
        yield tree


def assert_no_client(roots):
    found = find(roots, CLIENTS)
    assert found is None, f"a {type(found.thing).__name__} can be had by {found.path}"


async def answer(ref, request):
    """The reply, or the error in its place."""
    try:
        return await ref.ask(request, block=False)
    except Exception as error:  # noqa: BLE001 - it is what is looked at
        return error


async def answers(tree, requests):
    """Replies by the request that fetched them."""
    told = {}
    for key, asked in requests:
        told[f"reply of {key} to {type(asked).__name__} {len(told)}: "] = await answer(tree.owner.find(key), asked)
    return told


def seen_from_outside(tree):
    owner = tree.owner
    return {
        "owner": owner,
        "owner.keys()": owner.keys(),
        "owner.snapshot()": owner.snapshot(),
        "pykka.ActorRegistry.get_all()": pykka.ActorRegistry.get_all(),
        **{f"owner.find({key!r})": owner.find(key) for key in owner.keys("")},
    }


@asynccontextmanager
async def fault(tree, method, message, code=400, **fields):
    """One call of a method is refused by the data centre."""
    body = {"method": method, "error": {"code": code, "message": message}, **fields}
    await http("POST", f"{tree.sandbox.control_url}/faults", body)
    try:
        yield
    finally:
        await http("DELETE", f"{tree.sandbox.control_url}/faults")


# --- the walk itself -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ask(Request[Any]):
    how: str


class Leaky(TaskActor):
    """Hands out its client in every way that the walk must see."""

    def __init__(self, client):
        super().__init__()
        self._client = client

    def on_receive(self, message):
        match message:
            case Ask(how="reply"):
                return ({"deep": [self._client]},)
            case Ask(how="method"):
                return self._client.connect
            case Ask(how="closure"):
                client = self._client
                return lambda: client
            case Ask(how="error"):
                return caught(self._slip)
            case Ask(how="context"):
                return caught(self._slip_and_translate)
            case Ask(how="cause"):
                raise LookupError from KeyError(self._client)

    def _slip(self):
        client = self._client
        raise ValueError(len(str(client)))

    def _slip_and_translate(self):
        try:
            self._slip()
        except ValueError:
            raise LookupError from None


def caught(slip):
    """The error, as a value: what the runtime does to an error that answers is not the walk's affair."""
    try:
        slip()
    except Exception as error:  # noqa: BLE001 - whichever it is
        return error


@pytest.mark.parametrize(
    ("how", "path"),
    [
        ("reply", "reply[0]['deep'][0]"),
        ("method", "reply.__self__"),
        ("closure", "reply.__closure__[0].cell_contents"),
        ("error", "tb_frame.f_locals['client']"),
        ("context", ".__context__.__traceback__.tb_next.tb_frame.f_locals['client']"),
        ("cause", "reply.__cause__.args[0]"),
    ],
)
async def test_the_walk_finds_a_client_that_an_actor_leaks_and_says_how_it_got_there(how, path):
    owner = LoopOwner()
    async with open_sandbox() as sandbox, open_client(sandbox, account_ids(sandbox)[0]) as client:
        ref = Leaky.start(client, key="leaky")
        assert find({"ref": ref, "owner": owner}, CLIENTS) is None
        found = find({"reply": await answer(ref, Ask(how=how))}, CLIENTS)
        assert found is not None
        assert isinstance(found.thing, AccountClient)
        assert found.path.endswith(path)
        await owner.close()


# --- refs ------------------------------------------------------------------------------------------------------------


async def test_no_client_can_be_had_from_the_owner_its_refs_snapshots_and_records_or_pykka_s_registry(tree):
    roots = seen_from_outside(tree)
    assert {f"owner.find('account/{user_id}')" for user_id in tree.user_ids} <= set(roots)
    assert find(roots, Root).path.startswith("owner.records["), "the walk came nowhere"
    assert_no_client(roots)


async def test_no_actor_answers_to_a_proxy_or_to_pykka_s_attribute_messages(tree):
    for key in tree.owner.keys(""):
        ref = tree.owner.find(key)
        for message in (
            ProxyGetAttr(attr_path=("_client",)),
            ProxySetAttr(attr_path=("_client",), value=None),
            ProxyCall(attr_path=("_load_key",), args=(), kwargs={}),
        ):
            for way in (ref.tell, lambda message, ref=ref: ref.ask(message, block=False)):
                with pytest.raises(ProxyRefused):
                    way(message)
            with pytest.raises(ProxyRefused):
                await ref.call(message)
            with pytest.raises(ProxyRefused):
                ref.actor_inbox.put(pykka._envelope.Envelope(message))
        with pytest.raises(ProxyRefused):
            ref.proxy()
        with pytest.raises(ProxyRefused):
            pykka.ActorProxy(actor_ref=ref)


# --- replies ---------------------------------------------------------------------------------------------------------


async def test_no_client_can_be_had_from_any_reply(tree):
    user, channel = tree.user_ids[0], tree.channel_ids[0]
    account = f"account/{user}"
    job = await tree.parse()
    memberships = tuple(await tree.store.channels.memberships(user))
    requests = [
        (account, DescribeAccount()),
        (account, FetchHistory(channel_id=channel, offset_id=0)),
        (account, FindStart(channel_id=channel, newest=3)),
        (account, PeekChannels(channel_ids=tuple(tree.followed(user)))),
        ("roster", ReaderFor(channel_id=channel)),
        ("roster", ReadersFor(channel_ids=tuple(tree.channel_ids))),
        ("roster", Introduce(account_id=user, memberships=memberships, complete=True)),
        ("scheduler", ParseUser(account_id=user)),
        ("scheduler", ParseAll()),
        ("scheduler", DescribeJob(job_id=job.job_id)),
        ("scheduler", AwaitJob(job_id=job.job_id, wait=timedelta(seconds=5))),
        ("recorder", Flush()),
        (f"channel/{channel}", Resume()),
        ("accounts", Children()),
        ("channels", Children()),
        ("supervisor", Children()),
        ("accounts", StartChild(spec=tree.owner.records[account].spec)),
        ("accounts", Unpark(key=account)),
        ("accounts", RestartChild(key=f"account/{tree.user_ids[1]}")),
    ]
    told = await answers(tree, requests)
    assert not [value for value in told.values() if isinstance(value, Exception)]
    assert_no_client({**told, **seen_from_outside(tree)})


async def test_no_client_can_be_had_from_a_sign_in_s_replies(tree):
    signin = tree.owner.find("signin")
    phone = next(account.phone for account in tree.sandbox.world.accounts.values() if account.phone)
    begun = await signin.call(StartSignIn(phone=phone))
    assert begun.state == "code_needed"
    requests = [
        ("signin", EnterCode(sign_in_id=begun.sign_in_id, code="1")),
        ("signin", EnterPassword(sign_in_id=begun.sign_in_id, password="none is asked for")),
        ("signin", ImportSession(session=tree.sandbox.session(tree.user_ids[0]))),
        ("signin", ImportSession(session="no session")),
        ("signin", StartSignIn(phone="nobody's")),
        ("signin", EnterCode(sign_in_id="unknown", code="1")),
    ]
    told = await answers(tree, requests)
    assert_no_client({"begun": begun, **told, **seen_from_outside(tree)})
    told = await answers(tree, [("signin", CancelSignIn(sign_in_id=begun.sign_in_id))])
    assert_no_client(told)


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (420, "FLOOD_WAIT_7200"),
        (400, "CHANNEL_PRIVATE"),
        (400, "MSG_ID_INVALID"),
        (500, "INTERNAL"),
    ],
)
async def test_no_client_can_be_had_from_an_error_that_answers_a_request(tree, code, message):
    user, channel = tree.user_ids[0], tree.followed(tree.user_ids[0])[0]
    asked = (
        (FetchHistory(channel_id=channel, offset_id=0), "messages.getHistory"),
        (FindStart(channel_id=channel, newest=3), "messages.getHistory"),
        (PeekChannels(channel_ids=(channel,)), "messages.getPeerDialogs"),
    )
    told = {}
    for request, method in asked:
        async with fault(tree, method, message, code, account=user):
            told[f"error after {type(request).__name__}"] = await answer(tree.ref(user), request)
    assert isinstance(told["error after FetchHistory"], Exception)
    assert_no_client(told)


async def test_no_client_can_be_had_from_the_error_of_a_defect_that_answers_a_request(tree):
    """A message that an actor doesn't know raises in its very handler."""
    told = await answers(tree, [(key, Poison()) for key in tree.owner.keys("")])
    assert all(isinstance(error, Exception) for error in told.values())
    assert_no_client(told)


async def test_no_client_can_be_had_from_what_is_kept_of_a_parked_account(tree):
    user = tree.user_ids[0]
    ref = tree.ref(user)
    async with fault(tree, "messages.getHistory", "AUTH_KEY_UNREGISTERED", 401, account=user):
        error = await answer(ref, FetchHistory(channel_id=tree.followed(user)[0], offset_id=0))
    assert await ref.wait_stopped(5)
    await until(lambda: tree.owner.records[f"account/{user}"].absent == "parked")
    children = await tree.owner.find("accounts").call(Children())
    assert [child.parked is not None for child in children if child.key == f"account/{user}"] == [True]
    roots = {"children": children, "failure": ref.failure, "ref": ref, "error": error}
    assert_no_client({**roots, **seen_from_outside(tree)})


async def test_no_client_can_be_had_from_what_an_account_died_of_while_it_had_one_in_hand(store, dsn):
    connection = await asyncpg.connect(dsn)
    try:
        # What an account does first with a connected client is to ask who it is, and to save that.
        await connection.execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a defect'; END $$"
        )
        async with running_tree(store, **SHAPE) as tree:
            await tree.signed_in()
            user = tree.user_ids[0]
            key = f"account/{user}"
            await connection.execute("CREATE TRIGGER fault BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION fail()")
            restarted = await tree.owner.find("accounts").call(RestartChild(key=key))
            # The very turn in which it ends, before its supervisor has heard of it.
            await until(lambda: restarted.actor_inbox.ended)
            assert isinstance(restarted.failure, asyncpg.RaiseError)
            assert_no_client({"failure in the moment of death": restarted.failure, "ref": restarted})
            await until(lambda: tree.owner.records[key].absent is not None)
            assert_no_client({"failure": restarted.failure, **seen_from_outside(tree)})
            await connection.execute("DROP TRIGGER fault ON users")
            # Unless its supervisor was quicker than the statement above, and has started it already.
            if (timer := tree.owner.records[key].timer) is not None:
                timer.come()
            await tree.signed_in()
    finally:
        with suppress(asyncpg.UndefinedObjectError):
            await connection.execute("DROP TRIGGER fault ON users")
        await connection.execute("DROP FUNCTION fail()")
        await connection.close()


async def test_no_client_can_be_had_from_the_last_replies_of_actors_that_are_stopped(tree):
    account = f"account/{tree.user_ids[0]}"
    ref = tree.owner.find(account)
    requests = [
        ("accounts", StopChild(key=account)),
        ("accounts", Children()),
    ]
    told = await answers(tree, requests)
    told["ask after the end"] = await answer(ref, DescribeAccount())
    assert_no_client({**told, "ref": ref, **seen_from_outside(tree)})
