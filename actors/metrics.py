"""Every metric in one place. Names end in their unit; labels are bounded by accounts, methods and states."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from math import inf, nan
from operator import attrgetter
from time import monotonic
from typing import Protocol, get_args
from weakref import WeakSet

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.ledger import LedgerTotals
from actors.messages.ids import ENDED, PARSES, AccountState, ChannelCondition
from actors.runtime.owner import LoopOwner

FIRINGS = ("run", "overlapped", "waiting", "skipped")
LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Paced(Protocol):
    """An account's budgets."""

    def left(self, now: float) -> Iterator[tuple[str, float]]:
        """Of each method with a pace the part of its calls that may be made now, 0 to 1."""


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
        self.posts_by_road = Counter(
            "telewarden_posts_added",
            "Posts added to the database: live (pushed), catchup (fetched, for they were missing), backfill (older).",
            ("road",),
            registry=registry,
        )
        self.posts_edited = Counter("telewarden_posts_edited", "New versions of stored posts.", registry=registry)
        self.posts_deleted = Counter("telewarden_posts_deleted", "Posts marked as deleted.", registry=registry)
        self.posts_expired = Counter(
            "telewarden_posts_expired", "Posts that were let go, since they were older than kept.", registry=registry
        )
        self.posts_undecodable = Counter(
            "telewarden_posts_undecodable",
            "Messages that couldn't be read even alone, each time that one was met; their ids are kept.",
            registry=registry,
        )
        self.posts_reread = Counter(
            "telewarden_posts_reread", "Posts read again by collection.reread_after.", registry=registry
        )
        self.calls = Counter(
            "telewarden_calls", "Calls to Telegram by method and outcome.", ("method", "outcome"), registry=registry
        )
        self.flood_waits = Counter(
            "telewarden_flood_wait_seconds",
            "Seconds that Telegram told accounts to wait.",
            ("method",),
            registry=registry,
        )
        self.calls_avoided = Counter(
            "telewarden_calls_avoided",
            "Channels whose head showed that nothing happened, so that no call was made for them.",
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
        self.record_lag = Histogram(
            "telewarden_publish_to_commit_seconds",
            "From a pushed post's publication to its commit; Telegram tells the former in whole seconds.",
            buckets=(0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300, 3600),
            registry=registry,
        )
        self.firings = Counter(
            "telewarden_schedule_firings",
            "What schedules' times led to: run, overlapped (the run before went on), waiting (for its end), skipped.",
            ("result",),
            registry=registry,
        )
        self.jobs = Counter(
            "telewarden_jobs", "Parse jobs by kind and final state.", ("kind", "state"), registry=registry
        )
        # What has never happened is 0 from the start: a rate of a series that begins with its first event misses that.
        for kind, state in product(PARSES, ENDED):
            self.jobs.labels(kind=kind, state=state)
        for result in FIRINGS:
            self.firings.labels(result=result)
        self.media_files = Counter(
            "telewarden_media_files",
            "Files of posts by what became of them: stored, failed, or skipped by the rules (each post counts).",
            ("state",),
            registry=registry,
        )
        self.media_bytes = Counter("telewarden_media_bytes", "Bytes fetched of files of posts.", registry=registry)
        self.media_waiting = Gauge(
            "telewarden_media_waiting", "Files of posts that are wanted and not stored yet.", registry=registry
        )
        self.accounts = Gauge("telewarden_accounts", "User accounts by state.", ("state",), registry=registry)
        self.channels = Gauge(
            "telewarden_channels", "Channels that somebody follows, by state.", ("state",), registry=registry
        )
        self.ids = Gauge(
            "telewarden_ids",
            "Message ids below the newest of each channel, over all channels, by what is known of them.",
            ("state",),
            registry=registry,
        )
        self.posts_held = Gauge(
            "telewarden_posts", "Posts in the database, over all channels, by state.", ("state",), registry=registry
        )
        self.channels_in_doubt = Gauge(
            "telewarden_channels_in_doubt", "Channels of which something is to be read again.", registry=registry
        )
        self.oldest_doubt = Gauge(
            "telewarden_oldest_doubt_seconds", "For how long the oldest doubt has stood; 0 without.", registry=registry
        )
        self.alerts = Gauge("telewarden_alerts", "Alerts that aren't over, by kind.", ("kind",), registry=registry)
        self.alerts_raised = Counter(
            "telewarden_alerts_raised", "Alerts raised anew, by kind.", ("kind",), registry=registry
        )
        self.deliveries = Counter(
            "telewarden_deliveries",
            "What was to be brought to somebody, by what it is and whether it arrived; one that failed is tried again.",
            ("kind", "result"),
            registry=registry,
        )
        for result in ("sent", "failed"):
            self.deliveries.labels(kind="alert", result=result)
        self.budgets: WeakSet[Paced] = WeakSet()
        registry.register(BudgetCollector(self.budgets))
        self.loop_lag = Histogram(
            "telewarden_loop_lag_seconds", "How late the loop wakes.", buckets=LAG_BUCKETS, registry=registry
        )

    def alert_delivered(self, *, heard: bool) -> None:
        """One message about alerts to one person."""
        self.deliveries.labels(kind="alert", result="sent" if heard else "failed").inc()

    def call_made(self, method: str, outcome: str) -> None:
        self.calls.labels(method=method, outcome=outcome).inc()

    def flood_waited(self, method: str, seconds: float) -> None:
        self.flood_waits.labels(method=method).inc(seconds)

    def accounts_told(self, states: Iterable[AccountState] | None) -> None:
        """None while the database doesn't answer."""
        told = None if states is None else list(states)
        for state in get_args(AccountState):
            self.accounts.labels(state=state).set(nan if told is None else told.count(state))

    def channels_told(self, conditions: Mapping[ChannelCondition, int] | None) -> None:
        """None while the database doesn't answer."""
        for state in get_args(ChannelCondition):
            self.channels.labels(state=state).set(nan if conditions is None else conditions.get(state, 0))

    def ledger_told(self, totals: LedgerTotals | None) -> None:
        """None while the database doesn't answer: nobody knows then, and a number would look like knowledge."""
        ids = ("covered", "missing", "awaited", "unasked")
        for gauge, states in ((self.ids, ids), (self.posts_held, ("stored", "deleted"))):
            for state in states:
                gauge.labels(state=state).set(nan if totals is None else getattr(totals, state))
        self.channels_in_doubt.set(nan if totals is None else totals.channels_in_doubt)
        self.oldest_doubt.set(nan if totals is None else totals.oldest_doubt)

    def push_dropped(self) -> None:
        self.pushes_dropped.inc()

    def budget_begun(self, budgets: Paced) -> None:
        """Of an account that lives: it is counted as long as it does."""
        self.budgets.add(budgets)


class BudgetCollector(Collector):
    """How near accounts are to their paces: read at scrape time. A thousand accounts take some 10 ms."""

    def __init__(self, budgets: WeakSet[Paced]) -> None:
        self._budgets = budgets

    def collect(self) -> Iterator[Metric]:
        left: dict[str, float] = {}
        for budgets in tuple(self._budgets):
            for method, share in budgets.left(monotonic()):
                left[method] = min(share, left.get(method, 1.0))
        family = GaugeMetricFamily(
            "telewarden_budget_left_ratio",
            "Of the calls that an account may make now, the part that is left; of all accounts the least.",
            labels=["method"],
        )
        for method, share in sorted(left.items()):
            family.add_metric([method], share)
        yield family


class ActorCollector(Collector):
    """The actors and their mail, by class (a bounded label): read at scrape time, so idle actors cost nothing."""

    def __init__(self, owner: LoopOwner) -> None:
        self._owner = owner

    def collect(self) -> Iterator[Metric]:
        yield from self._counted_now()
        yield from self._measured()
        owner = self._owner
        yield CounterMetricFamily("telewarden_dead_letters", "Messages nobody will read.", value=owner.dead_letters)
        yield CounterMetricFamily(
            "telewarden_expired_requests",
            "Requests dropped unread because their asker had given up.",
            value=owner.expired_requests,
        )
        yield CounterMetricFamily(
            "telewarden_abandoned_jobs", "Tasks that ignored two cancellations.", value=owner.abandoned_jobs
        )

    def _counted_now(self) -> Iterator[Metric]:
        counts = sorted(self._owner.census().items())
        for name, text, value in (
            ("telewarden_actors", "Actors alive.", attrgetter("alive")),
            ("telewarden_actors_waiting", "Actors absent until their restart.", attrgetter("waiting")),
            ("telewarden_actors_parked", "Actors set aside by their supervisor.", attrgetter("parked")),
            ("telewarden_mailbox_messages", "Messages waiting in all mailboxes.", attrgetter("mail")),
            ("telewarden_mailbox_messages_max", "Messages waiting in the fullest mailbox.", attrgetter("deepest")),
        ):
            family = GaugeMetricFamily(name, text, labels=["actor"])
            for class_name, count in counts:
                family.add_metric([class_name], value(count))
            yield family

    def _measured(self) -> Iterator[Metric]:
        meters = sorted(self._owner.meters.items())
        waits = HistogramMetricFamily(
            "telewarden_mailbox_wait_seconds", "From a message's arrival to its handling.", labels=["actor"]
        )
        handling = HistogramMetricFamily(
            "telewarden_handler_seconds", "Of each message handled, its awaits included.", labels=["actor"]
        )
        restarts = CounterMetricFamily("telewarden_actor_restarts", "Restarts by supervisors.", labels=["actor"])
        failures = CounterMetricFamily("telewarden_actor_failures", "Lives that ended by an error.", labels=["actor"])
        for name, meter in meters:
            for family, durations in ((waits, meter.waiting), (handling, meter.handling)):
                buckets = [("+Inf" if bound == inf else str(bound), count) for bound, count in durations.cumulated()]
                family.add_metric([name], buckets, sum_value=durations.total)
            restarts.add_metric([name], meter.restarts)
            failures.add_metric([name], meter.failures)
        yield from (waits, handling, restarts, failures)
