"""What a channel holds: start, top, pts, coverage, and what is on its way to the database. Decides, never acts."""

from dataclasses import dataclass, field

from actors.coverage import Coverage, PageWanted, add, contains, missing, next_page, normalise
from actors.messages import ChannelDeleted, ChannelHead, ChannelId, ChannelPosted, ChannelRow, Post, Record, Road, Span
from actors.telegram.updates import Contiguous, Gap, Old, Verdict, judge_pts
from config.model import Start


@dataclass(slots=True, kw_only=True)
class Holding:
    """The state of one channel, owned by its actor.

    ``covered`` holds only ids whose posts are committed; ``in_flight`` what the recorder has and hasn't answered yet.
    """

    policy: Start
    start: int | None = None
    top: int = 0
    pts: int | None = None
    headed: bool = False
    """Whether a head is known: before it, the start policy can't be applied."""
    covered: Coverage = ()
    in_flight: dict[int, Record] = field(default_factory=dict)
    ticket: int = 0

    def take_row(self, row: ChannelRow) -> None:
        """Go on where the database says that the last life ended."""
        self.start, self.top, self.pts, self.covered = row.start_id, row.top_id, row.pts, row.covered
        self.headed = row.start_id is not None

    def take_head(self, head: ChannelHead) -> None:
        self.headed = True
        self.top = max(self.top, head.top_id)
        self.advance_pts(head.pts)

    def advance_pts(self, pts: int) -> None:
        self.pts = pts if self.pts is None else max(self.pts, pts)

    def wants(self, post_id: int, *, edited: bool) -> bool:
        """Posts below the start aren't collected, nor is an edit of one that may turn out to lie there."""
        if self.start is not None:
            return post_id >= self.start
        return not edited or self.policy.policy == "all"

    def take_push(self, push: ChannelPosted) -> tuple[bool, Span | None]:
        """Whether a push is to be recorded, and which ids it proves."""
        post_id = push.post.message_id
        verdict = judge_pts(self.pts, push.pts, push.pts_count)
        wanted = self.wants(post_id, edited=push.edited)
        if push.edited or not wanted:
            self._advance_unless_gap(verdict, push.pts)
            return wanted, None
        if isinstance(verdict, Old) and contains(self.covered, post_id):
            return False, None
        # Each post has its own pts, so a contiguous one above the top proves the ids between to be empty.
        low = min(self.top + 1, post_id) if isinstance(verdict, Contiguous) else post_id
        self.top = max(self.top, post_id)
        self.advance_pts(push.pts)
        if self.start is None and self.policy.policy == "now":
            self.start = post_id
        return True, (low, post_id)

    def take_deletion(self, push: ChannelDeleted) -> None:
        self._advance_unless_gap(judge_pts(self.pts, push.pts, push.pts_count), push.pts)

    def _advance_unless_gap(self, verdict: Verdict, pts: int) -> None:
        """What was missed before an edit or a deletion may be a new post, whose id nothing here tells.

        So pts stays where it is, and the next new post shows the gap: pts never runs ahead of ``top``.
        """
        if not isinstance(verdict, Gap):
            self.advance_pts(pts)

    def record(
        self,
        channel_id: ChannelId,
        reply_key: str,
        *,
        road: Road = "live",
        posts: tuple[Post, ...] = (),
        covered: Span | None = None,
        deleted_ids: tuple[int, ...] = (),
        pts: int | None = None,
    ) -> Record:
        """What to give to the recorder, with the state as it stands; in flight until ``settle``."""
        self.ticket += 1
        record = Record(
            channel_id=channel_id,
            road=road,
            posts=posts,
            covered=covered,
            deleted_ids=deleted_ids,
            start_id=self.start,
            top_id=self.top,
            channel_pts=self.pts,
            pts=pts,
            reply_key=reply_key,
            ticket=self.ticket,
        )
        self.in_flight[self.ticket] = record
        return record

    def settle(self, ticket: int, *, recorded: bool) -> None:
        """The recorder has answered: what it committed is covered, what it refused is missing again."""
        record = self.in_flight.pop(ticket, None)
        if recorded and record is not None and record.covered is not None:
            self.covered = add(self.covered, record.covered)

    def next_page(self) -> PageWanted | None:
        """The page to ask for: what is missing and not on its way. None too while the start isn't known."""
        return None if self.start is None else next_page(self._claimed(), self.start, self.top)

    def is_whole(self, top: int) -> bool:
        """Whether everything from the start up to ``top`` is committed."""
        return self.start is not None and not missing(self.covered, self.start, top)

    def _claimed(self) -> Coverage:
        spans = [record.covered for record in self.in_flight.values() if record.covered is not None]
        return normalise((*self.covered, *spans)) if spans else self.covered
