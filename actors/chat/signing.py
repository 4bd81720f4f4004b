"""Signing in through the bot: consent, a QR code as a picture that renews itself, and a link for what no chat is for.

A login code or password is never asked for here. Telegram voids a code that is sent to anybody, and what stands in a
chat stays there for whoever gets hold of the account.
"""

import io
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

import segno

from actors.chat.texts import text_of
from actors.messages.chat import Button, Note, Person
from actors.messages.ids import SignInId
from actors.messages.signin import CancelSignIn, DescribeSignIn, SignInStep, StartQrSignIn
from actors.runtime.loop import LoopOwner

CONSENT = "2026-11"
"""The version of the text ``consent``: another text, another version, and everybody is asked anew."""
WAIT = timedelta(seconds=25)


Work = Callable[[], Awaitable[None]]


class Mouth(Protocol):
    """The bot, as far as it speaks. Each raises as ``Caller``."""

    async def say(self, person: Person, note: Note) -> int:
        """The message's id."""

    async def edit(self, person: Person, message_id: int, note: Note) -> None:
        """Harmless where it says that already."""

    def beside(self, person: Person, work: Work) -> None:
        """Do what takes long; the person's next messages are answered meanwhile. It may raise what an answer may."""


MakeLink = Callable[[SignInId | None], Awaitable[str | None]]
"""Makes a one-time link to the sign-in page, where a sign-in begins or goes on; None where there is no page."""


def consent_of(person: Person) -> Note:
    language = person.language
    return Note(text=text_of("consent", language), buttons=((Button(text_of("agree", language), "agree"),),))


async def sign_in(mouth: Mouth, owner: LoopOwner, person: Person, make_link: MakeLink) -> None:
    """From the first code to the end of it, whatever that is. Takes up to ten minutes."""
    language, signin = person.language, owner.find("signin")
    buttons = _to_the_page(person, await make_link(None))
    step = await signin.call(StartQrSignIn(expected=person.user_id), timeout=90)
    message_id, shown = 0, None
    while step.state == "scan_needed":
        if step.qr_link is not None and step.qr_link != shown:
            shown = step.qr_link
            note = Note(text=text_of("scan", language), buttons=buttons, picture=picture_of(shown))
            if message_id:
                await mouth.edit(person, message_id, note)
            else:
                message_id = await mouth.say(person, note)
        step = await _next(owner, step)
    if step.state == "password_needed":
        link = await make_link(step.sign_in_id)
        text = text_of("password_on_page" if link else "password_no_page", language)
        await mouth.say(person, Note(text=text, buttons=_to_the_page(person, link)))
        if not link:
            await signin.call(CancelSignIn(sign_in_id=step.sign_in_id))
            return
        while step.state == "password_needed":
            step = await _next(owner, step)
    ended = "signed_in" if step.state == "done" else "sign_in_failed"
    await mouth.say(person, Note(text=text_of(ended, language, error=step.error or step.state)))


async def _next(owner: LoopOwner, step: SignInStep) -> SignInStep:
    """The step once it has changed, or as it was after a while."""
    question = DescribeSignIn(sign_in_id=step.sign_in_id, wait=WAIT)
    return await owner.find("signin").call(question, timeout=WAIT.total_seconds() + 15)


def _to_the_page(person: Person, link: str | None) -> tuple[tuple[Button, ...], ...]:
    return ((Button(text_of("open_page", person.language), url=link),),) if link else ()


def picture_of(link: str) -> bytes:
    png = io.BytesIO()
    segno.make(link, error="m", micro=False).save(png, kind="png", scale=8, border=4)
    return png.getvalue()
