"""Settings: frozen, complete, and strict. Durations are timedelta, secrets hide their repr."""

import hashlib
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from config.values import (
    check_cron,
    check_proxy,
    check_quiet,
    parse_duration,
    parse_network,
    parse_size,
    parse_start,
    parse_store,
    parse_timezone,
    render_duration,
)


def _written(parse: Callable[[str], Any]) -> BeforeValidator:
    """Let a value be written as a word; one that is built in code passes through."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


Duration = Annotated[timedelta, _written(parse_duration)]
"""Written as ``30s``, ``1h30m``, ``1w``."""
Size = Annotated[ByteSize, _written(parse_size)]
"""Bytes, written as ``20MiB``, ``2GB``."""
Network = Annotated[IPv4Network | IPv6Network, _written(parse_network)]


class Section(BaseModel):
    """Unknown keys are faults; nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)

    IN_WORDS: ClassVar[bool] = False
    """Whether the section may also be written as one line of words."""


class Datacenter(Section):
    """An MTProto server other than Telegram's production: its test servers, or a sandbox in another process."""

    id: int = Field(ge=1, le=255)
    address: str
    port: int = Field(ge=1, le=65535)
    public_key: str | None = None
    """RSA key in PEM (PKCS#1), or a path to one; only needed to make new auth keys."""


def _checked_proxy(url: SecretStr) -> SecretStr:
    check_proxy(url.get_secret_value())
    return url


ProxyUrl = Annotated[SecretStr, AfterValidator(_checked_proxy)]
"""``socks5://``, ``http://`` or ``tg://proxy?``; it may hold a password."""


class Proxy(Section):
    """By which some accounts connect."""

    accounts: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    url: ProxyUrl


class Telegram(Section):
    api_id: int | None = Field(default=None, ge=1, le=2**31 - 1)
    api_hash: SecretStr | None = None
    datacenter: Datacenter | None = None
    request_timeout: Duration = Field(default=timedelta(seconds=30), gt=timedelta(0))
    proxy: ProxyUrl | None = None
    """By which all accounts connect that have none of their own, sign-ins and the bot too."""
    proxies: tuple[Proxy, ...] = ()

    @field_validator("proxies")
    @classmethod
    def _one_proxy_an_account(cls, proxies: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
        for account, times in Counter(account for each in proxies for account in each.accounts).items():
            if times > 1:
                raise ValueError(f"expected one proxy for each account, got {times} for {account}")
        return proxies


class Database(Section):
    dsn: SecretStr | None = None
    """postgresql://…; null starts the embedded PostgreSQL below state_dir."""
    pool_size: int = Field(default=4, ge=2, le=50)

    @field_validator("dsn")
    @classmethod
    def _dsn_is_postgresql(cls, dsn: SecretStr | None) -> SecretStr | None:
        if dsn is not None and not dsn.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("expected an address that begins with postgresql://")
        return dsn


class Sandbox(Section):
    enabled: bool = False
    posts_dir: Path | None = None
    accounts: int = Field(default=3, ge=1, le=1000)
    channels: int = Field(default=6, ge=0, le=10_000)
    posts: int = Field(default=300, ge=0, le=1_000_000)
    rate: float = Field(default=0.0, ge=0, le=10_000)
    seed: int = 1


class Start(Section):
    """Where a newly followed channel begins; parsed from ``last N``, ``all``, ``now`` or ``since YYYY-MM-DD``."""

    policy: Literal["last", "all", "now", "since"]
    count: int | None = None
    since: date | None = None

    IN_WORDS: ClassVar[bool] = True

    @model_validator(mode="before")
    @classmethod
    def _from_words(cls, value: Any) -> Any:
        return parse_start(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_its_policy(self) -> Self:
        if (self.count is not None) != (self.policy == "last") or (self.since is not None) != (self.policy == "since"):
            raise ValueError("expected a count with 'last', a date with 'since' and neither with 'all' and 'now'")
        if self.count is not None and self.count < 1:
            raise ValueError(f"expected at least 1 post, got {self.count}")
        return self

    @property
    def words(self) -> str:
        """As it is written: ``last 100``, ``all``, ``now``, ``since 2024-01-31``."""
        return " ".join(str(part) for part in (self.policy, self.count, self.since) if part is not None)


SOONEST_REREAD = timedelta(minutes=10)
LATEST_REREAD = timedelta(weeks=52)


class Collection(Section):
    start: Start = Start(policy="last", count=100)
    follow: Literal["dialogs", "listed"] = "dialogs"
    """``dialogs``: every channel that an account belongs to; ``listed``: only those named in ``channels``."""
    channels: tuple[str, ...] = ()
    reread: int = Field(default=200, ge=0, le=10_000)
    """Newest ids of a channel that are read again where edits and deletions may have been missed."""
    reread_after: tuple[Duration, ...] = Field(default=(), max_length=10)
    """When after its publication a post is read again: its figures then, its edits, and whether it is gone."""
    takeout: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Accounts, by user id, whose owners have allowed takeout sessions: older posts are read through them."""
    raw: bool = False
    """Keep also what Telegram sent, compressed, with each stored copy of a post."""

    @field_validator("reread_after")
    @classmethod
    def _rereads_ascend(cls, plans: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        for plan in plans:
            if not SOONEST_REREAD <= plan <= LATEST_REREAD:
                raise ValueError(f"expected 10m to 52w, got {render_duration(plan)}")
        if list(plans) != sorted(set(plans)):
            raise ValueError("expected each later than the one before, such as [1h, 1d, 7d]")
        return plans


MediaKind = Literal["photo", "document", "video", "animation", "audio", "voice", "sticker"]
MEDIA_KINDS: tuple[MediaKind, ...] = get_args(MediaKind)


class MediaRule(Section):
    """Which files of a channel's posts are fetched."""

    channel: str = Field(min_length=1)
    """A name, @name, t.me link or id; ``*`` stands for every channel that no other rule names."""
    kinds: tuple[MediaKind, ...] = Field(default=MEDIA_KINDS, min_length=1)
    max_size: Size = Field(default=ByteSize(20 * 2**20), gt=0)
    protected: bool = False
    """Whether files are fetched whose channel forbids saving them (noforwards)."""


class S3(Section):
    """What isn't said here comes from the environment's AWS_… variables."""

    endpoint: str | None = Field(default=None, pattern=r"^https?://")
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None


class Media(Section):
    store: Annotated[str, _written(parse_store)] | None = Field(default=None, min_length=1)
    channels: tuple[MediaRule, ...] = ()
    """Empty: no file is fetched."""
    parallel: int = Field(default=4, ge=1, le=50)
    """Files that are fetched at the same time, each by another account."""
    s3: S3 = S3()


SHORTEST_CYCLE = timedelta(seconds=10)
"""A shorter one is a slip of the pen: no parse of many channels ends so soon."""


LONGEST_JITTER = timedelta(hours=6)

UserId = Annotated[int, Field(gt=0, lt=2**63)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]


class Group(Section):
    """Channels that schedules name together."""

    name: Name
    channels: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(min_length=1)


SHORTEST_KEEP = timedelta(days=1)


class Retention(Section):
    """How long posts are kept: of the channels it names, of those that only its users follow, or of all."""

    keep: Duration = Field(ge=SHORTEST_KEEP)
    channels: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    groups: tuple[str, ...] = ()
    users: tuple[UserId, ...] = ()

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.users and (self.channels or self.groups):
            raise ValueError("expected either 'users' or 'channels' and 'groups', not both")
        return self


class Schedule(Section):
    name: Name = "all"
    every: Duration | None = None
    cron: str | None = None
    timezone: str = "UTC"
    """The clock that ``cron`` and ``quiet`` read; ``every`` needs none."""
    users: tuple[UserId, ...] = ()
    """Whose channels are parsed, each user's by a job of its own; empty: everybody's, by one job."""
    channels: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    """Names, @names, t.me links or ids: these alone are parsed, by one job."""
    groups: tuple[str, ...] = ()
    """The same for the channels of these ``groups``."""
    jitter: Duration = Field(default=timedelta(0), ge=timedelta(0))
    """Each firing comes up to so much later, at random."""
    quiet: Annotated[str, AfterValidator(check_quiet)] | None = None
    """Hours such as ``23:00-07:00`` in which nothing is begun; what falls into them fires once, at their end."""
    overlap: Literal["skip", "wait"] = "skip"
    """What a firing does whose predecessor's run still goes on: nothing, or run as soon as that has ended."""
    catch_up: Literal["once", "none"] = "once"
    """What a start does about firings that fell into a time when no daemon ran."""

    @field_validator("every")
    @classmethod
    def _no_hurry(cls, every: timedelta | None) -> timedelta | None:
        if every is not None and every < SHORTEST_CYCLE:
            raise ValueError(f"expected at least {render_duration(SHORTEST_CYCLE)}, got {every.total_seconds():g}s")
        return every

    @field_validator("cron")
    @classmethod
    def _cron_fires(cls, cron: str | None) -> str | None:
        if cron is not None:
            check_cron(cron)
        return cron

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, timezone: str) -> str:
        parse_timezone(timezone)
        return timezone

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if (self.every is None) == (self.cron is None):
            raise ValueError("expected either 'every' or 'cron'" + ("" if self.every is None else ", not both"))
        if self.users and (self.channels or self.groups):
            raise ValueError("expected either 'users' or 'channels' and 'groups', not both")
        most = LONGEST_JITTER if self.every is None else min(LONGEST_JITTER, self.every - timedelta(seconds=1))
        if self.jitter > most:
            raise ValueError(
                f"expected a jitter of at most {render_duration(most)}, got {render_duration(self.jitter)}"
            )
        return self

    @property
    def rule(self) -> str:
        """When it fires, in one line: ``every 30m``, ``0 8 * * * (Europe/Moscow)``."""
        return f"every {render_duration(self.every)}" if self.every is not None else f"{self.cron} ({self.timezone})"


class Admin(Section):
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8010, ge=0, le=65535)
    trusted_peers: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
    """Networks served without a token, as operator."""
    allowed_hosts: tuple[str, ...] = ()
    """Host header names served beside the loopback names."""
    public_url: str | None = None
    """Where people reach this server from outside, behind a proxy that ends TLS: one-time links to the sign-in page
    begin so. Null: there is no such page."""
    socket: Path | None = None
    """A Unix socket beside the port: root and the daemon's own user are served there without a token, as admin."""
    token_file: Path | None = None
    """0600 file with the admin token; made at first start as state_dir/admin-token."""

    @field_validator("public_url")
    @classmethod
    def _public_url_is_one(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        if parts.scheme not in ({"https", "http"} if local else {"https"}) or not parts.hostname or parts.query:
            raise ValueError(f"expected an address such as https://telewarden.example.org, got {url!r}")
        return url.rstrip("/")


class Bot(Section):
    token: SecretStr | None = None


class Plan(Section):
    """What users may have."""

    name: Name
    channels: int | None = Field(default=None, ge=0)
    """Channels that a user may follow; null: no limit."""
    schedules: int | None = Field(default=None, ge=0)
    """Of the schedules that name a user, how many run for it, the first ones; null: all. Those of everybody don't
    count."""


def plan_of(name: str, plans: tuple[Plan, ...]) -> Plan:
    """The plan of that name; the default one where the settings don't know it any more."""
    known = {plan.name: plan for plan in plans}
    return known.get(name, known["default"])


class Keys(Section):
    master_key_file: Path | None = None
    """32 bytes in base64; null: credential ``master_key``, else made once as state_dir/master.key."""


class Logging(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    language: Literal["ru", "en"] = "ru"
    format: Literal["text", "json"] = "text"
    debug: bool = False
    """The contract's DEBUG_LOGS=true."""


class Settings(Section):
    state_dir: Path = Path("var")
    telegram: Telegram = Telegram()
    database: Database = Database()
    sandbox: Sandbox = Sandbox()
    collection: Collection = Collection()
    media: Media = Media()
    groups: tuple[Group, ...] = ()
    retention: tuple[Retention, ...] = ()
    """Empty: every post is kept for ever."""
    schedules: tuple[Schedule, ...] = (Schedule(every=timedelta(minutes=30)),)
    admin: Admin = Admin()
    bot: Bot = Bot()
    plans: tuple[Plan, ...] = (Plan(name="default"),)
    keys: Keys = Keys()
    logging: Logging = Logging()

    @property
    def world_dir(self) -> Path:
        """Where the embedded database lives: the state folder itself, or in sandbox mode a folder for each world.

        Other settings make another world, in which the same ids mean other posts: its rows must not meet the first's.
        """
        if not self.sandbox.enabled:
            return self.state_dir
        sandbox = self.sandbox
        name = f"seed{sandbox.seed}-{sandbox.accounts}x{sandbox.channels}x{sandbox.posts}"
        if sandbox.posts_dir is not None:
            name += f"-{hashlib.sha256(str(sandbox.posts_dir.resolve()).encode()).hexdigest()[:8]}"
        return self.state_dir / "sandbox" / name

    @property
    def media_dir(self) -> Path:
        """Where blobs lie, or with S3 only what is still on its way there."""
        store = self.media.store
        return self.world_dir / "media" if store is None or "://" in store else Path(store)

    @field_validator("groups", "schedules", "plans")
    @classmethod
    def _names_differ(cls, named: tuple[Group | Schedule | Plan, ...]) -> tuple[Group | Schedule | Plan, ...]:
        (name, times), *_ = Counter(each.name for each in named).most_common(1) or [("", 0)]
        if times > 1:
            raise ValueError(f"expected a name of its own for each, got {name!r} {times} times")
        return named

    @field_validator("plans")
    @classmethod
    def _default_plan_exists(cls, plans: tuple[Plan, ...]) -> tuple[Plan, ...]:
        if all(plan.name != "default" for plan in plans):
            raise ValueError("expected one named 'default' among them: it is everybody's who has no other")
        return plans
