"""What a probe asks of a channel's history: pages at their edges."""

from collections.abc import Mapping
from typing import Any

from telethon.tl import functions

from actors.telegram import probe_shape as shape
from actors.telegram.probe_asker import Asker
from actors.telegram.probe_steps import MISSING, PAGE, Findings, Target
from actors.telegram.probe_trace import Finding

FEWEST = 21
"""Posts that the steps at the edges of pages need."""

Edges = dict[str, dict[str, Any] | None]
"""Step -> arguments, ids and dates as a pair: what is written, what is asked. None where the channel is too short."""


async def history(ask: Asker, target: Target, findings: Findings) -> None:
    """Pages at their edges, told by the places of their first and last message on the newest page."""
    newest = await _page(ask, target, "history/newest", {"limit": PAGE})
    if newest is None:
        return
    target.page = list(newest.messages)
    ids = target.ids
    try:
        for step, arguments in _edges(ids).items():
            if arguments is None:
                ask.skip(step, f"the channel holds fewer than {FEWEST} posts")
            else:
                await _page(ask, target, step, arguments)
        await _page_by_date(ask, target)
    finally:
        _judge_pages(ask, ids, findings)


def _judge_pages(ask: Asker, ids: list[int], findings: Findings) -> None:
    came = {record.step: record.facts for record in ask.records if record.error is None}
    if len(ids) == PAGE:
        for name, step in (
            ("history_limit_0_is_a_page", "history/limit_0"),
            ("history_ends_at_100", "history/limit_200"),
        ):
            if step in came:
                number = came[step]["came"]
                findings[name] = Finding(value=number == PAGE, evidence=f"{step}: {number} came")
    if "history/max_id" in came:
        place = came["history/max_id"]["last_place"]
        findings["history_max_id_thins_out"] = Finding(
            value={9: True, 14: False}.get(place),
            evidence="history/max_id: whether the page moved or lost its upper half",
        )


async def _page_by_date(ask: Asker, target: Target) -> None:
    """Around a date that no neighbour has: one older and one newer message, as the start policy asks for them."""
    dates = [message.date for message in target.page]
    place = next((each for each in range(3, len(dates) - 1) if dates[each - 1] > dates[each] > dates[each + 1]), None)
    if place is None:
        ask.skip("history/by_date", "no post has a date of its own")
        return
    arguments = {"offset_date": ("of_place_0", dates[place]), "add_offset": -1, "limit": 2}
    await _page(ask, target, "history/by_date", arguments, base=place)


def _edges(ids: list[int]) -> Edges:
    top = ids[0] if ids else 0
    edges: Edges = {
        "history/from_beyond_the_top": {"offset_id": ("beyond", top + MISSING), "limit": 10},
        "history/forward_from_beyond_the_top": {"offset_id": ("beyond", top + MISSING), "add_offset": -10, "limit": 10},
        "history/below_the_bottom": {"offset_id": ("bottom", 1), "limit": 10},
        "history/forward_from_the_bottom": {"offset_id": ("bottom", 1), "add_offset": -10, "limit": 10},
        "history/limit_0": {"limit": 0},
        "history/limit_200": {"limit": 200},
        "history/add_offset": {"add_offset": 5, "limit": 10},
    }
    by_place = {
        "history/backward": ({"offset_id": 4}, 0),
        "history/forward": ({"offset_id": 9}, -10),
        "history/forward_at_the_top": ({"offset_id": 2}, -10),
        "history/max_id": ({"max_id": 4}, 0),
        "history/min_id": ({"min_id": 4}, 0),
    }
    for step, (places, add_offset) in by_place.items():
        named: dict[str, Any] = {name: (place, ids[place]) for name, place in places.items() if place < len(ids)}
        edges[step] = named | {"add_offset": add_offset, "limit": 10} if len(ids) >= FEWEST else None
    return edges


async def _page(ask: Asker, target: Target, step: str, arguments: Mapping[str, Any], *, base: int = 0) -> Any:
    """One page; places are counted from ``base`` on."""
    given = {name: value[1] if isinstance(value, tuple) else value for name, value in arguments.items()}
    request = functions.messages.GetHistoryRequest(
        peer=target.peer,
        hash=0,
        **({"offset_id": 0, "offset_date": None, "add_offset": 0, "max_id": 0, "min_id": 0} | given),
    )
    written = {name: value[0] if isinstance(value, tuple) else value for name, value in arguments.items()}

    def look(result: Any) -> shape.Facts:
        ids = target.ids or [message.id for message in result.messages]
        return shape.history_shape(result, {number: place for place, number in enumerate(ids, -base)}, pts=target.pts)

    return await ask(step, request, written, look)
