"""What a channel believes to hold, against what exists: for every order of pushes, heads, pages and failures."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.coverage import proven
from actors.holding import Holding
from actors.messages import ChannelHead, ChannelPosted, Post, Record
from config.model import Start

CHANNEL = 1
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def a_post(message_id):
    return Post(channel_id=CHANNEL, message_id=message_id, date=WHEN)


class Channel:
    """A channel on the service's side: ids with holes, one pts a post, and pushes on their way."""

    def __init__(self):
        self.ids, self.pts, self.pushes = [], 1, []

    def publish(self, hole):
        self.ids.append((self.ids[-1] if self.ids else 0) + 1 + hole)
        self.pts += 1
        self.pushes.append(ChannelPosted(post=a_post(self.ids[-1]), pts=self.pts, pts_count=1))

    @property
    def top(self):
        return self.ids[-1] if self.ids else 0

    def page(self, wanted, size):
        return sorted((i for i in self.ids if i < wanted.offset_id), reverse=True)[: min(wanted.limit, size)]


class Collector:
    """A holding with a recorder that commits, refuses or keeps what it is given."""

    def __init__(self, start):
        self.held = Holding(policy=Start(policy="all"), start=start)
        self.stored, self.ticket = set(), 0

    def record(self, ids, span):
        self.ticket += 1
        posts = tuple(map(a_post, ids))
        self.held.in_flight[self.ticket] = Record(channel_id=CHANNEL, road="live", posts=posts, covered=span)

    def push(self, push):
        wanted, span = self.held.take_push(push)
        if wanted:
            self.record((push.post.message_id,), span)

    def answer(self, which, *, recorded):
        if self.held.in_flight:
            ticket = sorted(self.held.in_flight)[which % len(self.held.in_flight)]
            if recorded:
                self.stored |= {post.message_id for post in self.held.in_flight[ticket].posts}
            self.held.settle(ticket, recorded=recorded)

    def fetch(self, channel, size):
        page = self.held.next_page()
        if page is not None:
            ids = channel.page(page, size)
            low, high = proven(page, ids[-1] if ids else None)
            self.record([i for i in ids if low <= i <= high], (low, high))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(0, 2)),
        st.tuples(st.just("push"), st.integers(0, 9)),
        st.tuples(st.just("lose"), st.integers(0, 9)),
        st.tuples(st.just("double"), st.integers(0, 9)),
        st.tuples(st.just("head"), st.just(0)),
        st.tuples(st.just("fetch"), st.integers(1, 5)),
        st.tuples(st.just("commit"), st.integers(0, 9)),
        st.tuples(st.just("refuse"), st.integers(0, 9)),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(STEPS, st.integers(1, 4))
def test_covered_never_claims_a_post_that_isn_t_stored_and_in_the_end_nothing_is_missing(steps, start):
    channel, collector = Channel(), Collector(start)
    for step, number in steps:
        match step:
            case "publish":
                channel.publish(number)
            case "push" | "lose" | "double" if channel.pushes:
                at = number % len(channel.pushes)
                if step == "double":
                    collector.push(channel.pushes[at])
                elif step == "push":
                    collector.push(channel.pushes.pop(at))
                else:
                    channel.pushes.pop(at)
            case "head":
                collector.held.take_head(ChannelHead(channel_id=CHANNEL, top_id=channel.top, pts=channel.pts))
            case "fetch":
                collector.fetch(channel, number)
            case "commit" | "refuse":
                collector.answer(number, recorded=step == "commit")
        for low, high in collector.held.covered:
            assert {i for i in channel.ids if max(low, start) <= i <= high} <= collector.stored
    collector.held.take_head(ChannelHead(channel_id=CHANNEL, top_id=channel.top, pts=channel.pts))
    for _ in range(400):
        collector.answer(0, recorded=True)
        collector.fetch(channel, 100)
        if collector.held.is_whole(channel.top) and not collector.held.in_flight:
            break
    assert collector.held.is_whole(channel.top)
    assert {i for i in channel.ids if i >= start} == collector.stored


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
