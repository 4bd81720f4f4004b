"""The catalogue of the log: every event that an operator may grep for, with its wording in each language.

Names and fields are stable and never translated; ``daemon.logs`` renders the wording that ``logging.language`` asks
for, or JSON. The lines of the contract go to the logger ``parser_service``.
"""

import logging
from dataclasses import dataclass
from typing import Any

CONTRACT = "parser_service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    name: str
    level: int = logging.INFO
    logger: str = CONTRACT
    ru: str
    """A ``str.format`` template over the event's fields."""
    en: str
    debug_only: bool = False
    """Shown only with the contract's DEBUG_LOGS=true (``logging.debug``), at its own level."""
    also: tuple[str, ...] = ()
    """Fields that the wording doesn't tell, and JSON does: what the line belongs to."""


CATALOGUE: dict[str, Event] = {}


def _event(
    name: str,
    *,
    ru: str,
    en: str,
    level: int = logging.INFO,
    logger: str = CONTRACT,
    debug_only: bool = False,
    also: tuple[str, ...] = (),
) -> Event:
    event = Event(name=name, level=level, logger=logger, ru=ru, en=en, debug_only=debug_only, also=also)
    CATALOGUE[name] = event
    return event


def emit(event: Event, *, exc_info: BaseException | None = None, **fields: Any) -> None:
    """Log an event with its fields. Never pass phones, tokens, keys or message text."""
    logging.getLogger(event.logger).log(
        event.level, event.name, extra={"event": event, "fields": fields}, exc_info=exc_info
    )


BOT_STARTED = _event(
    "bot_started", ru="🤖 Telegram Bot запущен в async task", en="🤖 Telegram Bot started in an async task"
)
SERVICE_READY = _event("service_ready", ru="✅ ParserService инициализирован", en="✅ ParserService initialised")
POSTS_ADDED = _event(
    "posts_added",
    ru="✅ ParserService: {channel} - добавлено {count} постов",
    en="✅ ParserService: {channel} - added {count} posts",
    also=("job_id", "channel_id"),
)
SCHEDULE_SKIPPED = _event(
    "schedule_skipped",
    level=logging.WARNING,
    ru="⚠️ Расписание {schedule}: для пользователя {account_id} не выполнено: {cause}",
    en="⚠️ Schedule {schedule}: not run for user {account_id}: {cause}",
)
SCHEDULE_OVERLAPPED = _event(
    "schedule_overlapped",
    ru="⏳ Расписание {schedule}: предыдущий сбор ещё идёт ({job_id}); правило: {overlap}",
    en="⏳ Schedule {schedule}: the run before it still goes on ({job_id}); rule: {overlap}",
)
PARSE_FINISHED = _event(
    "parse_finished",
    ru="✅ ParserService: Парсинг завершен. Всего добавлено {count} постов",
    en="✅ ParserService: parse finished. Added {count} posts in all",
    also=("job_id", "user_id", "schedule"),
)
PARSE_FAILED = _event(
    "parse_failed",
    level=logging.WARNING,
    ru="⚠️ ParserService: Парсинг завершен с ошибками: {error}",
    en="⚠️ ParserService: parse finished with errors: {error}",
    also=("job_id", "user_id", "schedule"),
)
PARSE_CANCELLED = _event(
    "parse_cancelled",
    ru="🛑 ParserService: Парсинг отменён. Добавлено {count} постов",
    en="🛑 ParserService: parse cancelled. Added {count} posts",
    also=("job_id", "user_id", "schedule"),
)
CLIENT_CREATED = _event(
    "client_created",
    debug_only=True,
    ru="✅ Client {account_id} создан в event loop {loop_id}",
    en="✅ Client {account_id} created in event loop {loop_id}",
)
PARSE_TASK_CREATED = _event(
    "parse_task_created",
    debug_only=True,
    ru="📅 ParserService: Задача парсинга создана в текущем event loop",
    en="📅 ParserService: parse task created in the current event loop",
    also=("job_id",),
)
CLIENT_REUSED = _event(
    "client_reused",
    debug_only=True,
    ru="♻️ Используем существующий клиент {account_id} в loop {loop_id}",
    en="♻️ Using the existing client {account_id} in loop {loop_id}",
)
ADMIN_LISTENING = _event(
    "admin_listening",
    logger="telewarden",
    ru="🌐 Админка слушает на {url}",
    en="🌐 Admin listens on {url}",
)
SANDBOX_STARTED = _event(
    "sandbox_started",
    logger="telewarden",
    ru="🧪 Песочница: дата-центр {address}:{port}, управление {control}",
    en="🧪 Sandbox: data centre {address}:{port}, control {control}",
)
STOOD_STILL = _event(
    "stood_still",
    level=logging.WARNING,
    logger="telewarden",
    ru="⏸ Процесс стоял {seconds} с: ничего не отправляется, пока база не скажет, что он ещё владелец",
    en="⏸ The process stood still for {seconds} s: nothing is sent until the database says that it is still the owner",
)
TAKEN_OVER = _event(
    "taken_over",
    level=logging.WARNING,
    logger="telewarden",
    ru="🤝 База взята у другого демона: {seconds:.0f} с ожидания, чтобы он это заметил",
    en="🤝 The database is taken from another daemon: waiting {seconds:.0f} s so that it notices",
)
DATABASE_AWAITED = _event(
    "database_awaited",
    logger="telewarden",
    level=logging.WARNING,
    ru="⏳ Жду базу данных: {error}",
    en="⏳ Waiting for the database: {error}",
)
DATABASE_READY = _event(
    "database_ready", logger="telewarden", ru="🗄 PostgreSQL готов: {where}", en="🗄 PostgreSQL is ready: {where}"
)
SIGNED_IN = _event(
    "signed_in",
    logger="telewarden",
    ru="🔑 Пользователь {account_id} в сети, каналов: {channels}",
    en="🔑 User {account_id} is signed in, channels: {channels}",
)
SIGNED_OUT = _event(
    "signed_out",
    logger="telewarden",
    ru="🔒 Пользователь {account_id} вышел, сессия удалена",
    en="🔒 User {account_id} is signed out, the session is deleted",
)
ACCOUNT_DISABLED = _event(
    "account_disabled",
    logger="telewarden",
    ru="⏸ Пользователь {account_id} отключён оператором, сессия сохранена",
    en="⏸ User {account_id} is disabled by the operator, the session is kept",
)
USER_REMOVED = _event(
    "user_removed",
    logger="telewarden",
    ru="🗑 Пользователь {account_id} удалён; каналов без читателей: {channels}, удалено постов: {posts}",
    en="🗑 User {account_id} is removed; channels that nobody follows: {channels}, posts deleted: {posts}",
)
ALERT_RAISED = _event(
    "alert_raised",
    level=logging.WARNING,
    logger="telewarden",
    ru="🚨 {kind}, {about}: {cause}",
    en="🚨 {kind}, {about}: {cause}",
)
ALERT_ENDED = _event("alert_ended", logger="telewarden", ru="✅ {kind}, {about}: позади", en="✅ {kind}, {about}: over")
ACCOUNT_PARKED = _event(
    "account_parked",
    level=logging.WARNING,
    logger="telewarden",
    ru="⛔ Пользователь {account_id} остановлен ({state}): {cause}",
    en="⛔ User {account_id} is parked ({state}): {cause}",
)
CHANNEL_LOST = _event(
    "channel_lost",
    level=logging.WARNING,
    logger="telewarden",
    ru="⚠️ Канал {channel_id} недоступен пользователю {account_id}: {cause}",
    en="⚠️ Channel {channel_id} can't be read by user {account_id}: {cause}",
)
CHANNEL_QUARANTINED = _event(
    "channel_quarantined",
    level=logging.WARNING,
    logger="telewarden",
    ru="⛔ Канал {channel_id} остановлен: {cause}",
    en="⛔ Channel {channel_id} is quarantined: {cause}",
)
FLOOD_WAITED = _event(
    "flood_waited",
    level=logging.WARNING,
    logger="telewarden",
    ru="⏳ Пользователь {account_id} ждёт {seconds} с перед {method}",
    en="⏳ User {account_id} waits {seconds} s before {method}",
)
POST_UNDECODABLE = _event(
    "post_undecodable",
    level=logging.WARNING,
    logger="telewarden",
    ru="⚠️ Сообщение {message_id} канала {channel_id} не сохранить: {cause}",
    en="⚠️ Message {message_id} of channel {channel_id} can't be kept: {cause}",
)
STORE_UNAVAILABLE = _event(
    "store_unavailable",
    level=logging.WARNING,
    logger="telewarden",
    ru="⚠️ PostgreSQL недоступен, повтор через {seconds} с: {cause}",
    en="⚠️ PostgreSQL can't be reached, again in {seconds} s: {cause}",
)
FILE_FAILED = _event(
    "file_failed",
    level=logging.WARNING,
    logger="telewarden",
    ru="⚠️ Файл {file_key} сообщения {message_id} канала {channel_id} не получить: {cause}",
    en="⚠️ File {file_key} of message {message_id} of channel {channel_id} can't be had: {cause}",
)
BLOBS_UNAVAILABLE = _event(
    "blobs_unavailable",
    level=logging.WARNING,
    logger="telewarden",
    ru="⚠️ Хранилище файлов недоступно, повтор через {seconds} с: {cause}",
    en="⚠️ The store of files can't be used, again in {seconds} s: {cause}",
)
BACKFILL_STARTED = _event(
    "backfill_started",
    logger="telewarden",
    ru="⏪ {channel}: начата загрузка истории, сообщений до {ids}, задание {job_id}",
    en="⏪ {channel}: backfill begins, up to {ids} messages, job {job_id}",
)
BACKFILL_RESUMED = _event(
    "backfill_resumed",
    logger="telewarden",
    ru="⏪ {channel}: загрузка истории продолжается, задание {job_id}",
    en="⏪ {channel}: backfill goes on, job {job_id}",
)
BACKFILL_PROGRESS = _event(
    "backfill_progress",
    logger="telewarden",
    ru="⏪ {channel}: история {percent} %, постов {posts}, {rate} в секунду, конец {end}",
    en="⏪ {channel}: backfill at {percent} %, {posts} posts, {rate} a second, ends {end}",
)
ERRAND_FINISHED = _event(
    "errand_finished",
    logger="telewarden",
    ru="🏁 {kind} {channel}: {state}, добавлено из истории {posts}",
    en="🏁 {kind} {channel}: {state}, {posts} posts from history",
)
VERIFY_DIFFERED = _event(
    "verify_differed",
    level=logging.WARNING,
    logger="telewarden",
    ru="⚠️ {channel}: проверка нашла расхождения {found}, исправлено {mended}",
    en="⚠️ {channel}: the verification found differences {found}, mended {mended}",
)
POSTS_EXPIRED = _event(
    "posts_expired",
    logger="telewarden",
    ru="🧹 {channel}: удалено {count} постов старше {days} дней",
    en="🧹 {channel}: let go of {count} posts older than {days} days",
    also=("channel_id",),
)
FILES_REMOVED = _event(
    "files_removed",
    logger="telewarden",
    ru="🧹 Удалено файлов, которых больше нет ни в одном посте: {count}",
    en="🧹 Removed {count} files that no post carries any more",
)
AUDITED = _event(
    "audited",
    logger="telewarden",
    ru="📋 {who}: {method} {path}, ответ {status}",
    en="📋 {who}: {method} {path}, answered {status}",
)
SETTINGS_RELOADED = _event(
    "settings_reloaded",
    logger="telewarden",
    ru="🔁 Настройки перечитаны: изменено {changed}",
    en="🔁 Settings reloaded: {changed} changed",
)
SETTING_CHANGED = _event(
    "setting_changed",
    logger="telewarden",
    ru="🔧 {path}: {before} -> {after}",
    en="🔧 {path}: {before} -> {after}",
    also=("takes",),
)
RELOAD_REFUSED = _event(
    "reload_refused",
    level=logging.ERROR,
    logger="telewarden",
    ru="❌ Настройки не перечитаны, действуют прежние: {cause}",
    en="❌ Settings not reloaded, those in force stay: {cause}",
)
RESTART_NEEDED = _event(
    "restart_needed",
    level=logging.WARNING,
    logger="telewarden",
    ru="⚠️ После перезапуска изменится ещё {count}: {paths}",
    en="⚠️ {count} more change after a restart: {paths}",
)
CHANNELS_DROPPED = _event(
    "channels_dropped",
    level=logging.WARNING,
    logger="telewarden",
    ru="⚠️ По новым настройкам больше не собираются каналы, {count}: {channels}",
    en="⚠️ By the new settings {count} channels are collected no more: {channels}",
)
STOPPING = _event("stopping", logger="telewarden", ru="🛑 Остановка: {reason}", en="🛑 Stopping: {reason}")
STOPPED = _event("stopped", logger="telewarden", ru="👋 Остановлен", en="👋 Stopped")
