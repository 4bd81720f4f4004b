"""Shuts every way out of a process but loopback, before it imports a client that knows the real service's addresses.

An audit hook can't be taken out again, nor be gone around by what Python code does with sockets.
"""

import ipaddress
import sys
from typing import Any

refused: list[str] = []
"""What was tried; a client may have swallowed the refusal."""

_TO_AN_ADDRESS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_OF_A_NAME = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}


class OutsideRefused(RuntimeError):
    """Something here wanted to talk to more than this machine. Not an OSError: those are tried again."""


def shut() -> None:
    """From here on, anything that isn't loopback raises ``OutsideRefused`` and is kept in ``refused``."""
    sys.addaudithook(_judge)


def _judge(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _TO_AN_ADDRESS:
        address = arguments[1]
        # None: the socket was connected before, and judged then. Text and bytes: a socket in the file system.
        host = address[0] if isinstance(address, tuple) else None
    elif event in _OF_A_NAME:
        host = arguments[0]
    else:
        return
    if host is not None and not _is_loopback(host):
        refused.append(f"{event} {host}")
        raise OutsideRefused(refused[-1])


def _is_loopback(host: str | bytes) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
