"""What the real service does in cases where it couldn't be asked: each way of it can be chosen."""

from dataclasses import dataclass

MAX_TOO_LONG_ABOVE = 200
"""Events are kept for at least 256 steps of a channel; a difference can't be promised beyond them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """The defaults are what collectors and client libraries report most."""

    difference_pts: bool = True
    """Whether updates inside a channel's difference carry the pts of their own step; if not, the difference's end."""
    too_long_above: int = 100
    """A channel that moved further than this many steps of pts is answered with channelDifferenceTooLong."""
    too_long_after: int = 0
    """The same for a pts that is more than this many seconds old; 0 for any age."""
    peer_batch_fails: bool = True
    """Whether one unreachable peer fails a whole messages.getPeerDialogs; if not, it is left out."""
    max_joined: int = 500
    """Channels and groups that one account can be in; beyond, joining is answered with CHANNELS_TOO_MUCH."""
    account_too_long_above: int = 0
    """An account that missed more private messages than this is answered with differenceTooLong; 0 for never."""

    def __post_init__(self) -> None:
        """Raises ValueError for numbers out of range."""
        if self.max_joined < 0:
            raise ValueError("max_joined: 0 or more is expected")
        if not 1 <= self.too_long_above <= MAX_TOO_LONG_ABOVE:
            raise ValueError(f"too_long_above: a number from 1 to {MAX_TOO_LONG_ABOVE} is expected")
        if self.too_long_after < 0 or self.account_too_long_above < 0:
            raise ValueError("too_long_after and account_too_long_above: 0 or more is expected")
