"""What a channel believes to hold, against what exists: for every order of pushes, heads, pages and failures."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.coverage import add, proven
from actors.holding import Holding
from actors.messages import ChannelDeleted, ChannelHead, ChannelPosted, ChannelRow, Post
from config.model import Start

CHANNEL = 1
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def a_post(message_id):
    return Post(channel_id=CHANNEL, message_id=message_id, date=WHEN)


class Channel:
    """A channel on the service's side: ids with holes, a pts for every event, and updates on their way."""

    def __init__(self):
        self.ids, self.last, self.pts, self.updates = [], 0, 1, []

    def publish(self, hole):
        self.last += 1 + hole
        self.ids.append(self.last)
        self.pts += 1
        self.updates.append(ChannelPosted(post=a_post(self.last), pts=self.pts, pts_count=1))

    def edit(self, number):
        if self.ids:
            self.pts += 1
            edited = a_post(self.ids[number % len(self.ids)])
            self.updates.append(ChannelPosted(post=edited, pts=self.pts, pts_count=1, edited=True))

    def delete(self, number):
        if self.ids:
            self.pts += 1
            gone = (self.ids.pop(number % len(self.ids)),)
            self.updates.append(ChannelDeleted(channel_id=CHANNEL, message_ids=gone, pts=self.pts, pts_count=1))

    @property
    def head(self):
        return ChannelHead(channel_id=CHANNEL, top_id=self.ids[-1] if self.ids else 0, pts=self.pts)

    def page(self, wanted, size):
        return sorted((i for i in self.ids if i < wanted.offset_id), reverse=True)[: min(wanted.limit, size)]


class Collector:
    """A holding, a recorder that commits, refuses or keeps what it is given, and the rows that were committed."""

    def __init__(self, start):
        self.start = start
        self.row = ChannelRow(
            channel_id=CHANNEL, username=None, title="", condition="active", reader_id=None, subscriptions=1, posts=0,
            start_id=start, top_id=0, pts=None, covered=(),
        )  # fmt: skip
        self.stored = set()
        self.restart()

    def restart(self):
        """kill -9: what isn't committed is gone."""
        self.held = Holding(policy=Start(policy="all"))
        self.held.take_row(self.row)

    def hear(self, update):
        if isinstance(update, ChannelDeleted):
            self.held.take_deletion(update)
            self.held.record(CHANNEL, "", deleted_ids=update.message_ids)
            return
        wanted, span = self.held.take_push(update)
        if wanted:
            self.held.record(CHANNEL, "", posts=(update.post,), covered=span)

    def answer(self, which, *, recorded):
        if self.held.in_flight:
            ticket = sorted(self.held.in_flight)[which % len(self.held.in_flight)]
            if recorded:
                self.commit(self.held.in_flight[ticket])
            self.held.settle(ticket, recorded=recorded)

    def commit(self, record):
        """As the store does: every figure only rises, coverage and posts together."""
        self.stored |= {post.message_id for post in record.posts}
        self.row = replace(
            self.row,
            top_id=max(self.row.top_id, record.top_id),
            pts=max(self.row.pts or 0, record.channel_pts or 0) or None,
            covered=add(self.row.covered, record.covered) if record.covered else self.row.covered,
        )

    def fetch(self, channel, size):
        page = self.held.next_page()
        if page is not None:
            ids = channel.page(page, size)
            low, high = proven(page, ids[-1] if ids else None)
            posts = tuple(a_post(i) for i in ids if low <= i <= high)
            self.held.record(CHANNEL, "", posts=posts, covered=(low, high))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("publish", "publish", "publish", "edit", "delete", "hear", "hear", "hear", "hear", "lose", "double"),
                *("head", "fetch", "commit", "commit", "commit", "refuse", "restart"),
            )
        ),
        st.integers(0, 9),
    ),
    min_size=20,
    max_size=60,
)  # fmt: skip


def take_step(channel, collector, step, number):
    # Mostly in order, as a connection gives them; every third one is another.
    at = (number % len(channel.updates) if number % 3 == 0 else 0) if channel.updates else None
    match step:
        case "publish" | "edit" | "delete":
            getattr(channel, step)(number % 3 if step == "publish" else number)
        case "hear" | "lose" | "double" if at is not None:
            update = channel.updates[at] if step == "double" else channel.updates.pop(at)
            if step != "lose":
                collector.hear(update)
        case "head":
            collector.held.take_head(channel.head)
        case "fetch":
            collector.fetch(channel, 1 + number % 5)
        case "commit" | "refuse":
            collector.answer(number, recorded=step == "commit")
        case "restart":
            collector.restart()


@settings(max_examples=400)
@given(STEPS, st.integers(1, 4))
def test_covered_never_claims_a_post_that_isn_t_stored_and_in_the_end_nothing_is_missing(steps, start):
    channel, collector = Channel(), Collector(start)
    for step, number in steps:
        take_step(channel, collector, step, number)
        for low, high in (*collector.held.covered, *collector.row.covered):
            assert {i for i in channel.ids if max(low, start) <= i <= high} <= collector.stored
    collector.held.take_head(channel.head)
    for _ in range(400):
        collector.answer(0, recorded=True)
        collector.fetch(channel, 100)
        if collector.held.is_whole(channel.head.top_id) and not collector.held.in_flight:
            break
    assert collector.held.is_whole(channel.head.top_id)
    assert {i for i in channel.ids if i >= start} <= collector.stored


def test_a_gap_before_an_edit_or_a_deletion_is_still_a_gap_for_the_next_post():
    for hides in (
        ChannelPosted(post=a_post(5), pts=14, pts_count=1, edited=True),
        ChannelDeleted(channel_id=CHANNEL, message_ids=(5,), pts=14, pts_count=1),
    ):
        held = Holding(policy=Start(policy="all"), start=1, covered=((1, 10),))
        held.take_head(ChannelHead(channel_id=CHANNEL, top_id=10, pts=11))
        # Posts 11 and 12 (pts 12 and 13) were never pushed.
        held.take_deletion(hides) if isinstance(hides, ChannelDeleted) else held.take_push(hides)
        assert held.take_push(ChannelPosted(post=a_post(13), pts=15, pts_count=1)) == (True, (13, 13))
        held.covered = add(held.covered, (13, 13))
        assert held.next_page().span == (11, 12)


def test_without_a_start_nothing_is_asked_for_and_nothing_is_whole():
    held = Holding(policy=Start(policy="last", count=5))
    held.take_head(ChannelHead(channel_id=CHANNEL, top_id=10, pts=5))
    assert held.next_page() is None
    assert not held.is_whole(10)


def test_with_the_policy_now_the_first_push_is_the_start():
    held = Holding(policy=Start(policy="now"))
    assert held.take_push(ChannelPosted(post=a_post(7), pts=3, pts_count=1)) == (True, (7, 7))
    assert held.start == 7
    assert held.take_push(ChannelPosted(post=a_post(5), pts=4, pts_count=1, edited=True)) == (False, None)
