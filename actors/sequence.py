"""How far a channel's updates are known: plain values and functions, after Telegram's rules for pts.

Source: https://core.telegram.org/api/updates#pts-checking-and-applying
"""

from dataclasses import dataclass, replace
from typing import Literal

Verdict = Literal["contiguous", "old", "gap"]
"""Nothing is missing before an update; it, or something later, was applied before; something before it is missing."""

PARTS = 256
"""Most stretches beyond gaps that are remembered. What is forgotten is only asked for again."""


def judge_pts(known: int | None, pts: int, pts_count: int) -> Verdict:
    """Compare an update's pts with the known one. With none known anything is a gap: what came before is in doubt."""
    if known is None or known + pts_count < pts:
        return "gap"
    # An update that counts nothing (pts_count 0) and stands at the known pts is contiguous: it is news all the same.
    return "contiguous" if known + pts_count == pts else "old"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Updates in a row that were applied although something before them is missing."""

    since: int
    """The pts before the first."""
    pts: int
    """The pts of the last."""
    top: int
    """The newest post that they brought; 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """All updates up to ``pts`` are applied, and those of ``ahead``."""

    pts: int | None = None
    floor: int = 0
    """The newest id that there was at ``pts``: every update up to it being known, no post above it is missing."""
    ahead: tuple[Stretch, ...] = ()
    """Ascending and disjoint."""

    @property
    def has_gap(self) -> bool:
        return bool(self.ahead)


def applied(sequence: Sequence, pts: int, pts_count: int, *, new_id: int = 0) -> tuple[Sequence, Verdict]:
    """The sequence after an update that brought the post ``new_id`` (0 for none), and what its pts said."""
    verdict = judge_pts(sequence.pts, pts, pts_count)
    if verdict == "contiguous":
        return reached(sequence, pts, max(sequence.floor, new_id)), verdict
    if verdict == "gap" and sequence.pts is not None:
        return replace(sequence, ahead=_joined(sequence.ahead, Stretch(pts - pts_count, pts, new_id))), verdict
    return sequence, verdict


def reached(sequence: Sequence, pts: int, floor: int) -> Sequence:
    """The sequence once everything up to ``pts`` is known; the stretches that this joins to it are part of it."""
    rest = []
    for stretch in sequence.ahead:
        if stretch.since <= pts:
            pts = max(pts, stretch.pts)
            floor = max(floor, stretch.top)
        else:
            rest.append(stretch)
    return Sequence(pts=pts, floor=floor, ahead=tuple(rest))


def _joined(ahead: tuple[Stretch, ...], new: Stretch) -> tuple[Stretch, ...]:
    parts: list[Stretch] = []
    for stretch in sorted((*ahead, new), key=lambda part: (part.since, part.pts)):
        if parts and stretch.since <= parts[-1].pts:
            last = parts[-1]
            parts[-1] = Stretch(last.since, max(last.pts, stretch.pts), max(last.top, stretch.top))
        else:
            parts.append(stretch)
    return tuple(parts[-PARTS:])
