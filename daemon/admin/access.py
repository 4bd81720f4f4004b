"""Who may ask for what: peers, tokens, Host and Origin. Decides; the middleware in ``server`` enforces.

Without a token only ``admin.trusted_peers`` are served, and of those only who speaks to us by a name that DNS can't
rebind: a loopback name, a name of ``admin.allowed_hosts``, or the very address at which the connection arrived. A web
page that has its own name resolve to our address (DNS rebinding) makes the browser of a trusted peer send *that* name
as Host, so it is refused; an IP literal is no name, and a page can't make the browser send ours unless it was loaded
from us. A page of another site that calls us openly is told by its Origin or Sec-Fetch-Site. A valid token needs none
of this: a browser never sends it by itself.
"""

import asyncio
import hashlib
import hmac
import os
import re
import secrets
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Self

from aiohttp import web

from config.model import Admin
from daemon.admin.problem import Problem

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\s:/@\[\]]+))(?::\d{1,5})?", re.ASCII)
_TOKEN_BYTES = 32
_SHORTEST_TOKEN = 32
"""Characters; a shorter text in the token file is a mistake, not a secret."""


class Role(IntEnum):
    """What a caller may do; each role includes those below it."""

    GUEST = 0
    """Anybody who reaches this server: the sign-in page alone, whose key is a one-time link."""
    VIEWER = 1
    """Looks, at posts and all else that isn't secret."""
    OPERATOR = 2
    """Runs the collection: parses, sign-ins, follows, reloads."""
    ADMIN = 3
    """Decides who may do what: tokens, roles, keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """A caller that is served."""

    role: Role
    name: str
    """As the audit has it."""


class TokenFileInvalid(Exception):
    """The token file can't be used; the message says why and which setting names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What a request says about where it comes from."""

    peer: str | None
    local: str | None
    """Address of our end of the connection."""
    host: str | None
    """The Host header; None where there is none or more than one."""
    origin: str | None = None
    fetch_site: str | None = None
    authorization: str | None = None
    uid: int | None = None
    """Of the process at the other end of the Unix socket."""

    @classmethod
    def of(cls, request: web.BaseRequest) -> Self:
        transport = request.transport
        peer, local = (
            (transport.get_extra_info("peername"), transport.get_extra_info("sockname")) if transport else (None, None)
        )
        hosts = request.headers.getall("Host", [])
        return cls(
            peer=peer[0] if isinstance(peer, tuple) else None,
            local=local[0] if isinstance(local, tuple) else None,
            host=hosts[0] if len(hosts) == 1 else None,
            origin=request.headers.get("Origin"),
            fetch_site=request.headers.get("Sec-Fetch-Site"),
            authorization=request.headers.get("Authorization"),
            uid=_uid_of(transport),
        )


FIRST = Who(role=Role.ADMIN, name="the token of admin.token_file")


class Access:
    """Knows the trusted networks, the allowed names and the digest of the admin token."""

    def __init__(self, settings: Admin, token: str) -> None:
        self._digest = _digest(token)
        self.made: Path | None = None
        """The token file, where this start has made it."""
        self.renew(settings)

    def renew(self, settings: Admin) -> None:
        """Trust these networks and names from now on; the token stays."""
        self._networks = settings.trusted_peers
        self._names = frozenset(name.lower().rstrip(".") for name in settings.allowed_hosts)

    @classmethod
    def load(cls, settings: Admin, state_dir: Path) -> Self:
        """Read the token file, or make it (0600) at the first start. Blocking: call it before the loop runs.

        Raises: ``TokenFileInvalid``.
        """
        path = settings.token_file or state_dir / "admin-token"
        before = path.exists()
        access = cls(settings, _read_or_make(path))
        access.made = None if before else path
        return access

    def recognise(self, caller: Caller) -> Who | bytes:
        """Who that is; or the digest of a token that isn't the file's, which the store may know.

        Raises: ``Problem`` 401 or 403.
        """
        given = _bearer(caller.authorization)
        if given is not None:
            # A token decides alone, even where none is needed: who sends one wants to be what it says.
            digest = _digest(given)
            return FIRST if hmac.compare_digest(digest, self._digest) else digest
        if caller.uid is not None:
            return _by_socket(caller.uid)
        if not self._trusts(caller.peer):
            raise unauthorized(
                f"{caller.peer or 'This peer'} is not in admin.trusted_peers: send 'Authorization: Bearer TOKEN' with "
                "the token of admin.token_file, or add its network to admin.trusted_peers"
            )
        if not self._knows(caller):
            raise Problem(
                403,
                f"The Host header {caller.host!r} is not one of this server's names: call it as localhost or 127.0.0.1,"
                " or add the name to admin.allowed_hosts",
            )
        if is_foreign(caller):
            raise Problem(403, "Pages of other sites are not served: send a token to call from elsewhere")
        return Who(role=Role.OPERATOR, name=f"peer {caller.peer}")

    def _trusts(self, peer: str | None) -> bool:
        address = _address(peer)
        return address is not None and any(address in network for network in self._networks)

    def _knows(self, caller: Caller) -> bool:
        if caller.host is None or (found := _HOST.fullmatch(caller.host)) is None:
            return False
        name = (found["v6"] or found["name"]).lower().rstrip(".")
        if name == "localhost" or name in self._names or caller.host.lower() in self._names:
            return True
        address = _address(name)
        return address is not None and (address.is_loopback or address == _address(caller.local))


def is_foreign(caller: Caller) -> bool:
    """Whether the request comes from a page of another site."""
    if caller.fetch_site not in {None, "none", "same-origin"}:
        return True
    if caller.origin is None:
        return False
    scheme, _, authority = caller.origin.lower().partition("://")
    default = {"http": ":80", "https": ":443"}.get(scheme)
    if default is None or caller.host is None:
        return True
    # The scheme isn't compared: behind a proxy that ends TLS, ours is http and the page's https.
    return authority.removesuffix(default) != caller.host.lower().removesuffix(default)


def _uid_of(transport: asyncio.Transport | None) -> int | None:
    """The user of whoever connected by a Unix socket; None for TCP."""
    line = transport.get_extra_info("socket") if transport is not None else None
    if line is None or line.family != socket.AF_UNIX:
        return None
    _, uid, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


def _by_socket(uid: int) -> Who:
    """Whose files these are, and root, may do all: they could read the token file as well."""
    if uid not in {0, os.geteuid()}:
        raise unauthorized(f"User {uid} of this machine isn't the daemon's: send 'Authorization: Bearer TOKEN'")
    return Who(role=Role.ADMIN, name=f"uid {uid}")


def _bearer(authorization: str | None) -> str | None:
    scheme, _, token = (authorization or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def unauthorized(detail: str, *, invalid: bool = False) -> Problem:
    challenge = 'Bearer realm="telewarden"' + (', error="invalid_token"' if invalid else "")
    return Problem(401, detail, headers={"WWW-Authenticate": challenge})


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    """The address, an IPv4-mapped one as IPv4; None for anything else."""
    try:
        address = ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _digest(token: str) -> bytes:
    # aiohttp hands over undecodable header bytes as surrogates.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _read_or_make(path: Path) -> str:
    try:
        return _read(path) or _make(path)
    except FileNotFoundError:
        return _make(path)
    except (OSError, UnicodeDecodeError) as fault:
        raise TokenFileInvalid(f"{path} (admin.token_file) can't be read: {fault}") from fault


def _read(path: Path) -> str | None:
    """The token in the file; None after removing an empty file, which a crash between making and writing leaves."""
    token = path.read_text(encoding="utf-8").strip()
    if not token and path.is_file():
        path.unlink()
        return None
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise TokenFileInvalid(
            f"{path} (admin.token_file) holds no usable token: it takes one line of at least {_SHORTEST_TOKEN} ASCII "
            "characters without blanks. Delete the file, and the next start makes a new one"
        )
    return token


def _make(path: Path) -> str:
    token = "tw_" + secrets.token_urlsafe(_TOKEN_BYTES)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token + "\n")
    except OSError as fault:
        raise TokenFileInvalid(f"{path} (admin.token_file) can't be made: {fault}") from fault
    return token
