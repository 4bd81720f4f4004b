"""Every metric in one place. Names end in their unit; labels are bounded by accounts, methods and states."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.runtime.owner import LoopOwner

LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Counts what happened. Takes its registry: production passes the global one, tests a fresh one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.posts_parsed = Counter(
            "telethon_posts_parsed", "Posts added to the database by any road.", registry=registry
        )
        self.event_loop_errors = Counter(
            "telethon_event_loop_errors",
            "Attempts to reach an actor from a loop that isn't its own; each was refused before anything was queued.",
            registry=registry,
        )
        self.posts_edited = Counter("telewarden_posts_edited", "New versions of stored posts.", registry=registry)
        self.posts_deleted = Counter("telewarden_posts_deleted", "Posts marked as deleted.", registry=registry)
        self.calls = Counter(
            "telewarden_calls", "Calls to Telegram by method and outcome.", ("method", "outcome"), registry=registry
        )
        self.flood_waits = Counter(
            "telewarden_flood_wait_seconds",
            "Seconds that Telegram told accounts to wait.",
            ("method",),
            registry=registry,
        )
        self.pushes_dropped = Counter(
            "telewarden_pushes_dropped",
            "Pushes that found no room or no actor; their ids stay uncovered and are fetched later.",
            registry=registry,
        )
        self.record_posts = Histogram(
            "telewarden_record_batch_posts",
            "Posts per commit.",
            buckets=(1, 5, 20, 50, 100, 200, 500, 1000, 2000),
            registry=registry,
        )
        self.record_seconds = Histogram(
            "telewarden_record_commit_seconds", "Time of one commit of posts and coverage.", registry=registry
        )
        self.jobs = Counter(
            "telewarden_jobs", "Parse jobs by kind and final state.", ("kind", "state"), registry=registry
        )
        self.loop_lag = Histogram(
            "telewarden_loop_lag_seconds", "How late the loop wakes.", buckets=LAG_BUCKETS, registry=registry
        )

    def call_made(self, method: str, outcome: str) -> None:
        self.calls.labels(method=method, outcome=outcome).inc()

    def flood_waited(self, method: str, seconds: float) -> None:
        self.flood_waits.labels(method=method).inc(seconds)

    def push_dropped(self) -> None:
        self.pushes_dropped.inc()


class ActorCollector(Collector):
    """Actors alive and mail waiting, by actor class: read at scrape time, so idle actors cost nothing."""

    def __init__(self, owner: LoopOwner) -> None:
        self._owner = owner

    def collect(self) -> Iterator[Metric]:
        alive: dict[str, int] = {}
        waiting: dict[str, int] = {}
        for actor in self._owner.snapshot():
            alive[actor.class_name] = alive.get(actor.class_name, 0) + 1
            waiting[actor.class_name] = waiting.get(actor.class_name, 0) + actor.mailbox_depth
        actors = GaugeMetricFamily("telewarden_actors", "Actors alive by class.", labels=["actor"])
        mail = GaugeMetricFamily("telewarden_mailbox_messages", "Messages waiting by actor class.", labels=["actor"])
        for name, count in sorted(alive.items()):
            actors.add_metric([name], count)
            mail.add_metric([name], waiting[name])
        yield actors
        yield mail
        dead = GaugeMetricFamily("telewarden_dead_letters", "Messages that found their actor dead.")
        dead.add_metric([], self._owner.dead_letters)
        yield dead
