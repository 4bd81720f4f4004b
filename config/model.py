"""Settings: frozen, complete, and strict. Durations are timedelta, secrets hide their repr."""

from datetime import date, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Section(BaseModel):
    """Unknown keys are faults; nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)


class Datacenter(Section):
    """An MTProto server other than Telegram's production: its test servers, or a sandbox in another process."""

    id: int = Field(ge=1, le=255)
    address: str
    port: int = Field(ge=1, le=65535)
    public_key: str | None = None
    """RSA key in PEM (PKCS#1), or a path to one; only needed to make new auth keys."""


class Telegram(Section):
    api_id: int | None = Field(default=None, ge=1)
    api_hash: SecretStr | None = None
    datacenter: Datacenter | None = None
    request_timeout: timedelta = timedelta(seconds=30)


class Database(Section):
    dsn: SecretStr | None = None
    """postgresql://…; null starts the embedded PostgreSQL below state_dir."""
    pool_size: int = Field(default=4, ge=2, le=50)


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


class Collection(Section):
    start: Start = Start(policy="last", count=100)
    follow: Literal["dialogs", "listed"] = "dialogs"
    """``dialogs``: every channel that an account belongs to; ``listed``: only those named in ``channels``."""
    channels: tuple[str, ...] = ()


class Schedule(Section):
    name: str = Field(default="all", pattern=r"^[A-Za-z0-9_-]{1,40}$")
    every: timedelta | None = None
    cron: str | None = None
    timezone: str = "UTC"


class Admin(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8010, ge=0, le=65535)
    trusted_peers: tuple[IPv4Network | IPv6Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
    """Networks served without a token, as operator."""
    allowed_hosts: tuple[str, ...] = ()
    """Host header names served beside the loopback names."""
    token_file: Path | None = None
    """0600 file with the admin token; made at first start as state_dir/admin-token."""


class Bot(Section):
    token: SecretStr | None = None


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
    schedules: tuple[Schedule, ...] = (Schedule(every=timedelta(minutes=30)),)
    admin: Admin = Admin()
    bot: Bot = Bot()
    keys: Keys = Keys()
    logging: Logging = Logging()
