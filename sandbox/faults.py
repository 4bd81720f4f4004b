"""What goes wrong on purpose: with requests by rule and by schedule, with pushes from a seed."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

HELD = 0.25
"""Seconds after which a push that was held back goes by itself."""


@dataclass(slots=True, kw_only=True)
class Rule:
    """One fault. Of the calls that match while its schedule lets it act, the first `skip` pass, the next suffer."""

    method: str
    """`messages.getHistory`, or `*` for any."""
    account: int | None = None
    channel: int | None = None
    skip: int = 0
    count: int = 1
    """How many calls suffer before the rule is spent; 0 for no end."""
    share: float = 1.0
    """The part of them that does, chosen from `seed`; the others pass."""
    seed: int = 1
    delay: float = 0.0
    error: tuple[int, str] | None = None
    drop: bool = False
    """The connection ends before the call is carried out."""
    lose: bool = False
    """The call is carried out, and the connection ends before its answer is sent."""
    after: float = 0.0
    """Seconds from `born` on during which it doesn't act."""
    lasts: float = 0.0
    """Seconds that it acts; 0 for ever."""
    every: float = 0.0
    """Seconds from one beginning to the next; 0 for once."""
    born: float = 0.0
    hits: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def acts(self, now: float) -> bool:
        """Whether the schedule lets it act."""
        since = now - self.born - self.after
        if since < 0:
            return False
        if self.every:
            since %= self.every
        return not self.lasts or since < self.lasts

    def matches(self, method: str, account: int, channels: Sequence[int]) -> bool:
        return (
            self.method in (method, "*")
            and self.account in (None, account)
            and (self.channel is None or self.channel in channels)
            and (self.skip > 0 or not self.count or self.hits < self.count)
        )

    def strikes(self) -> bool:
        """Count one matching call; whether it suffers."""
        if self.skip:
            self.skip -= 1
            return False
        if self.share < 1.0 and self._random.random() >= self.share:
            return False
        self.hits += 1
        return True


@dataclass(slots=True)
class Faults:
    rules: list[Rule] = field(default_factory=list)

    def strike(self, method: str, account: int, channels: Sequence[int], now: float) -> Rule | None:
        """The rule that this call suffers from, if any; the first that strikes wins, those before it have counted."""
        for rule in self.rules:
            if rule.matches(method, account, channels) and rule.acts(now) and rule.strikes():
                return rule
        return None


@dataclass(slots=True, kw_only=True)
class Turbulence:
    """What befalls pushes: each part is the share of them, chosen from the seed, that it befalls."""

    loss: float = 0.0
    double: float = 0.0
    reorder: float = 0.0
    """Held back until the next one has gone, or for HELD seconds when none comes."""
    too_long: float = 0.0
    """Replaced by updateChannelTooLong, as the service does when a channel is busy."""
    bare: float = 0.0
    """Comes without the chats and users that it names, so without their access hashes; apart from the others."""
    seed: int = 1
    account: int | None = None
    channel: int | None = None
    happened: Counter[str] = field(default_factory=Counter)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Raises ValueError when the parts are more than the whole."""
        parts = (self.loss, self.double, self.reorder, self.too_long)
        if any(part < 0 for part in parts) or sum(parts) > 1:
            raise ValueError("loss, double, reorder and too_long are parts of 1, together at most 1")
        if not 0 <= self.bare <= 1:
            raise ValueError("bare is a part of 1")
        self._random = random.Random(self.seed)

    def strips(self, account: int, channel: int) -> bool:
        """Whether one push to one session comes bare."""
        if not self.bare or self.account not in (None, account) or self.channel not in (None, channel):
            return False
        bare = self._random.random() < self.bare
        self.happened["bare"] += bare
        return bare

    def fate(self, account: int, channel: int) -> str:
        """`loss`, `double`, `reorder`, `too_long` or '' for one push to one session; channel 0: a private message."""
        if self.account not in (None, account) or self.channel not in (None, channel):
            return ""
        roll = self._random.random()
        for name in ("loss", "double", "reorder", "too_long"):
            part = getattr(self, name)
            if roll < part:
                if name == "too_long" and not channel:
                    return ""
                self.happened[name] += 1
                return name
            roll -= part
        return ""
