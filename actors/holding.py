"""What a channel holds: start, top, sequence, coverage, and what is on its way to the database. Decides, never acts.

Four rules keep it true. Copies of posts are recorded as they come, in whatever order, for the store merges them by pts.
Pts moves over what was applied without a gap, and no further. An id is covered when its post is committed, or when it
is proven that there is none. And what the recorder refused is undone as a whole: the channel goes back to the state of
the last record that was taken, and asks for everything after it again.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from actors.coverage import Coverage, PageWanted, add, contains, missing, next_page, proven, subtract
from actors.messages.account import DifferenceFetched, HistoryFetched
from actors.messages.channel import ChannelDeleted, ChannelFigures, ChannelPosted
from actors.messages.content import ChannelHead, Post
from actors.messages.ids import ChannelId, Road, Span
from actors.messages.recorder import Record
from actors.messages.rows import ChannelRow
from actors.sequence import Sequence, Verdict, applied, reached
from config.model import Start

NOTHING_KNOWN = Sequence()
Step = Literal["start", "difference"] | PageWanted | None
"""What to ask for next: where the channel starts, what happened since pts, a page of history, or nothing."""


@dataclass(slots=True, kw_only=True)
class Holding:
    """The state of one channel, owned by its actor.

    ``covered`` holds only ids whose posts are committed; ``in_flight`` what the recorder has and hasn't answered yet,
    in the order of tickets, in which it is committed too.
    """

    channel_id: ChannelId
    reply_key: str = ""
    policy: Start
    reread: int = 200
    """Ids below the top that are read again where edits and deletions may have been missed."""
    start: int | None = None
    goal: int | None = None
    """The id down to which older posts are wanted too."""
    top: int = 0
    sequence: Sequence = NOTHING_KNOWN
    head: ChannelHead | None = None
    """The newest head that was read: what it says above the sequence is to be asked for."""
    behind: bool = False
    """Whether the difference is to be asked for."""
    covered: Coverage = ()
    safe: Sequence = NOTHING_KNOWN
    """As the last record left it that was committed."""
    in_flight: dict[int, Record] = field(default_factory=dict)
    ticket: int = 0
    generation: int = 0
    doubted: Span | None = None
    """To be subtracted from what is covered by the next record."""
    why: str = ""
    """Of the doubt."""

    # --- what comes in: each answers what is to be recorded, if anything ---------------------------------------------

    def take_row(self, row: ChannelRow) -> None:
        """Go on where the database says that the last life ended."""
        self.start, self.goal, self.top, self.covered = row.start_id, row.goal_id, row.top_id, row.covered
        self.sequence = self.safe = Sequence(pts=row.pts, floor=row.floor_id)

    def let_go(self, start: int) -> None:
        """Begin here: nothing below is wanted, or counts as covered, any more."""
        self.covered = subtract(self.covered, (1, start - 1))
        self.start = start if self.start is None else max(self.start, start)
        if self.goal is not None and self.goal < start:
            self.goal = None

    @property
    def headed(self) -> bool:
        """Whether the channel's pts is known. Before it is, what is read may have changed without anybody telling."""
        return self.sequence.pts is not None

    def take_head(self, head: ChannelHead) -> bool:
        """Whether it says anything new."""
        new = self.head is None or head.top_id > self.top or head.pts > (self.sequence.pts or 0)
        if self.head is None or head.pts >= self.head.pts:
            self.head = head
        self.top = max(self.top, head.top_id)
        known, floor = self.sequence.pts, self.sequence.floor
        if known is None:
            # Pushes that came before this head are below the floor too, so that they are read again.
            self.sequence = reached(self.sequence, head.pts, max(floor, self.top))
        elif known >= head.pts and head.top_id > floor:
            self.sequence = reached(self.sequence, known, head.top_id)
        return new

    def take_push(self, push: ChannelPosted) -> Record | None:
        post_id = push.post.message_id
        new_id = 0 if push.edited else post_id
        verdict, span = self._apply(push.pts, push.pts_count, new_id)
        if verdict == "old":
            return None  # applied, or older than what is read or will be: it may have changed since
        if self.start is None and self.policy.policy == "now" and not push.edited:
            self.start = post_id
        if not self._wants(post_id, edited=push.edited):
            return self.record(covered=span) if span else None
        if span is None and not push.edited and self.sequence.pts is not None:
            # Without a pts nothing tells what happens to the post until the first head: then it is read again.
            span = (post_id, post_id)
        self.top = max(self.top, post_id)
        return self.record(posts=(push.post,), covered=span, pts=push.pts)

    def take_deletion(self, push: ChannelDeleted) -> Record | None:
        verdict, span = self._apply(push.pts, push.pts_count, 0)
        ids = () if verdict == "old" else self._wanted_ids(push.message_ids)
        return self.record(deleted_ids=ids, covered=span) if ids or span else None

    def take_figures(self, push: ChannelFigures) -> Record | None:
        """Figures stand in no sequence; those of posts that aren't stored are let go by the store."""
        return self.record(figures=(push,)) if self._wants(push.message_id, edited=True) else None

    def take_page(self, page: PageWanted, history: HistoryFetched) -> Record:
        """A page proves what is in its span, and by absence what isn't."""
        span = proven(page, history.lowest_id)
        low, high = span
        return self.record(
            road=self.road_of(span),
            posts=tuple(post for post in history.posts if low <= post.message_id <= high),
            covered=span,
            absent=span if history.pts is not None else None,
            pts=history.pts,
        )

    def take_ids(self, span: Span, posts: tuple[Post, ...], pts: int | None, *, series: bool = False) -> Record:
        """What was read by numbers mends what is stored, and claims nothing: a doubt may have come up meanwhile."""
        absent = span if pts is not None else None
        return self.record(road=self.road_of(span), posts=posts, absent=absent, pts=pts, series=series)

    def take_difference(self, difference: DifferenceFetched) -> Record:
        """Apply a slice of what happened since pts, or go on from a head where too much did."""
        if difference.head is not None:
            return self._begin_anew(difference.head)
        before = self.sequence.floor
        newest = max((post.message_id for post in difference.posts), default=0)
        floor = max(before, newest)
        if self.head is not None and self.head.pts <= difference.pts:
            floor = max(floor, self.head.top_id)
        self.sequence = reached(self.sequence, max(difference.pts, self.sequence.pts or 0), floor)
        self.top = max(self.top, self.sequence.floor)
        self.behind = not difference.final
        if difference.final and self.head is not None and self.head.pts > difference.pts:
            # Whatever that head knew of, there is no more to be had now; the next head will say so again.
            self.head = replace(self.head, pts=difference.pts)
        return self.record(
            road="catchup",
            posts=(
                *(post for post in difference.posts if self._wants(post.message_id, edited=False)),
                *(post for post in difference.edits if self._wants(post.message_id, edited=True)),
            ),
            deleted_ids=self._wanted_ids(difference.deleted_ids),
            covered=(before + 1, self.sequence.floor) if self.sequence.floor > before else None,
            pts=difference.pts,
        )

    def _begin_anew(self, head: ChannelHead) -> Record:
        """Nothing tells what happened between the known pts and this head: read what is new, and the newest again."""
        top, floor = self.top, self.sequence.floor
        rest = tuple(part for part in self.sequence.ahead if part.pts > head.pts)
        self.sequence = reached(Sequence(ahead=rest), head.pts, max(head.top_id, top))
        self.top = max(self.top, self.sequence.floor)
        self.head, self.behind = head, False
        return self.doubt((floor + 1 - self.reread, top), "too much happened to be told")

    def road_of(self, span: Span) -> Road:
        return "catchup" if self.start is None or span[1] >= self.start else "backfill"

    def take_hint(self, pts: int | None) -> None:
        """The service says that something happened, up to ``pts`` where that is told; what, it doesn't."""
        if self.sequence.pts is not None and (pts is None or pts > self.sequence.pts):
            self.behind = True

    def doubt(self, span: Span, why: str) -> Record:
        """Have these ids read again; those that nobody wants are left out."""
        low, high = span
        low = max(low, self.lowest or high + 1)
        if low <= high:
            self.doubted, self.why = _hull(self.doubted, (low, high)), why
        return self.record()  # what the sequence says is to be kept in any case

    @property
    def lowest(self) -> int | None:
        """The lowest id that is wanted; None while the start isn't known."""
        return self.start if self.goal is None or self.start is None else min(self.start, self.goal)

    def gap_is_open(self) -> bool:
        """Whether something is known to have happened that isn't known itself."""
        pts = self.sequence.pts
        return pts is not None and (self.sequence.has_gap or (self.head is not None and self.head.pts > pts))

    # --- what goes to the recorder, and what it answers --------------------------------------------------------------

    def record(
        self,
        *,
        road: Road = "live",
        posts: tuple[Post, ...] = (),
        covered: Span | None = None,
        absent: Span | None = None,
        deleted_ids: tuple[int, ...] = (),
        figures: tuple[ChannelFigures, ...] = (),
        pts: int | None = None,
        series: bool = False,
    ) -> Record:
        """What to give to the recorder, with the state as it stands; in flight until ``settle``."""
        self.ticket += 1
        record = Record(
            channel_id=self.channel_id,
            road=road,
            posts=posts,
            covered=covered,
            absent=absent,
            doubt=self.doubted,
            doubt_why=self.why,
            deleted_ids=deleted_ids,
            figures=figures,
            start_id=self.start,
            top_id=self.top,
            floor_id=self.sequence.floor,
            channel_pts=self.sequence.pts,
            pts=pts,
            series=series,
            reply_key=self.reply_key,
            ticket=self.ticket,
            generation=self.generation,
        )
        self.doubted, self.why = None, ""
        self.in_flight[self.ticket] = record
        return record

    def settle(self, ticket: int, *, recorded: bool) -> None:
        """The recorder has answered: what it committed is covered, what it refused is undone with all after it."""
        if ticket not in self.in_flight:
            return
        if not recorded:
            self._undo(ticket)
            return
        record = self.in_flight.pop(ticket)
        self.covered = covered_after(self.covered, record)
        self.safe = Sequence(pts=record.channel_pts, floor=record.floor_id)

    def _undo(self, ticket: int) -> None:
        """The recorder refuses all of a generation after the first that it refused: nothing overtakes it."""
        refused = [self.in_flight.pop(later) for later in sorted(self.in_flight) if later >= ticket]
        for record in refused:
            if record.doubt is not None:
                self.doubted, self.why = _hull(self.doubted, record.doubt), record.doubt_why
        last = max(self.in_flight, default=None)
        if last is None:
            self.sequence = self.safe
        else:
            self.sequence = Sequence(pts=self.in_flight[last].channel_pts, floor=self.in_flight[last].floor_id)
        self.generation += 1
        self.behind = self.sequence.pts is not None
        if self.sequence.pts is None and self.head is not None:
            # No difference can bring back what was refused; what was edited or deleted by it is read again.
            self.take_head(self.head)
            low = max(self.lowest or self.top + 1, self.top + 1 - self.reread)
            if low <= self.top:
                self.doubted, self.why = _hull(self.doubted, (low, self.top)), "the database took no more"

    def unsaid(self) -> Record | None:
        """A doubt that no record has carried yet."""
        return None if self.doubted is None else self.record()

    # --- what is to be asked for -------------------------------------------------------------------------------------

    def next_step(self) -> Step:
        """The newest first: what happened since pts, then missing ids down to the start, then older ones."""
        if not self.headed:
            return None
        if self.start is None:
            return "start"
        if self.behind:
            return "difference"
        claimed = self._claimed()
        # What lies beyond a gap is left to the difference, which brings edits and deletions too.
        high = self.sequence.floor if self.gap_is_open() else self.top
        page = next_page(claimed, self.start, high)
        if page is None and self.goal is not None:
            page = next_page(claimed, self.goal, self.start - 1)
        return page

    def is_whole(self, top: int, pts: int) -> bool:
        """Whether everything from the start up to ``top`` is committed, edits and deletions up to ``pts`` included."""
        known = self.safe if self.in_flight else self.sequence
        if self.start is None or self.doubted is not None or (known.pts or 0) < pts:
            return False
        covered = self.covered
        for record in self.in_flight.values():
            if record.doubt is not None:
                covered = subtract(covered, record.doubt)
        return not missing(covered, self.start, top)

    def _claimed(self) -> Coverage:
        covered = self.covered
        for record in self.in_flight.values():
            covered = covered_after(covered, record)
        return covered if self.doubted is None else subtract(covered, self.doubted)

    # --- judging -----------------------------------------------------------------------------------------------------

    def _apply(self, pts: int, pts_count: int, new_id: int) -> tuple[Verdict, Span | None]:
        """Move the sequence; what it says of the update, and the ids that this proves, if any."""
        before = self.sequence.floor
        self.sequence, verdict = applied(self.sequence, pts, pts_count, new_id=new_id)
        moved = verdict == "contiguous" and self.sequence.floor > before
        return verdict, (before + 1, self.sequence.floor) if moved else None

    def _wants(self, post_id: int, *, edited: bool) -> bool:
        """Posts below the start aren't collected, nor is an edit of one that may turn out to lie there."""
        if self.start is None:
            return not edited or self.policy.policy == "all"
        return post_id >= self.start or contains(self.covered, post_id)

    def _wanted_ids(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(post_id for post_id in ids if self._wants(post_id, edited=True) or self.start is None)


def covered_after(covered: Coverage, record: Record) -> Coverage:
    """A coverage once a record is committed: its doubt is subtracted first, what it proves is added then."""
    if record.doubt is not None:
        covered = subtract(covered, record.doubt)
    return covered if record.covered is None else add(covered, record.covered)


def _hull(one: Span | None, other: Span) -> Span:
    return other if one is None else (min(one[0], other[0]), max(one[1], other[1]))
