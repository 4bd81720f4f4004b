"""Values that are written as words: durations, start policies, networks, schedules."""

import re
from datetime import UTC, date, datetime, time, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(?:[0-9]{1,9}[smhdw])+")
_LONGEST = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """``30s``, ``30m``, ``2h``, ``1d``, ``1w``, or several at once: ``1h30m``. At most ten years.

    Raises:
        ValueError: anything else. ``1M`` might mean a month or a minute and a bare number any unit: both are refused.
    """
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise ValueError(f"expected a duration such as 30m, got {shown(text)} without a unit (s, m, h, d or w)")
    if not _DURATION.fullmatch(text):
        raise ValueError(f"expected a duration such as 30m, got {shown(text)}")
    seconds = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhdw])", text))
    if seconds > _LONGEST.total_seconds():
        raise ValueError(f"expected at most {_LONGEST.days}d, got {shown(text)}")
    return timedelta(seconds=seconds)


def render_duration(value: timedelta) -> str:
    """The shortest text that ``parse_duration`` reads back to the same whole seconds."""
    left, parts = int(value.total_seconds()), ""
    for unit, size in reversed(_UNITS.items()):
        count, left = divmod(left, size)
        parts += f"{count}{unit}" if count else ""
    return parts or "0s"


_PROXY = "socks5://user:password@host:1080, http://host:3128 or tg://proxy?server=host&port=443&secret=…"
_SECRET = re.compile(r"(dd)?[0-9a-f]{32}", re.IGNORECASE)


def check_proxy(url: str) -> None:
    """Raises: ValueError for what is no address of a proxy; its text holds no part of it."""
    parts = urlsplit(url)
    if parts.scheme == "tg":
        told = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.netloc != "proxy" or not told.get("server") or not told.get("port", "").isdecimal():
            raise ValueError(f"expected a proxy such as {_PROXY}")
        if told.get("secret", "")[:2].lower() == "ee":
            raise ValueError("an MTProxy whose secret begins with ee hides as TLS, which Telethon can't: use another")
        if not _SECRET.fullmatch(told.get("secret", "")):
            raise ValueError("expected the secret of an MTProxy as 32 hexadecimal digits, with or without dd before it")
        return
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in {"socks5", "http"} or not parts.hostname or port is None or parts.path not in {"", "/"}:
        raise ValueError(f"expected a proxy such as {_PROXY}")


_SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZE = re.compile(rf"([0-9]{{1,13}})\s?({'|'.join(_SIZES)})")
_LARGEST = 2**42


def parse_size(text: str) -> int:
    """``20MiB``, ``2GB``, ``500B``: whole bytes, at most 4 TiB.

    Raises:
        ValueError: anything else. A bare number may be bytes or megabytes and ``20M`` two things: both are refused.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a size such as 20MiB (units: {', '.join(_SIZES)}), got {shown(text)}")
    size = int(found[1]) * _SIZES[found[2]]
    if size > _LARGEST:
        raise ValueError(f"expected at most {_LARGEST // 2**30}GiB, got {shown(text)}")
    return size


def render_size(value: int) -> str:
    """The shortest text in binary units that ``parse_size`` reads back to the same number."""
    unit = next(unit for unit in ("GiB", "MiB", "KiB", "B") if value % _SIZES[unit] == 0)
    return f"{value // _SIZES[unit]}{unit}"


def parse_store(text: str) -> str:
    """A folder's path, or ``s3://bucket`` with an optional ``/prefix``.

    Raises:
        ValueError: an address of another kind, or one without a bucket.
    """
    if "://" in text and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s?#]*)?", text):
        raise ValueError(f"expected a folder or s3://bucket/prefix, got {shown(text)}")
    return text


def parse_start(text: str) -> dict[str, str | int | date]:
    """``last 100``, ``all``, ``now`` or ``since 2024-01-31``, as the fields of ``Start``."""
    expected = f"expected 'last 100', 'all', 'now' or 'since 2024-01-31', got {shown(text)}"
    match text.split():
        case ["all" | "now" as policy]:
            return {"policy": policy}
        case ["last", count] if re.fullmatch(r"[1-9][0-9]{0,8}", count):
            return {"policy": "last", "count": int(count)}
        case ["since", day] if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
            try:
                return {"policy": "since", "since": date.fromisoformat(day)}
            except ValueError:
                raise ValueError(expected) from None
    raise ValueError(expected)


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """``10.0.0.0/8``, ``::1/128`` or one address."""
    try:
        return ip_network(text)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(f"expected {ip_network(text, strict=False)}, got {shown(text)}") from None
        raise ValueError(f"expected a network such as 172.28.0.0/16, got {shown(text)}") from None


def parse_timezone(name: str) -> ZoneInfo:
    """A zone of the IANA database (of the system's, else of the tzdata package)."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValueError(f"expected a time zone such as Europe/Moscow, got {shown(name)}") from None


def check_cron(expression: str) -> None:
    """Raises: ValueError unless it is five fields that fire at some time."""
    expected = f"expected five cron fields such as '*/30 * * * *', got {shown(expression)}"
    if len(expression.split()) != 5:
        raise ValueError(expected)
    try:
        next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(f"{expected}: {error}") from None
    except StopIteration:
        raise ValueError(f"{shown(expression)} never fires") from None


def bare_name(name: str) -> str:
    """A channel's name as settings may write it (``@Name``, ``https://t.me/name``, ``-100123``), as it is compared."""
    bare = name.strip().casefold().removeprefix("https://").removeprefix("http://")
    bare = bare.removeprefix("t.me/").removeprefix("@").rstrip("/")
    return bare.removeprefix("-100") if bare.removeprefix("-100").isdecimal() else bare


_QUIET = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


def parse_quiet(text: str) -> tuple[time, time]:
    """``23:00-07:00``: the first minute of the hours, and the first one after them. At most a day less a minute.

    Raises:
        ValueError: anything else.
    """
    found = _QUIET.fullmatch(text)
    if found is None:
        raise ValueError(f"expected quiet hours such as 23:00-07:00, got {shown(text)}")
    begin, end = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
    if begin == end:
        raise ValueError(f"expected quiet hours that end at another time than they begin, got {shown(text)}")
    return begin, end


def check_quiet(text: str) -> str:
    """The text as it is. Raises: ValueError, as ``parse_quiet``."""
    parse_quiet(text)
    return text


def shown(value: object) -> str:
    """A value as a fault shows it; long ones are cut."""
    text = render_duration(value) if isinstance(value, timedelta) else repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
