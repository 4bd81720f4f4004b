"""The server that the suite talks to: known by its address and RSA key, and by nothing else.

Without any of the variables below each test has a sandbox of its own, and is told of it only what another process would
be told: where it listens, its key, and the URL of its control interface. With them it is any other MTProto server:

    TELEWARDEN_CONFORMANCE_ADDRESS   host:port, an IP address (names would have to be looked up)
    TELEWARDEN_CONFORMANCE_DC        the number of its data centre; 203 when not given
    TELEWARDEN_CONFORMANCE_KEY       a file with its RSA public key, PEM as PKCS#1
    TELEWARDEN_CONFORMANCE_CONTROL   URL of a control interface as docs/sandbox.md has it
    TELEWARDEN_CONFORMANCE_SESSION   a StringSession that is signed in
    TELEWARDEN_CONFORMANCE_CHANNEL   username of a channel with posts, which that account may read

What a test needs and the server doesn't offer, it is skipped for, with the reason. Without a control interface nothing
is changed, nobody is written to, and what is read is compared with itself only. docs/conformance.md has examples.
"""

import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from telethon.network import ConnectionTcpFull

from sandbox.client import Sandbox
from sandbox.world import DC_ID

PREFIX = "TELEWARDEN_CONFORMANCE_"


class TargetError(ValueError):
    """The environment names no server that could be used."""


class OutsideRefused(RuntimeError):
    """A client wanted to leave for another address than the target's. Not an OSError: those are tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Empty texts: the server doesn't offer it."""

    address: str
    port: int
    dc_id: int = DC_ID
    key: Callable[[], str] | None = None
    """The public key's PEM. A sandbox makes it when it's first asked for, which takes a tenth of a second."""
    control: str = ""
    session: str = ""
    channel: str = ""
    is_own: bool = False
    """Made for one test, so that nothing needs to be put back."""

    @classmethod
    def of_sandbox(cls, dc: Sandbox) -> Self:
        """A sandbox as it looks from outside."""
        return cls(address=dc.address, port=dc.port, key=lambda: dc.public_key, control=dc.control_url, is_own=True)

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """None when no address is given. Raises TargetError."""
        said = {name.removeprefix(PREFIX): text for name, text in environment.items() if name.startswith(PREFIX)}
        unknown = said.keys() - {"ADDRESS", "DC", "KEY", "CONTROL", "SESSION", "CHANNEL"}
        if unknown:
            raise TargetError(f"{PREFIX}{min(unknown)} is not known; tests/conformance/target.py lists what is")
        if not said:
            return None
        host, _, port = said.get("ADDRESS", "").rpartition(":")
        host = host.strip("[]")
        try:
            ipaddress.ip_address(host)
            place = {"address": host, "port": int(port), "dc_id": int(said.get("DC", DC_ID))}
        except ValueError as error:
            raise TargetError(f"{PREFIX}ADDRESS must be an IP address and a port, {PREFIX}DC a number") from error
        pem = _read(Path(said["KEY"])) if "KEY" in said else ""
        return cls(
            **place,
            key=(lambda: pem) if pem else None,
            control=said.get("CONTROL", "").rstrip("/"),
            session=said.get("SESSION", ""),
            channel=said.get("CHANNEL", "").lstrip("@"),
        )

    def lets_pass(self, host: str, port: int) -> bool:
        """Whether a client may go there: to the target, and on this machine."""
        try:
            return ipaddress.ip_address(host).is_loopback or (host, port) == (self.address, self.port)
        except ValueError:
            return False


def _read(file: Path) -> str:
    try:
        pem = file.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise TargetError(f"{PREFIX}KEY: {error}") from error
    if "BEGIN RSA PUBLIC KEY" not in pem:
        raise TargetError(f"{PREFIX}KEY: {file} holds no PKCS#1 key (BEGIN RSA PUBLIC KEY)")
    return pem


@cache
def loopback_only(target: Target, base: type[Any] = ConnectionTcpFull) -> type[Any]:
    """The guard: Telethon's own connection, which goes nowhere but to the target.

    Telethon knows doors to the real service (an empty session, a migration), and all of them lead through this class.
    """

    class LoopbackOnly(base):  # type: ignore[misc]  # Telethon has no types
        def __init__(self, ip: str, port: int, dc_id: int, **options: Any) -> None:
            if not target.lets_pass(ip, port):
                raise OutsideRefused(f"data centre {dc_id} at {ip}:{port}")
            super().__init__(ip, port, dc_id, **options)

    return LoopbackOnly
