"""A real server over a real store, with a scheduler that stands in for the one that would ask Telegram."""

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from actors.errors import JobUnknown, UserNotSignedIn, UserUnknown
from actors.messages.account import AccountSnapshot, DescribeAccount
from actors.messages.ids import JobId
from actors.messages.jobs import AwaitJob, CancelParse, DescribeJob, Job, ParseAll, ParseUser
from actors.ports import Store
from actors.runtime.actor import TaskActor
from actors.runtime.owner import LoopOwner
from actors.runtime.reply import Later
from config.model import Admin, Settings
from daemon.admin.access import Access
from daemon.admin.server import AdminServer
from daemon.keys import MasterKeys
from daemon.reloading import Reloading
from daemon.rotation import Rotation

TOKEN = "tw_" + "x" * 43
SIGNED_IN, SIGNED_OUT = 7, 8
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Unheard:
    """Stands where there is no database: what is noted there is heard by nobody."""

    async def note(self, audited):
        assert audited.who

    async def find(self, digest):
        """No token but the file's."""


NOTHING = Store(**(dict.fromkeys(field.name for field in fields(Store)) | {"access": Unheard()}))
storeless = pytest.mark.parametrize("store", [NOTHING], ids=["storeless"])
"""For tests that read nothing: a database of their own costs each more than all else they do."""


class FakeScheduler(TaskActor):
    """Knows users 7 and 8; a job is done when ``Finish`` says so."""

    def __init__(self, waiting: list[tuple[str, Later[Job]]]) -> None:
        super().__init__()
        self.jobs: dict[str, Job] = {}
        self.waiting = waiting

    def on_receive(self, message: Any) -> Any:
        match message:
            case ParseUser(account_id=7):
                return self._start("user", message.account_id)
            case ParseUser(account_id=8):
                raise UserNotSignedIn(message.account_id, "revoked")
            case ParseUser():
                raise UserUnknown(message.account_id)
            case ParseAll():
                return self._start("all", None)
            case AwaitJob() if self._find(message.job_id).state != "running" or not message.wait:
                return self._find(message.job_id)
            case AwaitJob():
                later: Later[Job] = Later()
                self.waiting.append((message.job_id, later))
                self.owner.clock.call_later(message.wait.total_seconds(), lambda: self._answer(message.job_id, later))
                return later
            case DescribeJob():
                return self._find(message.job_id)
            case CancelParse():
                return self._cancel(message.job_id)
            case "finish":
                return self._finish()

    def _start(self, kind, user_id):
        for job in self.jobs.values():
            if (job.kind, job.user_id, job.state) == (kind, user_id, "running"):
                return job
        job = Job(job_id=JobId(f"j{len(self.jobs) + 1}"), kind=kind, user_id=user_id, state="running", started_at=NOW)
        self.jobs[job.job_id] = job
        return job

    def _find(self, job_id):
        if job_id not in self.jobs:
            raise JobUnknown(job_id)
        return self.jobs[job_id]

    def _cancel(self, job_id):
        if self._find(job_id).state == "running":
            self.jobs[job_id] = replace(self.jobs[job_id], state="cancelled", finished_at=NOW)
        for waited, later in self.waiting:
            if waited == job_id:
                self._answer(job_id, later)
        return self.jobs[job_id]

    def _finish(self):
        for job_id, job in self.jobs.items():
            self.jobs[job_id] = replace(job, state="success", posts_added=47, finished_at=NOW)
        for job_id, later in self.waiting:
            self._answer(job_id, later)

    def _answer(self, job_id, later):
        if not later.done:
            later.reply(self.jobs[job_id])


class FakeAccount(TaskActor):
    """An account whose client lives on ``loop_id``."""

    def __init__(self, account_id: int, loop_id: int | None) -> None:
        super().__init__()
        self._account_id = account_id
        self._loop_id = loop_id

    def on_receive(self, message: Any) -> Any:
        assert isinstance(message, DescribeAccount)
        return AccountSnapshot(
            account_id=self._account_id, username=None, first_name="A", last_name=None, state="active",
            loop_id=self._loop_id,
        )  # fmt: skip


@dataclass
class Face:
    """The server and how tests speak to it."""

    server: AdminServer
    owner: LoopOwner
    session: aiohttp.ClientSession
    checks: dict[str, str | None]
    waiting: list[tuple[str, Later[Job]]]
    """Who waits for a job, as the scheduler keeps them."""

    async def ask(self, method, path, **options):
        """(status, decoded body, headers); every error must be a problem document that hides no trace."""
        async with self.session.request(method, self.server.url + path, **options) as answer:
            raw = await answer.read()
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert not any(name.lower().startswith("access-control-") for name in answer.headers)
            if answer.status >= 400:
                assert answer.headers["Content-Type"].startswith("application/problem+json"), (path, raw)
                assert b"Traceback" not in raw
            if method == "HEAD":
                assert raw == b""
                return answer.status, None, answer.headers
            body = await answer.json(content_type=None) if "json" in answer.headers["Content-Type"] else raw.decode()
            if answer.status >= 400:
                assert set(body) >= {"type", "title", "status", "detail"}, body
                assert body["status"] == answer.status
                assert re.search(r"\w{3}", body["detail"])
            return answer.status, body, answer.headers

    async def get(self, path, **options):
        return await self.ask("GET", path, **options)

    async def post(self, path, **options):
        return await self.ask("POST", path, **options)


@pytest_asyncio.fixture
async def owner():
    owner = LoopOwner(development=True)
    yield owner
    await owner.close()


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def serve(owner, registry):
    """A function that makes an unstarted server over a store."""

    def build(store, checks=None, *, token=TOKEN, **settings):
        admin = Admin(
            port=settings.pop("port", 0),
            trusted_peers=tuple(ip_network(net) for net in settings.pop("trusted", ("127.0.0.0/8", "::1/128"))),
            **settings,
        )

        async def ready():
            return {} if checks is None else checks

        access, in_force = Access(admin, token), Settings(admin=admin)
        return AdminServer(
            owner=owner,
            store=store,
            access=access,
            registry=registry,
            ready=ready,
            reloading=Reloading(owner=owner, store=store, settings=in_force, load=lambda: in_force),
            rotation=Rotation(MasterKeys(bytes(32)), store.accounts),
        )

    return build


@asynccontextmanager
async def facing(owner, serve, store, **settings):
    """A started server with a scheduler; loopback is trusted."""
    waiting: list[tuple[str, Later[Job]]] = []
    FakeScheduler.start(waiting, key="scheduler")
    checks: dict[str, str | None] = {"schema": None, "database": None}
    server = serve(store, checks, **settings)
    await server.start()
    async with aiohttp.ClientSession() as session:
        yield Face(server, owner, session, checks, waiting)
    await server.stop()


@pytest_asyncio.fixture
async def face(owner, serve, store):
    async with facing(owner, serve, store) as face:
        yield face
