"""What a probe asks of differences: a channel's from many places, and a little of the account's."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from telethon.tl import functions, types

from actors.telegram import probe_shape as shape
from actors.telegram.probe_asker import Asker, nothing
from actors.telegram.probe_steps import Findings, Target
from actors.telegram.probe_trace import ADAPTIVE, Finding

LIMIT = 100
MOST_SEARCHED = 12
"""Calls that looking for an edge may cost."""
ABOVE = 1_000
WEEK = timedelta(days=7)

DIFFERENCE = "difference"
TOO_LONG = "too long"

Answer = tuple[str, int]
"""What came, and how many steps of pts the question was behind by the answer's own account."""


class ChannelDifferences:
    """Asks one channel's differences, and gathers what they say of the switches."""

    def __init__(self, ask: Asker, target: Target, findings: Findings) -> None:
        self._ask = ask
        self._target = target
        self._findings = findings
        self._claims: dict[str, str] = {}
        """Step -> which pts the updates inside carried."""

    async def run(self) -> None:
        answers: dict[int, list[Answer]] = {}
        try:
            for behind in (0, 1, 5, 50, 101, 250):
                answers[behind] = await self._behind(f"channel_difference/behind_{behind}", behind)
            await self._behind("channel_difference/behind_1_limit_1", 1, limit=1)
            few = await self._behind("channel_difference/behind_50_limit_10", 50, limit=10)
            self._judge_limit(answers[50], few)
            if answers[0]:  # else a refusal says nothing about the pts
                await self._refusals()
            else:
                for name in ("above", "pts_0"):
                    self._ask.skip(f"channel_difference/{name}", "the channel's difference was refused anyway")
            await self._search([answer for given in answers.values() for answer in given])
        finally:
            self._judge_pts()

    async def _behind(self, step: str, behind: int, *, limit: int = LIMIT) -> list[Answer]:
        """One question; no answer where the channel is too young or the answer was refused."""
        pts = self._target.pts - behind
        if pts < 1:
            self._ask.skip(step, f"the channel has not moved {behind} steps")
            return []
        reference = self._target.pts
        result = await self._get(step, pts, limit, {"behind": behind, "limit": limit})
        if result is None:
            return []
        end = shape.end_of(result)
        is_current = bool(result.final) or type(result) is types.updates.ChannelDifferenceTooLong
        if end is not None and is_current:
            # A channel goes on living: how far behind a question was is told by its answer.
            self._target.pts = max(reference, end)
        claim = shape.updates_pts(result)
        if claim is not None:
            self._claims[step] = claim
        kind = TOO_LONG if type(result) is types.updates.ChannelDifferenceTooLong else DIFFERENCE
        return [(kind, self._target.pts - pts)]

    async def _get(self, step: str, pts: int, limit: int, ask: dict[str, Any]) -> Any:
        reference = self._target.pts
        request = functions.updates.GetChannelDifferenceRequest(
            channel=self._target.input, filter=types.ChannelMessagesFilterEmpty(), pts=pts, limit=limit
        )
        return await self._ask(step, request, ask, lambda it: shape.difference_shape(it, pts, reference))

    async def _refusals(self) -> None:
        for name, pts in (("above", self._target.pts + ABOVE), ("pts_0", 0)):
            step = f"channel_difference/{name}"
            before = len(self._ask.records)
            result = await self._get(step, pts, LIMIT, {"pts": name, "limit": LIMIT})
            if len(self._ask.records) > before:
                error = self._ask.records[-1].error or {}
                told = error["name"] if error else shape.constructor(result)
                self._findings[f"difference_{name}_is_refused"] = Finding(
                    value=error.get("code") == 400 if error else False, evidence=f"{step}: {told}"
                )

    def _judge_limit(self, whole: list[Answer], few: list[Answer]) -> None:
        if not few or not whole or whole[0][0] != DIFFERENCE:
            return
        self._findings["limit_makes_too_long"] = Finding(
            value=few[0][0] == TOO_LONG, evidence=f"50 steps behind with limit 10: {few[0][0]}; with 100: difference"
        )

    async def _search(self, answers: list[Answer]) -> None:
        """Find the most steps that are still told, between what is known: more calls only where they can tell."""

        async def again(behind: int) -> Answer | None:
            given = await self._behind(f"{ADAPTIVE}channel_difference/behind_{behind}", behind)
            return given[0] if given else None

        told = max((behind for kind, behind in answers if kind == DIFFERENCE), default=0)
        refused = min((behind for kind, behind in answers if kind == TOO_LONG), default=None)
        if not answers:
            return
        low, high = await find_edge(again, told, refused, most=self._target.pts - 1)
        if high is None:
            self._findings["too_long_above"] = Finding(
                value=None, evidence=f"{low} steps are still told, and the channel gave no occasion for more"
            )
        else:
            # Where not even one step was told, it was for another reason: of a past that isn't kept, or for its age.
            self._findings["too_long_above"] = Finding(
                value=low if high == low + 1 and low > 0 else None,
                evidence=f"with limit {LIMIT}: {low} steps are told, {high} are too long",
            )

    def _judge_pts(self) -> None:
        kinds = set(self._claims.values())
        step, claim = next(iter(self._claims.items()), ("", ""))
        if kinds in ({"own"}, {"end"}):
            found = Finding(value=claim == "own", evidence=f"{step}: updates inside carry {claim} pts")
        elif kinds:
            found = Finding(value=None, evidence=f"updates inside carry {' and '.join(sorted(kinds))} pts")
        else:
            found = Finding(value=None, evidence="no difference held two edits or deletions")
        self._findings["difference_pts"] = found


async def find_edge(
    ask: Callable[[int], Awaitable[Answer | None]], low: int, high: int | None, *, most: int
) -> tuple[int, int | None]:
    """Halve, or while nothing was too long double, until two neighbours differ; within ``MOST_SEARCHED`` calls.

    ``ask`` answers for a number of steps, or for a few more if the channel has moved meanwhile; None ends the search.
    """
    for _ in range(MOST_SEARCHED):
        if high is not None and high <= low + 1:
            break
        if high is None and low >= most:
            break
        middle = min(most, max(1, low * 2)) if high is None else (low + high) // 2
        answer = await ask(middle)
        if answer is None:
            break
        kind, behind = answer
        if kind == DIFFERENCE:
            low = max(low, behind)
        else:
            high = behind if high is None else min(high, behind)
    return low, high


async def account_differences(ask: Asker, state: Any, findings: Findings) -> None:
    """From the present state, a step or five before it, and with an old date. What comes is private: none is kept."""
    if state is None:
        return

    async def get(step: str, behind: int, *, total: int | None = None, age: timedelta = timedelta()) -> Answer | None:
        if state.pts - behind < 1:
            ask.skip(step, "the account has not moved so far")
            return None
        request = functions.updates.GetDifferenceRequest(
            pts=state.pts - behind, date=state.date - age, qts=state.qts, pts_total_limit=total
        )
        written = {"behind": behind, "days_ago": age.days, "total_limit": total}
        result = await ask(step, request, written, shape.account_shape, within=nothing)
        if result is None:
            return None
        return (TOO_LONG if type(result) is types.updates.DifferenceTooLong else DIFFERENCE, behind)

    await get("difference/now", 0)
    one = await get("difference/behind_1", 1)
    five = await get("difference/behind_5", 5)
    await get("difference/behind_5_total_limit_1", 5, total=1)
    await get("difference/a_week_old", 0, age=WEEK)
    if one == (DIFFERENCE, 1) and five == (TOO_LONG, 5):
        low, high = await find_edge(lambda behind: get(f"{ADAPTIVE}difference/behind_{behind}", behind), 1, 5, most=5)
        findings["account_too_long_above"] = Finding(
            value=low if high == low + 1 else None, evidence=f"{low} steps are told, {high} are too long"
        )
    else:
        findings["account_too_long_above"] = Finding(
            value=None, evidence="not asked: more than 5 steps back lie private messages"
        )
