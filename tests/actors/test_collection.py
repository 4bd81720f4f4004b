"""The actors together: a real data centre, a real database, the whole tree on the test's own loop."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from pykka.messages import ProxyCall, ProxyGetAttr
from telethon.sessions import StringSession

from actors.account import Account
from actors.errors import JobUnknown, UserNotSignedIn, UserUnknown
from actors.messages.account import DescribeAccount
from actors.messages.content import Profile
from actors.messages.ids import JobId
from actors.messages.jobs import AwaitJob, CancelParse, DescribeJob, ParseAll, ParseUser
from actors.messages.rows import SessionKey
from actors.metrics import Metrics
from actors.runs import FindReaders, FinishRun, PeekBatch, StartRun
from actors.runtime.errors import ProxyRefused
from actors.runtime.owner import LoopOwner
from actors.supervisor import Parts, Root
from config.model import Collection, Datacenter, Settings, Start
from sandbox.client import Sandbox
from tests.processes import breathe, http

ALL = Start(policy="all")


class Tree:
    """The supervisor with everything under it, and the sandbox it reads from."""

    faster = 1
    """Than the wall's clock its own clock is."""

    def __init__(self, sandbox, store):
        self.sandbox, self.store = sandbox, store
        self.metrics = Metrics(CollectorRegistry())
        self.world = {}

    async def sign_in(self):
        self.world = await http("GET", f"{self.sandbox.control_url}/world")
        for user in self.users:
            await self.store.accounts.save_profile(
                Profile(
                    account_id=user["id"],
                    username=user["username"],
                    first_name=user["first_name"],
                    last_name=user["last_name"],
                )
            )
            key = StringSession(self.sandbox.session(user["id"])).auth_key.key
            await self.store.accounts.save_session(
                SessionKey(
                    account_id=user["id"], dc_id=203, address=self.sandbox.address, port=self.sandbox.port, auth_key=key
                )
            )

    @property
    def users(self):
        return [account for account in self.world["accounts"] if not account["bot"]]

    @property
    def channels(self):
        return self.world["channels"]

    def start(self, start=ALL, **settings):
        self.owner = LoopOwner()
        parts = Parts(
            settings=Settings(collection=Collection(start=start), **settings),
            store=self.store,
            metrics=self.metrics,
            datacenter=Datacenter(id=203, address=self.sandbox.address, port=self.sandbox.port),
            loopback_only=True,
            bot_token=None,
        )
        self.root = Root.start(parts=parts, key="supervisor")

    async def stop(self):
        self.root.stop(block=False)
        assert await self.root.wait_stopped(10 * self.faster)
        await self.owner.close()

    async def until(self, condition, within=20):
        """Ask the database until the condition holds."""
        async with asyncio.timeout(within):
            asked = time.monotonic()
            while not await condition():
                await breathe(time.monotonic() - asked)
                asked = time.monotonic()

    async def signed_in(self):
        async def all_active():
            return all(row.state in {"active", "flooded"} for row in await self.store.accounts.all())

        await self.until(all_active)

    async def parse(self, request=None):
        job = await self.owner.find("scheduler").call(request or ParseAll())
        # Where the clock is hurried, a second of this machine's hesitation is many of its seconds.
        wait = 25 * self.faster
        question = AwaitJob(job_id=job.job_id, wait=timedelta(seconds=wait))
        return await self.owner.find("scheduler").call(question, timeout=wait + 300)

    async def held(self, channel):
        return {post.message_id: post.text for post in await self.store.posts.page(channel, after_id=0, limit=10_000)}

    def exists(self, channel):
        return {
            post["id"]: post["text"]
            for post in self.sandbox.ledger(channel)["channels"][0]["posts"]
            if not post["service"]
        }

    def calls(self, method):
        return sum(account.get(method, 0) for account in self.sandbox.requests()["by_account"].values())


@pytest.fixture
async def tree(store):
    async with Sandbox(accounts=3, channels=5, posts=600, seed=3) as sandbox:
        tree = Tree(sandbox, store)
        await tree.sign_in()
        yield tree


@pytest.fixture
async def running(tree):
    tree.start()
    await tree.signed_in()
    assert (await tree.parse()).state == "success"
    yield tree
    await tree.stop()


async def test_every_channel_is_whole_and_each_was_read_by_one_account_alone(running):
    for channel in running.channels:
        assert await running.held(channel["id"]) == running.exists(channel["id"])
    history = running.sandbox.requests()["history"]
    assert len(history) == len(running.channels)
    assert all(len(accounts) == 1 for accounts in history.values())


async def test_a_parse_of_unchanged_channels_makes_no_history_call_and_adds_nothing(running):
    before = running.calls("messages.getHistory")
    job = await running.parse()
    assert (job.state, job.posts_added) == ("success", 0)
    assert running.calls("messages.getHistory") == before


async def test_a_pushed_post_an_edit_and_a_deletion_reach_the_database_without_a_call(running):
    channel = running.channels[0]["id"]
    before = running.calls("messages.getHistory")
    first, second = await running.sandbox.publish(channel, texts=["one", "two"])

    async def stored():
        return {first, second} <= set(await running.held(channel))

    await running.until(stored)
    await running.sandbox.edit(channel, first, "one, mended")
    await running.sandbox.delete(channel, [second])

    async def mended():
        held = await running.held(channel)
        return held.get(first) == "one, mended" and second not in held

    await running.until(mended)
    assert running.calls("messages.getHistory") == before


async def test_posts_that_were_never_pushed_are_found_by_the_next_parse(running):
    channel = running.channels[1]["id"]
    ids = await running.sandbox.publish(channel, count=5, silent=True)
    job = await running.parse()
    assert job.posts_added == 5
    assert set(ids) <= set(await running.held(channel))


async def test_posts_hidden_behind_a_pushed_edit_or_deletion_are_found(running):
    for channel, hide in ((running.channels[0]["id"], "edit"), (running.channels[1]["id"], "delete")):
        old = max(running.exists(channel))
        silent = await running.sandbox.publish(channel, count=2, silent=True)
        if hide == "edit":
            await running.sandbox.edit(channel, old, "mended")
        else:
            await running.sandbox.delete(channel, [old])
        pushed = await running.sandbox.publish(channel, count=1)
        assert (await running.parse()).state == "success"
        assert {*silent, *pushed} <= set(await running.held(channel))
        assert await running.held(channel) == running.exists(channel)


async def test_a_summary_counts_each_post_once_for_all_and_once_for_every_follower(running):
    channel = next(channel for channel in running.channels if len(channel["members"]) > 1)
    for member in channel["members"]:
        await running.parse(ParseUser(account_id=member))
    await running.sandbox.publish(channel["id"], count=3)
    assert (await running.parse()).posts_added == 3
    assert (await running.parse()).posts_added == 0
    for member in channel["members"]:
        assert (await running.parse(ParseUser(account_id=member))).posts_added == 3
        assert (await running.parse(ParseUser(account_id=member))).posts_added == 0


async def test_a_parse_that_runs_already_is_answered_with_its_own_job(running):
    scheduler = running.owner.find("scheduler")
    first = await scheduler.call(ParseAll())
    assert (await scheduler.call(ParseAll())).job_id == first.job_id
    done = await scheduler.call(AwaitJob(job_id=first.job_id, wait=timedelta(seconds=20)))
    assert (await scheduler.call(DescribeJob(job_id=first.job_id))) == done
    assert (await scheduler.call(ParseAll())).job_id != first.job_id


async def test_a_cancelled_parse_asks_for_nothing_more_and_loses_nothing(running, caplog):
    caplog.set_level("INFO")
    scheduler = running.owner.find("scheduler")
    peeks = {"method": "messages.getPeerDialogs", "error": {"code": 500, "message": "RPC_CALL_FAIL"}}
    await http("POST", f"{running.sandbox.control_url}/faults", peeks)
    for each in running.channels:
        await running.sandbox.publish(each["id"], count=1, silent=True)
    job = await scheduler.call(ParseAll())
    waiting = asyncio.create_task(scheduler.call(AwaitJob(job_id=job.job_id, wait=timedelta(seconds=20))))
    while (await scheduler.call(DescribeJob(job_id=job.job_id))).state != "running":
        pass
    ended = await scheduler.call(CancelParse(job_id=job.job_id))
    assert (ended.state, ended.error) == ("cancelled", None)
    assert ended.finished_at is not None
    assert await waiting == ended
    assert await running.store.jobs.one(job.job_id) == ended
    # Once more, and of one that is done: it stays as it is.
    assert await scheduler.call(CancelParse(job_id=job.job_id)) == ended
    told = [record.fields["job_id"] for record in caplog.records if record.message == "parse_cancelled"]
    assert told == [job.job_id]
    assert (
        running.metrics.registry.get_sample_value("telewarden_jobs_total", {"kind": "all", "state": "cancelled"}) == 1
    )
    with pytest.raises(JobUnknown):
        await scheduler.call(CancelParse(job_id=JobId("none")))
    await http("DELETE", f"{running.sandbox.control_url}/faults")
    after = await running.parse()
    assert after.job_id != job.job_id
    assert (after.state, after.posts_added) == ("success", len(running.channels))
    assert await scheduler.call(CancelParse(job_id=after.job_id)) == after
    # What was on its way to it asks nobody any more: the next parse makes its own calls and no others.
    readers = {row.reader_id for row in await running.store.channels.all()}

    async def all_have_been_looked_at():
        """A second after their actors have started, the channels' heads are read once more, a call a reader."""
        return running.calls("messages.getPeerDialogs") == 5 * len(readers)

    await running.until(all_have_been_looked_at)
    for reader in readers:
        scheduler.tell(PeekBatch(job_id=job.job_id, account_id=reader, channel_ids=(running.channels[0]["id"],)))
    scheduler.tell(FindReaders(job_id=job.job_id, channel_ids=tuple(each["id"] for each in running.channels)))
    scheduler.tell(StartRun(job_id=job.job_id))
    scheduler.tell(FinishRun(job_id=job.job_id))
    before = running.calls("messages.getPeerDialogs")
    assert (await running.parse()).state == "success"
    assert running.calls("messages.getPeerDialogs") == before + len(readers)


async def test_unknown_users_signed_out_users_and_unknown_jobs_are_refused(running):
    scheduler = running.owner.find("scheduler")
    with pytest.raises(UserUnknown):
        await scheduler.call(ParseUser(account_id=1))
    with pytest.raises(JobUnknown):
        await scheduler.call(DescribeJob(job_id=JobId("none")))
    user = running.users[0]["id"]
    await running.store.accounts.set_state(user, "signed_out", None)
    with pytest.raises(UserNotSignedIn) as refused:
        await scheduler.call(ParseUser(account_id=user))
    assert refused.value.state == "signed_out"


async def test_when_the_reader_is_thrown_out_another_member_reads_on(running, caplog):
    channel = next(channel for channel in running.channels if len(channel["members"]) > 1)
    reader = (await running.store.channels.one(channel["id"])).reader_id
    fault = {"account": reader, "channel": channel["id"], "error": {"code": 400, "message": "CHANNEL_PRIVATE"}}
    for method in ("messages.getHistory", "messages.getPeerDialogs", "updates.getChannelDifference"):
        await http("POST", f"{running.sandbox.control_url}/faults", {**fault, "method": method, "count": 1000})
    ids = await running.sandbox.publish(channel["id"], count=4, silent=True)
    await running.parse()

    async def whole():
        return set(ids) <= set(await running.held(channel["id"]))

    await running.until(whole)
    successor = (await running.store.channels.one(channel["id"])).reader_id
    assert successor != reader
    assert successor in channel["members"]
    assert [record.fields["account_id"] for record in caplog.records if record.message == "channel_lost"] == [reader]


async def test_a_flood_is_waited_for_and_not_gone_round(running):
    channel = next(channel for channel in running.channels if len(channel["members"]) > 1)
    reader = (await running.store.channels.one(channel["id"])).reader_id
    fault = {"method": "updates.getChannelDifference", "count": 1}
    fault["error"] = {"code": 420, "message": "FLOOD_WAIT_1"}
    await http("POST", f"{running.sandbox.control_url}/faults", fault)
    await running.sandbox.publish(channel["id"], count=3, silent=True)
    started = datetime.now(UTC)
    job = await running.parse()
    assert (job.state, job.posts_added) == ("success", 3)
    assert datetime.now(UTC) - started >= timedelta(seconds=1)
    assert set(running.sandbox.requests()["history"][str(channel["id"])]) == {str(reader)}


async def test_a_long_flood_ends_the_job_with_its_reason_and_not_the_runs_after_it(running):
    channel = running.channels[0]["id"]
    fault = {"channel": channel, "error": {"code": 420, "message": "FLOOD_WAIT_7200"}}
    fault["method"] = "updates.getChannelDifference"
    await http("POST", f"{running.sandbox.control_url}/faults", {**fault, "count": 1})
    for each in running.channels:
        await running.sandbox.publish(each["id"], count=1, silent=True)
    flooded = {
        row.channel_id for row in await running.store.channels.all() if row.reader_id == await _reader(running, channel)
    }
    job = await running.parse()
    assert job.state == "failed"
    assert "must wait" in job.error
    assert job.channels_done == job.channels_total
    assert job.posts_added >= len(running.channels) - len(flooded)
    assert (await running.parse()).channels_done == len(running.channels)


async def _reader(tree, channel_id):
    return (await tree.store.channels.one(channel_id)).reader_id


async def test_an_edit_of_a_post_below_the_start_stores_nothing(tree):
    channel = tree.channels[0]["id"]
    oldest = next(post["id"] for post in tree.sandbox.ledger(channel)["channels"][0]["posts"] if not post["service"])
    tree.start(Start(policy="last", count=5))
    await tree.signed_in()
    await tree.parse()
    await tree.sandbox.edit(channel, oldest, "mended")
    (fresh,) = await tree.sandbox.publish(channel, count=1)

    async def there():
        return fresh in await tree.held(channel)

    await tree.until(there)
    assert oldest not in await tree.held(channel)
    await tree.stop()


async def test_a_recorder_that_dies_in_the_middle_loses_nothing_and_reconnects_nobody(tree):
    tree.start()
    await tree.signed_in()
    scheduler = tree.owner.find("scheduler")
    job = await scheduler.call(ParseAll())
    for channel in tree.channels:
        await tree.sandbox.publish(channel["id"], count=20)
        tree.owner.find("recorder").kill()
        await tree.until(lambda: _alive(tree, "recorder"))
        if channel is tree.channels[1]:
            break
    await scheduler.call(AwaitJob(job_id=job.job_id, wait=timedelta(seconds=20)))
    assert (await tree.parse()).state == "success"
    for channel in tree.channels:
        assert await tree.held(channel["id"]) == tree.exists(channel["id"])
    assert all(snapshot.restarts == 0 for snapshot in tree.owner.snapshot() if snapshot.key.startswith("account/"))
    await tree.stop()


async def _alive(tree, key):
    await tree.store.accounts.all()
    return tree.owner.get(key) is not None


async def test_one_account_s_death_restarts_nobody_else_and_its_channels_go_on(running):
    victim = running.users[0]["id"]
    others = {user["id"] for user in running.users[1:]}
    running.owner.find(f"account/{victim}").kill()

    async def back():
        await running.store.accounts.all()
        ref = running.owner.get(f"account/{victim}")
        return ref is not None and (await running.store.accounts.one(victim)).state == "active"

    await running.until(back)
    for channel in running.channels:
        await running.sandbox.publish(channel["id"], count=2)
    await running.parse()
    for channel in running.channels:
        assert await running.held(channel["id"]) == running.exists(channel["id"])
    restarts = {snapshot.key: snapshot.restarts for snapshot in running.owner.snapshot()}
    assert all(restarts[f"account/{other}"] == 0 for other in others)


@pytest.mark.parametrize("policy", ["last", "now", "since"])
async def test_a_new_channel_starts_where_the_policy_says(tree, policy):
    channel = tree.channels[0]["id"]
    posts = tree.sandbox.ledger(channel)["channels"][0]["posts"]
    middle = datetime.fromisoformat(posts[len(posts) // 2]["date"]).date()
    start = {
        "last": Start(policy="last", count=10),
        "now": Start(policy="now"),
        "since": Start(policy="since", since=middle),
    }[policy]
    wanted = {
        "last": posts[-10:],
        "now": [],
        "since": [post for post in posts if datetime.fromisoformat(post["date"]).date() >= middle],
    }[policy]
    tree.start(start)
    await tree.signed_in()
    await tree.parse()
    assert set(await tree.held(channel)) == {post["id"] for post in wanted if not post["service"]}
    (fresh,) = await tree.sandbox.publish(channel, count=1)
    await tree.parse()
    assert fresh in await tree.held(channel)
    await tree.stop()


async def test_a_stop_and_a_new_start_move_no_reader_and_add_no_duplicate(running):
    readers = {row.channel_id: row.reader_id for row in await running.store.channels.all()}
    before = running.sandbox.requests()["history"]
    await running.stop()
    for channel in running.channels:
        await running.sandbox.publish(channel["id"], count=3)
    running.start()
    await running.signed_in()
    job = await running.parse()
    assert job.posts_added == 3 * len(running.channels)
    assert {row.channel_id: row.reader_id for row in await running.store.channels.all()} == readers
    for channel_id, accounts in running.sandbox.requests()["history"].items():
        assert set(accounts) == set(before[channel_id])


async def test_no_public_means_hands_out_a_client(running):
    """Refs, replies, snapshots and all that is public on them: nowhere a Telethon object, nowhere an actor."""
    user = running.users[0]["id"]
    account = running.owner.find(f"account/{user}")
    for refused in (
        account.proxy,
        lambda: account.tell(ProxyGetAttr(attr_path=("_client",))),
        lambda: account.tell(ProxyCall(attr_path=("_load_key",), args=(), kwargs={})),
    ):
        with pytest.raises(ProxyRefused):
            refused()
    described = await account.call(DescribeAccount())
    seen, todo = set(), [account, described, running.owner.snapshot(), running.owner.find("roster"), running.root]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, (type, str, bytes, int, float, datetime)):
            continue
        seen.add(id(thing))
        assert not type(thing).__module__.startswith("telethon"), thing
        assert not isinstance(thing, Account), thing
        if isinstance(thing, (tuple, list, set, frozenset)):
            todo.extend(thing)
        elif isinstance(thing, dict):
            todo.extend(thing.values())
        elif type(thing).__module__.startswith(("actors", "pykka")):
            todo.extend(value for name in dir(thing) if not name.startswith("_") if (value := public(thing, name)))
    assert len(seen) > 20


def public(thing, name):
    value = getattr(thing, name, None)
    return None if callable(value) else value


def _expel(running, channel_id, reader):
    """Throw a reader out of a channel that has become private, without a word to it."""
    dc = running.sandbox.dc
    channel = dc.world.channel(channel_id)
    dc.alter(channel, username="", quiet=True)
    dc.move(channel, dc.world.account(reader), "left", silent=True)
    return channel


async def test_a_reader_that_left_while_the_daemon_was_down_is_replaced(running):
    channel = next(channel for channel in running.channels if len(channel["members"]) > 1)
    reader = await _reader(running, channel["id"])
    await running.stop()
    held = _expel(running, channel["id"], reader)
    ids = await running.sandbox.publish(channel["id"], count=2)
    running.start()
    await running.signed_in()

    async def whole():
        return set(ids) <= set(await running.held(channel["id"]))

    await running.until(whole)
    assert await _reader(running, channel["id"]) in held.members


async def test_a_reader_that_was_thrown_out_in_silence_is_found_out_by_the_next_parse(running):
    channel = next(channel for channel in running.channels if len(channel["members"]) > 1)
    reader = await _reader(running, channel["id"])
    held = _expel(running, channel["id"], reader)
    ids = await running.sandbox.publish(channel["id"], count=2, silent=True)
    await running.parse()

    async def whole():
        return set(ids) <= set(await running.held(channel["id"]))

    await running.until(whole)
    assert await _reader(running, channel["id"]) in held.members


async def test_channels_whose_supervisor_died_are_all_there_again_and_a_running_job_ends(running):
    silent = {}
    for channel in running.channels:
        silent[channel["id"]] = await running.sandbox.publish(channel["id"], count=1, silent=True)
    before = set(running.owner.keys("channel/"))
    running.owner.find("channels").kill()

    async def refilled():
        await running.store.accounts.all()
        return running.owner.get("channels") is not None and set(running.owner.keys("channel/")) == before

    await running.until(refilled)
    assert (await running.parse()).state == "success"
    for channel_id, ids in silent.items():
        assert set(ids) <= set(await running.held(channel_id))


async def test_a_channel_that_dies_in_the_middle_of_a_job_doesn_t_hold_it(running):
    channel = running.channels[0]["id"]
    fault = {"method": "messages.getHistory", "channel": channel, "delay": 0.5, "count": 1}
    await http("POST", f"{running.sandbox.control_url}/faults", fault)
    (fresh,) = await running.sandbox.publish(channel, count=1, silent=True)
    scheduler = running.owner.find("scheduler")
    job = await scheduler.call(ParseAll())

    async def others_done():
        now = await scheduler.call(DescribeJob(job_id=job.job_id))
        return now.channels_done >= len(running.channels) - 1 > 0

    await running.until(others_done)
    running.owner.find(f"channel/{channel}").kill()
    done = await scheduler.call(AwaitJob(job_id=job.job_id, wait=timedelta(seconds=20)))
    assert (done.state, done.channels_done) == ("success", len(running.channels))
    assert fresh in await running.held(channel)
