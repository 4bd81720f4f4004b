"""Jobs about one channel over HTTP: begin a backfill or a verification."""

from datetime import date, timedelta
from typing import Literal, Self

from aiohttp import web
from pydantic import Field, field_validator, model_validator

from actors.errand import AwaitErrand, Errand, StartBackfill, StartVerify
from actors.messages.ids import ENDED
from actors.runtime.message import Request
from config.model import Start
from daemon.admin.access import Role
from daemon.admin.asking import ASK_TIMEOUT, Ending, ask, find_channel, query, respond
from daemon.admin.bodies import Body, body
from daemon.admin.params import WAIT, Whole
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

KEY = "errands"
MESSAGE_ID_MAX = 2**31 - 1
POSTS_MOST = 100_000_000
FROM = Whole(
    name="from", about="The lowest id to compare; without it the lowest that is covered.", low=1, high=MESSAGE_ID_MAX
)
TO = Whole(name="to", about="The highest id to compare; without it the newest.", low=1, high=MESSAGE_ID_MAX)
WISHES = '{"all": true}, {"since": "2024-01-31"} or {"posts": 500}'


class BackfillWish(Body):
    """One of the three."""

    all: Literal[True] | None = None
    """Every older post."""
    since: str | None = None
    """Those from this day on, such as 2024-01-31."""
    posts: int | None = Field(default=None, ge=1, le=POSTS_MOST)
    """So many older ones."""

    @field_validator("since")
    @classmethod
    def _is_a_day(cls, text: str | None) -> str | None:
        try:
            date.fromisoformat(text or "2024-01-31")
        except ValueError:
            raise ValueError(f"must be a day such as 2024-01-31, not {(text or '')[:40]!r}") from None
        return text

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self.model_fields_set) != 1 or (self.all, self.since, self.posts) == (None, None, None):
            raise ValueError(f"must be one of {WISHES}")
        return self

    @property
    def start(self) -> Start:
        if self.posts is not None:
            return Start(policy="last", count=self.posts)
        return (
            Start(policy="all") if self.since is None else Start(policy="since", since=date.fromisoformat(self.since))
        )


async def backfill(request: web.Request) -> web.Response:
    """202 with the job; the same wish, while it runs, is answered by the same job, another by 409."""
    wait = WAIT.given(query(request))
    row = await find_channel(request, request.match_info["channel"])
    wish = (await body(request, BackfillWish)).start
    return await begin(request, StartBackfill(channel_id=row.channel_id, wish=wish), wait)


async def verify(request: web.Request) -> web.Response:
    """202 with the job; its result says what differed."""
    params = query(request)
    wait, low, high = WAIT.given(params), FROM.given(params), TO.given(params)
    if low is not None and high is not None and low > high:
        raise Problem(400, f"Query parameter 'from' ({low}) must not be greater than 'to' ({high})", parameter="from")
    row = await find_channel(request, request.match_info["channel"])
    return await begin(request, StartVerify(channel_id=row.channel_id, low=low, high=high), wait)


async def begin(request: web.Request, message: Request[Errand], wait: float | None) -> web.Response:
    """202 with the job at once, or 200 when it is done within ``wait`` seconds."""
    errand = await ask(request, KEY, message)
    if wait is not None and errand.state not in ENDED:
        question = AwaitErrand(job_id=errand.job_id, wait=timedelta(seconds=wait))
        try:
            errand = await ask(request, KEY, question, timeout=wait + ASK_TIMEOUT)
        except Ending:
            return answer(errand, 202)
    return answer(errand, 200 if wait is not None and errand.state in ENDED else 202)


def answer(errand: Errand, status: int) -> web.Response:
    return respond(errand, status=status, headers={"Location": f"/jobs/{errand.job_id}"} if status == 202 else None)


ROUTES = (
    Route(
        "POST",
        "/channels/{channel}/backfill",
        backfill,
        Role.OPERATOR,
        Errand,
        query=(WAIT,),
        body=BackfillWish,
        status=(200, 202),
        problems=(409,),
    ),
    Route(
        "POST",
        "/channels/{channel}/verify",
        verify,
        Role.OPERATOR,
        Errand,
        query=(FROM, TO, WAIT),
        status=(200, 202),
        problems=(409,),
    ),
)
