"""What the bot does at each command and button: asks the store and the actors, and words what they answer."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TypeVar, get_args

from actors.chat.lists import page_of, short
from actors.chat.signing import CONSENT, MakeLink, Mouth, consent_of, sign_in
from actors.chat.texts import text_of
from actors.errors import (
    FolderUnknown,
    InviteRefused,
    LimitReached,
    NotAChannel,
    Refused,
    TryAgain,
    UserNotSignedIn,
)
from actors.messages.chat import Button, Note, Person, Pressed, Said
from actors.messages.content import Membership, Post
from actors.messages.following import FollowChannel, ImportChannels, ListFolders, UnfollowChannel
from actors.messages.ids import UP, AccountId, ChannelId, Language, SignInId
from actors.messages.jobs import AwaitJob, Job, ParseUser
from actors.messages.people import RANKS, NewInvite, SignInLink, UserRole
from actors.messages.rows import AccountRow
from actors.messages.signin import SignOut
from actors.places import Place, place_of
from actors.ports import Store
from actors.runtime.clock import pause
from actors.runtime.errors import ActorMissing
from actors.runtime.loop import LoopOwner
from actors.runtime.message import Request
from config.model import Schedule, Settings, plan_of
from config.values import render_duration

R = TypeVar("R")

WISH = 90.0
"""Seconds for a wish to get its turn in the account's line."""
GLANCE = timedelta(seconds=3)
"""Between two looks at a parse that is running: an edit of a message each, if anything has changed."""
TRIES, BETWEEN_TRIES = 4, 2.0
"""An account that just connects anew is asked again, after seconds."""
LATEST = 5
INVITED_FOR = timedelta(days=7)
MOST_USES = 100
LINKED_FOR = timedelta(minutes=30)
"""How long a one-time link to the sign-in page can be opened."""
RUNNING = frozenset({"queued", "running"})
_NAMES = 60


class Answers:
    """Answers each person in the order of what was said. Every answer is for whom it says, and for nobody else."""

    def __init__(self, *, owner: LoopOwner, store: Store, settings: Settings, mouth: Mouth) -> None:
        self._owner = owner
        self._store = store
        self.settings = settings
        self._mouth = mouth
        self.username: str | None = None
        """The bot's own, for links to it."""
        self._jobs: dict[AccountId, Job] = {}
        """Parses that were asked for here and run, by whom."""
        self._commands: Mapping[str, Callable[[Person, AccountRow, str], Awaitable[None]]] = {
            "start": self._hello,
            "help": self._help,
            "login": self._login,
            "logout": self._logout,
            "status": self._status,
            "add": self._add,
            "remove": self._remove,
            "channels": self._channels,
            "import": self._import,
            "parse": self._parse,
            "schedule": self._schedule,
            "latest": self._latest,
        }
        self._for_admins: Mapping[str, Callable[[Person, AccountRow, str], Awaitable[None]]] = {
            "invite": self._invite,
            "users": self._users,
            "accounts": self._accounts,
        }

    async def to_message(self, said: Said) -> None:
        """Raises what asking raises."""
        person = said.person
        command, argument = parse_command(said.text)
        row = await self._store.accounts.one(person.user_id)
        if row is None or row.bot:
            await self._greet_stranger(person, argument if command == "start" else "")
            return
        if person.language != row.language:
            await self._store.people.set_language(person.user_id, person.language)
        try:
            if command is not None:
                await self._do(command, person, row, argument)
            elif said.forwarded is not None:
                await self._follow(person, row, said.forwarded)
            elif (place := place_of(said.text)) is not None and (place.invite or "/" in said.text or "@" in said.text):
                await self._follow(person, row, place)
        except UserNotSignedIn as fault:
            await self._say(person, "signed_out", state=fault.state)

    async def _do(self, command: str, person: Person, row: AccountRow, argument: str) -> None:
        if command in self._for_admins:
            if RANKS[row.role] < RANKS["admin"]:
                await self._say(person, "not_allowed")
                return
            await self._for_admins[command](person, row, argument)
        else:
            await self._commands.get(command, self._unknown)(person, row, argument)

    async def to_press(self, pressed: Pressed) -> None:
        """Raises what asking raises."""
        person = pressed.person
        row = await self._store.accounts.one(person.user_id)
        if row is None or row.bot:
            return
        name, _, value = pressed.data.partition(":")
        try:
            match name:
                case "agree":
                    await self._agree(person, row)
                case "join":
                    await self._follow(person, row, Place(invite=value), join=True)
                case "drop":
                    channel, _, page = value.partition(":")
                    await self._drop(person, row, channel, said_in=pressed.message_id, page=_number(page))
                case "folder":
                    await self._import_folder(person, row, _number(value) or None)
                case "channels":
                    await self._mouth.edit(
                        person, pressed.message_id, await self._channels_page(person, row, _number(value))
                    )
                case "users" | "accounts" if RANKS[row.role] >= RANKS["admin"]:
                    rows = await self._people_page(person, name, _number(value))
                    await self._mouth.edit(person, pressed.message_id, rows)
        except UserNotSignedIn as fault:
            await self._say(person, "signed_out", state=fault.state)

    # --- coming in -------------------------------------------------------------------------------------------------

    async def _greet_stranger(self, person: Person, code: str) -> None:
        if not code or person.profile is None:
            await self._say(person, "stranger")
            return
        try:
            await self._store.people.redeem(code, person.profile, self._owner.clock.now())
        except InviteRefused as refused:
            await self._say(person, f"invite_{refused.cause}")
            return
        await self._say(person, "welcome")

    async def _hello(self, person: Person, row: AccountRow, argument: str) -> None:
        if argument and person.profile is not None:
            try:  # who is in already may come by an invite to a higher role
                invite = await self._store.people.redeem(argument, person.profile, self._owner.clock.now())
            except InviteRefused as refused:
                await self._say(person, f"invite_{refused.cause}")
                return
            if RANKS[invite.role] > RANKS[row.role]:
                await self._say(person, "welcome")
                return
        await self._say(person, "hello")

    async def _help(self, person: Person, row: AccountRow, _: str) -> None:
        text = text_of("help", person.language)
        if RANKS[row.role] >= RANKS["admin"]:
            text += text_of("help_admin", person.language)
        await self._mouth.say(person, Note(text=text))

    async def _unknown(self, person: Person, _: AccountRow, __: str) -> None:
        await self._say(person, "unknown")

    # --- signing in and out ----------------------------------------------------------------------------------------

    async def _login(self, person: Person, row: AccountRow, _: str) -> None:
        # One that connects anew, as each does once it is known which channels it reads, has a session that holds.
        if row.state in UP or (row.state == "connecting" and row.has_session):
            await self._say(person, "signed_in_already")
        elif row.state == "disabled":
            await self._say(person, "disabled")
        elif await self._store.people.consented_at(person.user_id, CONSENT) is None:
            await self._mouth.say(person, consent_of(person))
        else:
            make_link: MakeLink = lambda step: self._link(person, step)  # noqa: E731
            self._mouth.beside(person, lambda: sign_in(self._mouth, self._owner, person, make_link))

    async def _agree(self, person: Person, row: AccountRow) -> None:
        await self._store.people.consent(person.user_id, CONSENT, "bot")
        await self._login(person, row, "")

    async def _link(self, person: Person, goes_on: SignInId | None) -> str | None:
        url = self.settings.admin.public_url
        if url is None:
            return None
        token = secrets.token_urlsafe(24)
        link = SignInLink(user_id=person.user_id, sign_in_id=goes_on)
        await self._store.people.make_link(token, link, self._owner.clock.now() + LINKED_FOR)
        return f"{url}/login/{token}"

    async def _logout(self, person: Person, row: AccountRow, _: str) -> None:
        if not row.has_session:
            await self._say(person, "signed_out", state=row.state)
            return
        confirmed = await self._owner.find("signin").call(SignOut(account_id=person.user_id), timeout=WISH)
        await self._say(person, "signed_out_now" if confirmed else "signed_out_here")

    # --- how things are --------------------------------------------------------------------------------------------

    async def _status(self, person: Person, row: AccountRow, _: str) -> None:
        language = person.language
        job = self._jobs.get(person.user_id)
        running = (
            text_of("idle", language)
            if job is None
            else text_of("running", language, done=job.channels_done, total=job.channels_total)
        )
        text = text_of(
            "status",
            language,
            state=row.state,
            channels=row.channels,
            limit=self._limit_text(row, language),
            job=running,
        )
        if RANKS[row.role] >= RANKS["admin"]:
            text += await self._status_for_admins(language)
        await self._mouth.say(person, Note(text=text))

    async def _status_for_admins(self, language: Language) -> str:
        users = [row for row in await self._store.accounts.all() if not row.bot]
        channels = await self._store.channels.all()
        return text_of(
            "status_admin",
            language,
            up=sum(row.state in UP for row in users),
            users=len(users),
            channels=len(channels),
            posts=sum(row.posts for row in channels),
            alerts=sum((await self._store.alerts.open_counts()).values()),
        )

    async def _schedule(self, person: Person, row: AccountRow, _: str) -> None:
        language = person.language
        own = [each for each in self.settings.schedules if person.user_id in each.users]
        most = plan_of(row.plan, self.settings.plans).schedules
        theirs = [
            each
            for each in self.settings.schedules
            if each in own[:most] or not (each.users or each.channels or each.groups)
        ]
        if not theirs:
            await self._say(person, "no_schedule")
            return
        lines = [schedule_text(each, language) for each in theirs]
        await self._mouth.say(person, Note(text="\n".join([text_of("schedule", language), *lines])))

    async def _latest(self, person: Person, row: AccountRow, argument: str) -> None:
        names = {each.channel_id: name_of(each.username, each.title) for each in await self._memberships(row)}
        wanted = list(names)
        if argument:
            found = await self._store.channels.by_name(argument)
            wanted = [found.channel_id] if found is not None and found.channel_id in names else []
        posts = await self._store.posts.latest(wanted, limit=LATEST)
        if not posts:
            await self._say(person, "no_posts")
            return
        await self._mouth.say(person, Note(text="\n\n".join(post_text(each, names[each.channel_id]) for each in posts)))

    # --- parsing ---------------------------------------------------------------------------------------------------

    async def _parse(self, person: Person, _: AccountRow, __: str) -> None:
        job: Job = await self._owner.find("scheduler").call(ParseUser(account_id=person.user_id))
        self._mouth.beside(person, lambda: self._tell_progress(person, job))

    async def _tell_progress(self, person: Person, job: Job) -> None:
        """Edited into one message."""
        language = person.language
        self._jobs[person.user_id] = job
        try:
            told = text_of("started", language)
            message_id = await self._mouth.say(person, Note(text=told))
            while job.state in RUNNING:
                wait = AwaitJob(job_id=job.job_id, wait=GLANCE)
                job = await self._owner.find("scheduler").call(wait, timeout=GLANCE.total_seconds() + 15)
                self._jobs[person.user_id] = job
                text = job_text(job, language)
                if text != told:
                    told = text
                    await self._mouth.edit(person, message_id, Note(text=text))
        finally:
            self._jobs.pop(person.user_id, None)

    # --- channels --------------------------------------------------------------------------------------------------

    async def _add(self, person: Person, row: AccountRow, argument: str) -> None:
        place = place_of(argument)
        if place is None:
            await self._say(person, "add_how")
        else:
            await self._follow(person, row, place)

    async def _follow(self, person: Person, row: AccountRow, place: Place, *, join: bool = False) -> None:
        limit = plan_of(row.plan, self.settings.plans).channels
        try:
            found = await self._wish(row, FollowChannel(place=place, join=join, limit=limit))
        except LimitReached as fault:
            await self._say(person, "limit", limit=fault.limit)
            return
        except NotAChannel:
            await self._say(person, "no_channel")
            return
        except Refused as fault:
            await self._say(person, "refused", cause=fault.cause)
            return
        buttons: tuple[tuple[Button, ...], ...] = ()
        if found.state == "join_needed" and place.invite is not None:
            buttons = ((Button(text_of("join", person.language), f"join:{place.invite}"),),)
        text = text_of(found.state, person.language, channel=name_of(found.username, found.title))
        await self._mouth.say(person, Note(text=text, buttons=buttons))

    async def _remove(self, person: Person, row: AccountRow, argument: str) -> None:
        channel = await self._store.channels.by_name(argument) if argument and len(argument) <= _NAMES else None
        if channel is None:
            await self._say(person, "remove_how")
            return
        was = await self._wish(row, UnfollowChannel(channel_id=channel.channel_id))
        name = name_of(channel.username, channel.title)
        await self._say(person, "removed" if was else "not_followed", channel=name)

    async def _drop(self, person: Person, row: AccountRow, channel: str, *, said_in: int, page: int) -> None:
        await self._wish(row, UnfollowChannel(channel_id=ChannelId(_number(channel))))
        dropped = ChannelId(_number(channel))
        await self._mouth.edit(person, said_in, await self._channels_page(person, row, page, without=dropped))

    async def _channels(self, person: Person, row: AccountRow, _: str) -> None:
        await self._mouth.say(person, await self._channels_page(person, row, 0))

    async def _channels_page(
        self, person: Person, row: AccountRow, page: int, without: ChannelId | None = None
    ) -> Note:
        theirs = [each for each in await self._memberships(row) if each.channel_id != without]
        if not theirs:
            return Note(text=text_of("no_channels", person.language))
        theirs.sort(key=lambda each: each.title.casefold())
        limit = self._limit_text(row, person.language)
        rows = [
            (
                f"• {name_of(each.username, each.title)}",
                Button(f"✖ {short(name_of(each.username, each.title))}", f"drop:{each.channel_id}:{page}"),
            )
            for each in theirs
        ]
        return page_of(text_of("channels", person.language, total=len(theirs), limit=limit), rows, page, "channels")

    async def _import(self, person: Person, row: AccountRow, _: str) -> None:
        folders = await self._wish(row, ListFolders())
        buttons = [(Button(text_of("all_dialogs", person.language), "folder:0"),)]
        buttons += [(Button(f"📁 {short(each.title)}", f"folder:{each.folder_id}"),) for each in folders]
        await self._mouth.say(person, Note(text=text_of("folders", person.language), buttons=tuple(buttons)))

    async def _import_folder(self, person: Person, row: AccountRow, folder_id: int | None) -> None:
        limit = plan_of(row.plan, self.settings.plans).channels
        try:
            done = await self._wish(row, ImportChannels(folder_id=folder_id, limit=limit))
        except FolderUnknown:
            await self._say(person, "no_folder")
            return
        over = text_of("over_limit", person.language, over=done.over_limit) if done.over_limit else ""
        await self._say(person, "imported", followed=done.followed, already=done.already, over=over)

    async def _memberships(self, row: AccountRow) -> list[Membership]:
        return list(await self._store.channels.memberships(row.account_id))

    async def _wish(self, row: AccountRow, wish: Request[R]) -> R:
        """Raises: UserNotSignedIn; TryAgain where the account connects for longer than a person would wait."""
        for left in reversed(range(TRIES)):
            try:
                return await self._owner.find(f"account/{row.account_id}").call(wish, timeout=WISH)
            except ActorMissing:
                raise UserNotSignedIn(row.account_id, row.state) from None
            except TryAgain:
                if not left:
                    raise
                await pause(self._owner.clock, BETWEEN_TRIES)
        raise AssertionError("the last try answers or raises")

    def _limit_text(self, row: AccountRow, language: Language) -> str:
        limit = plan_of(row.plan, self.settings.plans).channels
        return "" if limit is None else text_of("of_limit", language, limit=limit)

    # --- administrators --------------------------------------------------------------------------------------------

    async def _invite(self, person: Person, row: AccountRow, argument: str) -> None:
        role, uses = invite_terms(argument)
        if role is None or RANKS[role] > RANKS[row.role]:
            await self._say(person, "invite_how" if role is None else "not_allowed")
            return
        code = secrets.token_urlsafe(16)
        expires_at = self._owner.clock.now() + INVITED_FOR
        await self._store.people.invite(
            NewInvite(code=code, role=role, uses=uses, expires_at=expires_at, created_by=person.user_id)
        )
        link = f"https://t.me/{self.username}?start={code}"
        await self._say(person, "invite", days=INVITED_FOR.days, uses=uses, link=link, code=code)

    async def _users(self, person: Person, _: AccountRow, __: str) -> None:
        await self._mouth.say(person, await self._people_page(person, "users", 0))

    async def _accounts(self, person: Person, _: AccountRow, __: str) -> None:
        await self._mouth.say(person, await self._people_page(person, "accounts", 0))

    async def _people_page(self, person: Person, name: str, page: int) -> Note:
        people = [row for row in await self._store.accounts.all() if not row.bot]
        tell = user_text if name == "users" else account_text
        rows = [(tell(row), None) for row in people]
        return page_of(text_of(name, person.language, total=len(people)), rows, page, name)

    async def _say(self, person: Person, name: str, **fields: object) -> None:
        await self._mouth.say(person, Note(text=text_of(name, person.language, **fields)))


# --- plain functions -----------------------------------------------------------------------------------------------


def parse_command(text: str) -> tuple[str | None, str]:
    """The command, lower case and without the bot's name, and what stands after it; None for no command."""
    if not text.startswith("/"):
        return None, ""
    word, _, rest = text[1:].strip().partition(" ")
    return word.partition("@")[0].casefold(), rest.strip()


def invite_terms(argument: str) -> tuple[UserRole | None, int]:
    """The role and the uses that ``/invite`` asks for: nothing, a number, a role, or both; None for anything else."""
    role: UserRole = "user"
    uses = 1
    for word in argument.split():
        if word in get_args(UserRole):
            role = word  # type: ignore[assignment]  # one of them
        elif word.isascii() and word.isdecimal() and 1 <= int(word) <= MOST_USES:
            uses = int(word)
        else:
            return None, 0
    return role, uses


def name_of(username: str | None, title: str) -> str:
    return f"@{username}" if username else title


def job_text(job: Job, language: Language) -> str:
    if job.state in RUNNING:
        return text_of("progress", language, done=job.channels_done, total=job.channels_total, added=job.posts_added)
    return text_of("done" if job.state == "success" else "failed", language, added=job.posts_added)


def schedule_text(schedule: Schedule, language: Language) -> str:
    if schedule.every is not None:
        return "• " + text_of("every", language, every=render_duration(schedule.every))
    return "• " + text_of("cron", language, cron=schedule.cron, timezone=schedule.timezone)


def post_text(post: Post, channel: str) -> str:
    date = "" if post.date is None else f"{post.date:%d.%m %H:%M} UTC"
    return f"{channel}, {date}\n{short(post.text, 300) or '🖼'}"


def user_text(row: AccountRow) -> str:
    name = name_of(row.username, row.first_name or str(row.account_id))
    return f"• {name} ({row.account_id}): {row.role}, {row.plan}, {row.state}"


def account_text(row: AccountRow) -> str:
    name = name_of(row.username, row.first_name or str(row.account_id))
    cause = f", {short(row.cause, 60)}" if row.cause else ""
    return f"• {name}: {row.state} · {row.state_since:%d.%m %H:%M} UTC{cause}"


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
