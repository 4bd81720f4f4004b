"""What a channel believes to hold, against what exists: for every order of pushes, heads, answers and failures."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.coverage import add, contains, missing
from actors.holding import Holding, covered_after
from actors.messages.account import DifferenceFetched, HistoryFetched
from actors.messages.channel import ChannelDeleted, ChannelPosted
from actors.messages.content import ChannelHead, Post
from actors.messages.rows import ChannelRow
from config.model import Start

CHANNEL = 1
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
EVERYTHING = 10_000
"""A reread horizon beyond all ids of a test: then every edit and deletion must be found."""


def a_post(message_id, text=""):
    return Post(channel_id=CHANNEL, message_id=message_id, date=WHEN, text=text)


def a_head(top_id, pts):
    return ChannelHead(channel_id=CHANNEL, top_id=top_id, pts=pts)


@dataclass
class Service:
    """A channel on the service's side: ids with holes, an event for every step of pts, and pushes on their way."""

    texts: dict[int, str] = field(default_factory=dict)
    last: int = 0
    pts: int = 1
    events: list = field(default_factory=list)
    pushes: list = field(default_factory=list)

    def publish(self, hole):
        self.last += 1 + hole
        self.texts[self.last] = "new"
        self._happen("new", (self.last,))

    def edit(self, number):
        if self.texts:
            message_id = sorted(self.texts)[-1 - number % len(self.texts)]
            self.texts[message_id] = f"edited at {self.pts + 1}"
            self._happen("edit", (message_id,))

    def delete(self, number):
        if self.texts:
            gone = sorted(self.texts)[-1 - number % len(self.texts)]
            del self.texts[gone]
            self._happen("delete", (gone,))

    def _happen(self, kind, ids):
        self.pts += len(ids)
        self.events.append((self.pts, kind, ids))
        if kind == "delete":
            push = ChannelDeleted(channel_id=CHANNEL, message_ids=ids, pts=self.pts, pts_count=len(ids))
        else:
            post = a_post(ids[0], self.texts[ids[0]])
            push = ChannelPosted(post=post, pts=self.pts, pts_count=1, edited=kind == "edit")
        self.pushes.append(push)

    @property
    def head(self):
        return a_head(max(self.texts, default=0), self.pts)

    def difference(self, pts, size, too_long):
        after = [event for event in self.events if event[0] > pts]
        if not after:
            return DifferenceFetched(channel_id=CHANNEL, pts=self.pts)
        if pts < 1 or pts > self.pts or len(after) > too_long:
            return DifferenceFetched(channel_id=CHANNEL, pts=self.pts, head=self.head)
        part = after[:size]

        def copies(wanted):
            return tuple(
                a_post(ids[0], self.texts[ids[0]]) for _, kind, ids in part if kind == wanted and ids[0] in self.texts
            )

        return DifferenceFetched(
            channel_id=CHANNEL,
            posts=copies("new"),
            edits=copies("edit"),
            deleted_ids=tuple(i for _, kind, ids in part if kind == "delete" for i in ids),
            pts=part[-1][0],
            final=len(part) == len(after),
        )

    def page(self, wanted, size):
        ids = sorted((i for i in self.texts if i < wanted.offset_id), reverse=True)[: min(wanted.limit, size)]
        posts = tuple(a_post(i, self.texts[i]) for i in ids)
        return HistoryFetched(
            channel_id=CHANNEL, posts=posts, lowest_id=min(ids, default=None), count=len(ids), pts=self.pts
        )


class Database:
    """As the store does: copies merge by pts, deletions stay, coverage and posts come together."""

    def __init__(self, start):
        self.row = ChannelRow(
            channel_id=CHANNEL, username=None, title="", condition="active", reader_id=None, subscriptions=1, posts=0,
            start_id=start, top_id=0, floor_id=0, pts=None, covered=(),
        )  # fmt: skip
        self.posts, self.deleted = {}, set()

    def commit(self, record):
        for post in record.posts:
            known = self.posts.get(post.message_id)
            if known is None or (record.pts or 0) >= known[0]:
                self.posts[post.message_id] = (record.pts or 0, post.text)
        if record.absent is not None:
            low, high = record.absent
            present = {post.message_id for post in record.posts}
            self.deleted |= {
                i for i, (pts, _) in self.posts.items() if low <= i <= high and i not in present and pts <= record.pts
            }
        self.deleted |= set(record.deleted_ids)
        self.row = replace(
            self.row,
            start_id=self.row.start_id if self.row.start_id is not None else record.start_id,
            top_id=max(self.row.top_id, record.top_id),
            pts=self.row.pts if record.channel_pts is None else record.channel_pts,
            floor_id=self.row.floor_id if record.channel_pts is None else record.floor_id,
            covered=covered_after(self.row.covered, record),
        )

    @property
    def live(self):
        return {i: text for i, (_, text) in self.posts.items() if i not in self.deleted}


class Collector:
    """A holding, and a recorder that commits in order what it takes, and refuses a generation as a whole."""

    def __init__(self, start, reread):
        self.database, self.reread = Database(start), reread
        self.taken, self.refused, self.full = [], -1, False
        self.answers = []
        self.restart()

    def restart(self):
        """kill -9: what isn't committed is gone."""
        self.held = Holding(channel_id=CHANNEL, policy=Start(policy="all"), reread=self.reread)
        self.held.take_row(self.database.row)
        self.taken, self.refused, self.answers = [], -1, []

    def hand_over(self, record):
        if record is None:
            return
        if self.full or record.generation <= self.refused:
            self.refused = max(self.refused, record.generation)
            self.answers.append((record.ticket, False))
        else:
            self.taken.append(record)

    def hear(self, push):
        take = self.held.take_deletion if isinstance(push, ChannelDeleted) else self.held.take_push
        self.hand_over(take(push))

    def commit(self):
        if self.taken:
            record = self.taken.pop(0)
            self.database.commit(record)
            self.answers.append((record.ticket, True))

    def listen(self):
        """The recorder's word arrives, perhaps after more has been handed over."""
        if self.answers:
            ticket, recorded = self.answers.pop(0)
            self.held.settle(ticket, recorded=recorded)

    def ask(self, service, size, too_long):
        if self.held.gap_is_open():
            self.held.behind = True  # its time to close of itself is over
        self.hand_over(self.held.unsaid())
        match self.held.next_step():
            case None:
                return False
            case "difference":
                pts = self.held.sequence.pts
                self.hand_over(self.held.take_difference(service.difference(pts, size, too_long)))
            case page:
                self.hand_over(self.held.take_page(page, service.page(page, size)))
        return True


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("publish", "publish", "publish", "edit", "delete", "hear", "hear", "hear", "hear", "lose", "double"),
                *("head", "stale head", "ask", "ask", "commit", "commit", "commit", "listen", "listen", "listen"),
                *("full", "room", "restart", "hint", "doubt"),
            )
        ),
        st.integers(0, 9),
    ),
    min_size=20,
    max_size=80,
)  # fmt: skip


def take_step(service, collector, step, number, too_long):
    # Mostly in order, as a connection gives them; every third one is another.
    at = (number % len(service.pushes) if number % 3 == 0 else 0) if service.pushes else None
    match step:
        case "publish" | "edit" | "delete":
            getattr(service, step)(number % 3 if step == "publish" else number)
        case "hear" | "lose" | "double" if at is not None:
            push = service.pushes[at] if step == "double" else service.pushes.pop(at)
            if step != "lose":
                collector.hear(push)
        case "head":
            collector.stale = service.head
            collector.held.take_head(service.head)
        case "stale head" if hasattr(collector, "stale"):
            collector.held.take_head(collector.stale)
        case "hint":
            collector.held.take_hint(None if number % 2 else service.pts)
        case "ask":
            collector.ask(service, 1 + number % 5, too_long)
        case "commit" | "listen" | "restart":
            getattr(collector, step)()
        case "full" | "room":
            collector.full = step == "full"
        case "doubt" if collector.held.covered:
            low, high = collector.held.covered[number % len(collector.held.covered)]
            collector.hand_over(collector.held.doubt((low, high), "a test"))


def judge_coverage(service, collector, start):
    for low, high in (*collector.held.covered, *collector.database.row.covered):
        assert {i for i in service.texts if max(low, start) <= i <= high} <= set(collector.database.posts)


def bring_to_rest(service, collector, too_long):
    collector.full = False
    for _ in range(1000):
        collector.commit()
        collector.listen()
        asked = collector.ask(service, 100, too_long)
        if not asked and not collector.taken and not collector.answers:
            return
    raise AssertionError("it never comes to rest")


@settings(max_examples=600)
@given(STEPS, st.integers(1, 4), st.sampled_from([3, 100]))
def test_in_the_end_what_is_stored_is_what_exists_edits_and_deletions_included(steps, start, too_long):
    service, collector = Service(), Collector(start, EVERYTHING)
    for step, number in steps:
        take_step(service, collector, step, number, too_long)
        judge_coverage(service, collector, start)
    collector.held.take_head(service.head)
    bring_to_rest(service, collector, too_long)
    assert collector.held.is_whole(service.head.top_id, service.pts)
    assert {i: text for i, text in collector.database.live.items() if i >= start} == {
        i: text for i, text in service.texts.items() if i >= start
    }
    assert collector.held.sequence.pts == service.pts
    assert collector.database.row.pts in {None, service.pts} or not collector.database.live
    assert not missing(collector.database.row.covered, start, service.head.top_id)


@settings(max_examples=200)
@given(STEPS, st.sampled_from([3, 100]))
def test_with_a_short_horizon_no_post_is_missing_and_the_newest_are_true(steps, too_long):
    service, collector = Service(), Collector(1, 3)
    for step, number in steps:
        take_step(service, collector, step, number, too_long)
    collector.held.take_head(service.head)
    bring_to_rest(service, collector, too_long)
    assert set(service.texts) <= set(collector.database.live)
    newest = sorted(service.texts)[-3:]
    within = [i for i in newest if i > collector.held.top - 3]
    assert {i: collector.database.live[i] for i in within} == {i: service.texts[i] for i in within}


def whole(**changes):
    """All of ten posts, stored at pts 11."""
    held = Holding(channel_id=CHANNEL, policy=Start(policy="all"), **changes)
    held.take_row(replace(Database(1).row, top_id=10, floor_id=10, pts=11, covered=((1, 10),)))
    return held


def test_a_lost_post_is_asked_for_by_the_difference_whatever_update_shows_the_gap():
    for shows in (
        ChannelPosted(post=a_post(5), pts=14, pts_count=1, edited=True),
        ChannelDeleted(channel_id=CHANNEL, message_ids=(5,), pts=14, pts_count=1),
        ChannelPosted(post=a_post(13), pts=14, pts_count=1),
    ):
        held = whole()
        # Posts 11 and 12 (pts 12 and 13) were never pushed.
        (held.take_deletion if isinstance(shows, ChannelDeleted) else held.take_push)(shows)
        assert held.gap_is_open()
        assert held.next_step() is None, "the gap is given time to close of itself"
        held.behind = True
        assert (held.next_step(), held.sequence.pts) == ("difference", 11)
        lost = (a_post(11), a_post(12))
        record = held.take_difference(DifferenceFetched(channel_id=CHANNEL, posts=lost, pts=14))
        assert not held.gap_is_open()
        assert held.sequence.pts == 14
        assert record.covered[0] == 11
        assert held.next_step() is None


def test_a_gap_that_closes_of_itself_costs_no_call():
    held = whole()
    second = held.take_push(ChannelPosted(post=a_post(12), pts=13, pts_count=1))
    assert (second.covered, second.channel_pts, held.gap_is_open()) == ((12, 12), 11, True)
    first = held.take_push(ChannelPosted(post=a_post(11), pts=12, pts_count=1))
    assert (first.covered, first.channel_pts, held.gap_is_open()) == ((11, 12), 13, False)
    assert held.next_step() is None


def test_a_difference_that_is_too_long_has_the_newest_ids_read_again():
    held = whole(reread=4)
    held.take_head(a_head(500, 900))
    held.behind = True
    record = held.take_difference(DifferenceFetched(channel_id=CHANNEL, pts=900, head=a_head(500, 900)))
    # What stood at the top is known, yet may have been edited or deleted: 4 ids of it are read again.
    assert (record.doubt, record.channel_pts, record.floor_id) == ((7, 500), 900, 500)
    assert held.next_step().span == (7, 500)
    assert not held.is_whole(10, 11)


def test_what_happened_behind_a_refused_record_is_asked_for_again():
    held = whole()
    edit = held.take_push(ChannelPosted(post=a_post(5, "edited"), pts=12, pts_count=1, edited=True))
    later = held.take_push(ChannelPosted(post=a_post(11), pts=13, pts_count=1))
    held.settle(edit.ticket, recorded=False)
    assert held.sequence.pts == (held.safe.pts if held.safe.pts is not None else held.head.pts)
    assert later.ticket not in held.in_flight
    assert held.generation == edit.generation + 1


def test_a_page_says_by_absence_what_was_deleted():
    held = whole()
    held.doubt((1, 10), "a test")
    page = held.next_step()
    record = held.take_page(
        page, HistoryFetched(channel_id=CHANNEL, posts=(a_post(9), a_post(3)), lowest_id=3, count=2, pts=20)
    )
    assert (record.covered, record.absent, record.pts) == ((3, 10), (3, 10), 20)


def test_older_posts_come_last_and_count_as_backfill():
    held = Holding(channel_id=CHANNEL, policy=Start(policy="all"), start=101, goal=50, covered=((101, 110),), top=110)
    held.take_head(a_head(112, 30))
    assert held.next_step().span == (111, 112)
    held.covered = add(held.covered, (111, 112))
    page = held.next_step()
    assert (page.span, held.road_of(page.span)) == ((50, 100), "backfill")
    held.covered = add(held.covered, (50, 100))
    assert held.next_step() is None
    assert contains(held.covered, 50)
    assert held.is_whole(112, 30)


def test_without_a_start_nothing_is_asked_for_but_the_start():
    held = Holding(channel_id=CHANNEL, policy=Start(policy="last", count=5))
    assert held.next_step() is None
    held.take_head(a_head(10, 5))
    assert held.next_step() == "start"
    assert not held.is_whole(10, 5)


def test_with_the_policy_now_the_first_push_is_the_start():
    held = Holding(channel_id=CHANNEL, policy=Start(policy="now"))
    record = held.take_push(ChannelPosted(post=a_post(7), pts=3, pts_count=1))
    assert (record.posts, record.covered, held.start) == ((a_post(7),), None, 7)
    assert held.take_push(ChannelPosted(post=a_post(5), pts=4, pts_count=1, edited=True)) is None
