"""What the control interface takes: one model per request, strict, so that a mistake is told and not guessed around."""

import base64
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sandbox.codec.entities import ENTITY_KINDS
from sandbox.plans import MAX_ID
from sandbox.posts import File, Post

MAX_AT_ONCE = 100_000

Ref = int | str
"""An id or a username (a phone too, for an account)."""
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Share = Annotated[float, Field(ge=0, le=1)]
Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Entities = tuple[tuple[str, int, int, str], ...]
Media = Literal[
    "", "photo", "document", "video", "animation", "audio", "voice", "sticker", "poll", "webpage", "geo", "unknown"
]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileBody(Body):
    name: str = ""
    mime: str = ""
    size: int = Field(0, ge=0, le=4 * 2**30)
    width: int = Field(0, ge=0, le=10_000)
    height: int = Field(0, ge=0, le=10_000)
    duration: float = Field(0.0, ge=0, le=10**9)


class Draft(Body):
    """A post to be: everything but its id and date."""

    text: str = Field("", max_length=100_000)
    entities: Entities = ()
    media: Media = ""
    file: FileBody | None = None
    service: Literal["", "create", "title", "pin", "photo", "join"] = ""
    reply_to: int = Field(0, ge=0, le=MAX_ID)
    grouped_id: int = Field(0, ge=0, lt=2**63)
    views: int = Field(1, ge=0, le=MAX_ID)
    forwards: int = Field(0, ge=0, le=MAX_ID)
    forwarded_from: str = ""
    forwarded_post: tuple[Annotated[int, Field(ge=1, lt=2**40)], Id] | None = None
    author: str = ""
    sender: int = Field(0, ge=0, lt=2**63)
    thread: int = Field(0, ge=0, le=MAX_ID)
    reactions: dict[str, Annotated[int, Field(ge=0, le=MAX_ID)]] = {}

    @model_validator(mode="after")
    def _check_content(self) -> Self:
        if self.service and (self.text or self.media or self.grouped_id or self.reactions or self.forwards):
            raise ValueError("a service message has no text, media, album, reactions or forwards")
        check_entities(self.text, self.entities)
        return self

    def post(self, at: int, post_id: int) -> Post:
        fields: dict[str, Any] = self.model_dump(exclude={"file", "reactions"})
        file = File(**self.file.model_dump()) if self.file else None
        return Post(id=post_id, date=at, file=file, reactions=tuple(self.reactions.items()), **fields)


def check_entities(text: str, entities: Entities) -> None:
    """Raises ValueError for an entity that no message could carry."""
    length = len(text.encode("utf-16-le")) // 2
    for kind, offset, size, argument in entities:
        if kind not in ENTITY_KINDS:
            raise ValueError(f"{kind!r} is no kind of entity: {', '.join(sorted(ENTITY_KINDS))}")
        if offset < 0 or size < 1 or offset + size > length:
            raise ValueError(f"the {kind} at {offset}, {size} UTF-16 units long, isn't within the text")
        if kind in ("custom_emoji", "mention_name") and not (argument.isdecimal() and int(argument) < 2**63):
            raise ValueError(f"a {kind} needs a number as its argument")


class PostsBody(Body):
    channel: Ref
    text: str | None = Field(None, max_length=100_000)
    posts: tuple[Draft, ...] = Field((), max_length=MAX_AT_ONCE)
    count: int | None = Field(None, ge=0, le=MAX_AT_ONCE)
    silent: bool = False

    @model_validator(mode="after")
    def _check_something(self) -> Self:
        if self.count == 0 and not self.drafts:
            raise ValueError("nothing to publish: give text, posts or a count above 0")
        return self

    @property
    def drafts(self) -> tuple[Draft, ...]:
        return (Draft(text=self.text), *self.posts) if self.text is not None else self.posts

    @property
    def generated(self) -> int:
        return int(not self.drafts) if self.count is None else self.count


class EditBody(Body):
    channel: Ref
    id: Id
    text: str = Field(max_length=100_000)
    entities: Entities = ()
    hidden: bool = False
    silent: bool = False

    @model_validator(mode="after")
    def _check_entities(self) -> Self:
        check_entities(self.text, self.entities)
        return self


class DeleteBody(Body):
    channel: Ref
    ids: tuple[int, ...] = Field(max_length=MAX_AT_ONCE)
    silent: bool = False


class FiguresBody(Body):
    channel: Ref
    id: Id
    views: int | None = Field(None, ge=0, le=MAX_ID)
    forwards: int | None = Field(None, ge=0, le=MAX_ID)
    reactions: dict[str, Annotated[int, Field(ge=0, le=MAX_ID)]] | None = None


class FoundBody(Body):
    title: str = Field(min_length=1, max_length=128)
    username: str | None = None
    group_of: Ref | None = None
    first_id: Id = 1


class AlterBody(Body):
    username: str | None = None
    """'' takes it away."""
    title: str | None = Field(None, min_length=1, max_length=128)
    noforwards: bool | None = None
    silent: bool | None = None
    approval: bool | None = None
    new_invite: bool = False


class MemberBody(Body):
    channel: Ref
    account: Ref
    standing: Literal["member", "left", "banned", "waiting"]
    silent: bool = False


class AccountBody(Body):
    password: str | None = None
    """'' takes it away."""
    dc_id: int | None = None


class TokenBody(Body):
    account: Ref
    token: str
    """As the QR code has it: base64 for URLs, alone or in a tg://login link."""

    @model_validator(mode="after")
    def _check_token(self) -> Self:
        try:
            self.bytes()
        except ValueError as error:
            raise ValueError("token: base64 for URLs is expected, as in tg://login?token=…") from error
        return self

    def bytes(self) -> bytes:
        text = self.token.rpartition("token=")[2]
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


class RevokeBody(Body):
    error: Literal[
        "AUTH_KEY_UNREGISTERED",
        "AUTH_KEY_DUPLICATED",
        "SESSION_REVOKED",
        "SESSION_EXPIRED",
        "USER_DEACTIVATED",
        "USER_DEACTIVATED_BAN",
    ] = "SESSION_REVOKED"
    key: str = ""
    """Only the stable session of this name; '' for all."""


class LetterBody(Body):
    sender: Ref
    receiver: Ref
    text: str = Field(min_length=1, max_length=4096)


class FolderBody(Body):
    account: Ref
    id: int = Field(ge=2, le=255)
    title: str = Field(min_length=1, max_length=12)
    channels: tuple[Ref, ...] = ()


class ErrorBody(Body):
    code: int = Field(ge=-999, le=999)
    message: str = Field(min_length=1)


class FaultBody(Body):
    method: str = Field(min_length=1)
    account: Ref | None = None
    channel: Ref | None = None
    skip: int = Field(0, ge=0)
    count: int | None = Field(None, ge=0)
    share: Share = 1.0
    seed: int = 1
    delay: Seconds = 0.0
    error: ErrorBody | None = None
    drop: bool = False
    lose: bool = False
    after: Seconds = 0.0
    lasts: Seconds = 0.0
    every: Seconds = 0.0

    @model_validator(mode="after")
    def _check_harm(self) -> Self:
        if not (self.error or self.drop or self.lose or self.delay):
            raise ValueError("a fault needs a delay, an error, drop or lose")
        if self.every and not 0 < self.lasts <= self.every:
            raise ValueError("a fault that comes every so often must last a part of that: give lasts")
        return self

    @property
    def times(self) -> int:
        """How often it strikes: once, or without end when a schedule or a share says how much."""
        scheduled = self.lasts or self.share < 1
        return (0 if scheduled else 1) if self.count is None else self.count


class FilesBody(Body):
    dc_id: Literal[203, 204]


class DropBody(Body):
    down: Seconds = 0.0


class ClockBody(Body):
    skew: float | None = Field(None, ge=-(10**8), le=10**8)
    leap: Annotated[float, Field(ge=0, le=10**8)] | None = None


class PushesBody(Body):
    loss: Share = 0.0
    double: Share = 0.0
    reorder: Share = 0.0
    too_long: Share = 0.0
    bare: Share = 0.0
    seed: int = 1
    account: Ref | None = None
    channel: Ref | None = None


class LimitsBody(Body):
    enforce: Literal["usual", "none"] | dict[str, tuple[tuple[int, int], ...]] | None = None
    """By method: calls and seconds; None leaves them as they are."""
    one_connection_per_key: bool | None = None


class SwitchesBody(Body):
    difference_pts: bool | None = None
    too_long_above: int | None = None
    too_long_after: int | None = None
    peer_batch_fails: bool | None = None
    max_joined: int | None = None
    account_too_long_above: int | None = None
