"""The log: the contract's text form or JSON, in the operator's language, with every secret taken out.

Text is ``LEVEL:logger:message``, traceback lines after it. JSON has one object a line with the keys ``timestamp``,
``level``, ``logger``, ``event`` (stable name, null for plain records), ``message`` and ``fields``, and ``exception``
where there was one.
"""

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, TextIO
from urllib.parse import parse_qs, unquote, urlsplit

from pythonjsonlogger.core import RESERVED_ATTRS, LogData
from pythonjsonlogger.json import JsonFormatter

from actors.log import Event
from config.model import Logging, Settings

HIDDEN = "[hidden]"
_SHORTEST_SECRET = 6
"""A known value shorter than this stands in too many innocent words."""


def setup_logging(settings: Logging, stream: TextIO | None = None, *, secrets: Iterable[str] = ()) -> None:
    """Send the root logger to ``stream`` (stderr) as the settings say; a second call replaces the first.

    ``secrets`` are values that must never be printed, whatever they look like; ``secrets_of`` knows the settings'.
    """
    redact = Redactor(secrets)
    formatter: logging.Formatter = Text(settings.language, redact)
    if settings.format == "json":
        formatter = JsonLines(settings.language, redact)
    if stream is None and is_journal(sys.stderr):
        formatter = Prioritised(formatter)
    handler = _Handler(_as_utf8(stream or sys.stderr))
    handler.setFormatter(formatter)
    handler.addFilter(_Shown(debug=settings.debug))
    handler.addFilter(Repeated())
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    level = logging.getLevelNamesMapping()[settings.level]
    root.setLevel(level)
    # Telethon's INFO names servers and its DEBUG prints whole requests, phone numbers and codes among them.
    logging.getLogger("telethon").setLevel(max(logging.WARNING, level))


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """The settings' secret values, for ``setup_logging``."""
    held = (
        settings.telegram.api_hash,
        settings.bot.token,
        settings.database.dsn,
        settings.media.s3.secret_access_key,
    )
    values = [secret.get_secret_value() for secret in held if secret is not None]
    # Of the DSN only the password is secret, and the pattern for addresses finds it wherever the address stands whole.
    password = [match[1] for value in values for match in re.finditer(r"^postgres(?:ql)?://[^:/]*:(.+)@", value)]
    return (*(value for value in values if "://" not in value), *password, *_of_proxies(settings))


def _of_proxies(settings: Settings) -> Iterator[str]:
    """Their passwords, as they are and as they are written in an address, and the secrets of MTProxies."""
    urls = [settings.telegram.proxy, *(each.url for each in settings.telegram.proxies)]
    for parts in (urlsplit(url.get_secret_value()) for url in urls if url is not None):
        yield from {parts.password, unquote(parts.password)} if parts.password else ()
        yield from parse_qs(parts.query).get("secret", ())


class Redactor:
    """Takes secrets out of a text, by their known values and by their looks.

    Bare numbers stay, whatever their length: the contract's lines name Telegram ids and loop ids.
    """

    _PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
        (re.compile(r"(\bpostgres(?:ql)?://[^\s:/@]*):\S{0,1000}@"), rf"\1:{HIDDEN}@"),
        (re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]{0,20}://[^\s:/@]*):[^\s/@]*@"), rf"\1:{HIDDEN}@"),
        (re.compile(r"\btw_[A-Za-z0-9_-]{16,}"), f"tw_{HIDDEN}"),
        # A bot token: its id is public and says which bot it was.
        (re.compile(r"(?<!\d)(\d{6,12}):[A-Za-z0-9_-]{30,}"), rf"\1:{HIDDEN}"),
        # Session strings and auth keys in base64: Telethon's shortest has 353 characters, a bare auth key 342.
        (re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{200,}={0,2}"), HIDDEN),
        # api_hash has 32 hexadecimal digits, auth keys and digests have more; letters among them, or it is a number.
        (re.compile(r"(?<![0-9A-Za-z])(?=\d*[a-fA-F])[0-9a-fA-F]{32,}(?![0-9A-Za-z])"), HIDDEN),
        (
            re.compile(
                r"\b((?:password|passwd|api_hash|auth_key|access_hash|phone_code_hash|master_key|bot_token)"
                r"""['"]?\s*(?:=|:(?=\s*['"]))\s*b?['"]?)[^\s'",;&)}\]]+"""
            ),
            rf"\1{HIDDEN}",
        ),
        (re.compile(r"""(\bphone(?:_number)?['"]?\s*[=:]\s*['"]?)\+?\d{3,}(\d\d)\b"""), r"\1…\2"),
        # International phone numbers: a plus, no leading zero, 8 to 15 digits. After a digit a plus is a time zone's.
        (re.compile(r"(?<!\d)\+[1-9](?:[ ().-]{0,2}\d){5,12}[ ().-]{0,2}(\d)[ ().-]{0,2}(\d)(?!\d)"), r"+…\1\2"),
    )

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({value for value in secrets if len(value) >= _SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for pattern, replacement in self._PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def deeply(self, value: Any) -> Any:
        """The same for all the strings inside a value."""
        match value:
            case str():
                return self(value)
            case Mapping():
                return {self.deeply(key): self.deeply(held) for key, held in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.deeply(held) for held in value]
            case None | bool() | int() | float():
                return value
            case _:
                return self(str(value))


def wording(record: logging.LogRecord, language: Literal["ru", "en"]) -> str:
    """An event in the language's words; a plain record's own message."""
    event = getattr(record, "event", None)
    if not isinstance(event, Event):
        return record.getMessage()
    template = event.ru if language == "ru" else event.en
    return template.format(**{name: _in_one_line(value) for name, value in _fields(record).items()})


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}


def _in_one_line(value: Any) -> Any:
    """Text from outside, such as a channel's name, must not forge a line of its own or steer a terminal."""
    if not isinstance(value, str):
        return value
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), value)


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Text(logging.Formatter):
    """``LEVEL:logger:message``."""

    def __init__(self, language: Literal["ru", "en"], redact: Redactor) -> None:
        super().__init__()
        self._language = language
        self._redact = redact

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        return f"{record.levelname}:{record.name}:{wording(record, self._language)}"

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


class JsonLines(JsonFormatter):
    """One object a line; the keys never change with the language."""

    def __init__(self, language: Literal["ru", "en"], redact: Redactor) -> None:
        super().__init__(timestamp=True, json_ensure_ascii=False)
        self._language = language
        self._redact = redact

    def add_fields(self, log_data: LogData, record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        held = getattr(record, "event", None)
        event = held if isinstance(held, Event) else None
        found: LogData = {}
        super().add_fields(found, record, message_dict)
        log_data["timestamp"] = found["timestamp"].isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        log_data["event"] = event.name if event else None
        log_data["message"] = self._redact(wording(record, self._language))
        log_data["fields"] = self._redact.deeply(_fields(record) if event else _extra(record))
        if "exc_info" in found:
            log_data["exception"] = self._redact(found["exc_info"])


def is_journal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether systemd reads this stream into its journal: it says which one that is, by device and inode."""
    try:
        told = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{told.st_dev}:{told.st_ino}"


class Prioritised(logging.Formatter):
    """Begins each line with its level as the journal wants it: ``<3>``; the journal takes that away again."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        mark = f"<{priority(record.levelno)}>"
        return "\n".join(mark + line for line in self._inner.format(record).splitlines())


def priority(level: int) -> int:
    """syslog's: 2 critical, 3 error, 4 warning, 6 info, 7 debug."""
    for least, number in ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6)):
        if level >= least:
            return number
    return 7


REPEATS = 20
"""Warnings and errors of one kind that are printed within ``REPEATS_WITHIN`` seconds; the rest is counted."""
REPEATS_WITHIN = 60.0
_KINDS = 1000


class Repeated(logging.Filter):
    """Lets the first of what is repeated pass, and then says how often it was left out.

    A kind is what has the same logger, level, event or wording, account, channel and job: a thousand accounts that fail
    are a thousand kinds, and one that fails a thousand times is one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        kind = (record.name, record.levelno, record.msg, *_concerned(record))
        now = self._clock()
        since, count = self._kinds.get(kind, (now, 0))
        if now - since >= REPEATS_WITHIN:
            left_out, since, count = count - REPEATS, now, 0
            if left_out > 0:
                text = f"{left_out} more like the next one were left out of the log within a minute"
                logging.getLogger(__name__).warning("%s", text)
        if len(self._kinds) >= _KINDS and kind not in self._kinds:
            del self._kinds[next(iter(self._kinds))]
        self._kinds[kind] = (since, count + 1)
        return count < REPEATS


def _concerned(record: logging.LogRecord) -> tuple[object, ...]:
    fields = _fields(record)
    return tuple(fields.get(name, getattr(record, name, None)) for name in ("account_id", "channel_id", "job_id"))


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    """What a plain record carried in ``extra``: account_id, channel_id and the like."""
    return {key: value for key, value in vars(record).items() if key not in _OWN and not key.startswith("_")}


_OWN = {*RESERVED_ATTRS, "message", "asctime", "taskName"}


class _Shown(logging.Filter):
    """Keeps the contract's debugging lines back until DEBUG_LOGS asks for them."""

    def __init__(self, *, debug: bool) -> None:
        super().__init__()
        self._debug = debug

    def filter(self, record: logging.LogRecord) -> bool:
        event = getattr(record, "event", None)
        return self._debug or not (isinstance(event, Event) and event.debug_only)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to stderr and survives its end: a daemon must not die of a reader that went away."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        error = sys.exc_info()[1]
        if isinstance(error, BrokenPipeError):
            _to_nowhere(self.stream)
        elif not isinstance(error, OSError) and not self.stream.closed and record.name != __name__:
            # The standard handler would print the record's arguments, secrets included.
            text = f"a record of logger {record.name} can't be printed: {type(error).__name__}"
            self.emit(logging.LogRecord(__name__, logging.ERROR, __file__, 0, text, (), None))


def _to_nowhere(stream: TextIO) -> None:
    """Point the stream's descriptor to /dev/null, or Python's own flush at exit fails once more and exits with 120."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return


def _as_utf8(stream: TextIO) -> TextIO:
    """The log is Russian whatever the locale says: under LC_ALL=C stderr would print escapes instead."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace")
    return stream
