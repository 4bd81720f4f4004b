"""Private messages: each side has a copy of its own, in a box of its own, with ids and pts of its own."""

from bisect import bisect_left
from dataclasses import dataclass, field

from sandbox.posts import Entity

Buttons = tuple[tuple[tuple[str, str, str], ...], ...]
"""Rows of buttons under a bot's message: `data` or `url`, the label, and the data in hex or the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One account's copy of a private message."""

    id: int
    peer: int
    out: bool
    date: int
    text: str
    entities: tuple[Entity, ...]
    reply_to: int
    twin: int
    """The id of the other side's copy."""
    pts: int
    edited: int = 0
    """When it was last edited; 0 for never."""
    buttons: Buttons = ()
    picture: str = ""
    """A JPEG or PNG in base64."""
    forwarded: tuple[int, int] | None = None
    """Channel and post."""


@dataclass(slots=True)
class Box:
    """One account's private messages. Ids and pts are the account's own and rise together."""

    letters: list[Letter] = field(default_factory=list)
    steps: list[tuple[str, int]] = field(default_factory=list)
    """What happened, a step of pts each: `new` or `edit`, and the message."""
    by_random_id: dict[tuple[int, int], Letter] = field(default_factory=dict)

    @property
    def top(self) -> int:
        return self.letters[-1].id if self.letters else 0

    @property
    def pts(self) -> int:
        """The account's common pts. Never 0: clients take that for 'unknown'."""
        return 1 + len(self.steps)

    def with_peer(self, peer: int) -> list[Letter]:
        return [letter for letter in self.letters if letter.peer == peer]

    def find(self, message_id: int) -> Letter | None:
        index = bisect_left(self.letters, message_id, key=lambda letter: letter.id)
        return self.letters[index] if index < len(self.letters) and self.letters[index].id == message_id else None

    def add(self, letter: Letter) -> None:
        self.letters.append(letter)
        self.steps.append(("new", letter.id))

    def replace(self, letter: Letter) -> None:
        index = bisect_left(self.letters, letter.id, key=lambda each: each.id)
        self.letters[index] = letter
        self.steps.append(("edit", letter.id))
