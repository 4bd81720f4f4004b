"""How commands talk to the running daemon: by plain ``urllib``; importing aiohttp takes longer than asking."""

import http.client
import ipaddress
import json
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

TIMEOUT = 30.0
NOT_LET_IN = (401, 403)


class DaemonUnreachable(Exception):
    """Nothing answers there, or nothing that speaks HTTP."""

    def __init__(self, url: str, cause: str) -> None:
        super().__init__(f"the daemon at {url} can't be reached: {cause}")
        self.url = url
        self.cause = cause


class DaemonRefused(Exception):
    """The daemon answered with a problem; its detail says what to do."""

    def __init__(self, status: int, detail: str, document: dict[str, Any]) -> None:
        super().__init__(f"{detail} (HTTP {status})")
        self.status = status
        self.detail = detail
        self.document = document


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    document: Any


class Daemon:
    """The daemon behind a URL.

    ``token`` is sent with each request. ``spare_token_file`` is read only when the daemon asks for a token: on loopback
    few requests need one, and a stale file must not get in the way. ``at`` is the Unix socket where it listens too.
    """

    def __init__(
        self, url: str, *, token: str | None = None, spare_token_file: Path | None = None, at: Path | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._spare = spare_token_file
        # A proxy of the environment is for the world outside, not for this machine.
        proxies: dict[str, str] | None = {} if _is_loopback(urllib.parse.urlsplit(url).hostname) else None
        by_socket = () if at is None else (_BySocket(at),)
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), *by_socket)

    def get(self, path: str, query: Mapping[str, Any] | None = None, *, timeout: float = TIMEOUT) -> Reply:
        """Raises: ``DaemonUnreachable``, ``DaemonRefused``."""
        return self._ask("GET", path, query, None, timeout)

    def post(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        *,
        timeout: float = TIMEOUT,
    ) -> Reply:
        """Raises: ``DaemonUnreachable``, ``DaemonRefused``."""
        return self._ask("POST", path, query, json.dumps(body).encode() if body is not None else b"", timeout)

    def put(self, path: str, body: Mapping[str, Any]) -> Reply:
        """Raises: ``DaemonUnreachable``, ``DaemonRefused``."""
        return self._ask("PUT", path, None, json.dumps(body).encode(), TIMEOUT)

    def delete(self, path: str, query: Mapping[str, Any] | None = None, *, timeout: float = TIMEOUT) -> Reply:
        """Raises: ``DaemonUnreachable``, ``DaemonRefused``."""
        return self._ask("DELETE", path, query, None, timeout)

    def ask(self, method: str, path: str, *, timeout: float = TIMEOUT) -> Reply:
        """Raises: ``DaemonUnreachable``, ``DaemonRefused``."""
        return self._ask(method, path, None, None if method == "GET" else b"", timeout)

    def _ask(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: bytes | None, timeout: float
    ) -> Reply:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        address = self.url + path + ("?" + urllib.parse.urlencode(given) if given else "")
        try:
            return self._send(method, address, body, timeout)
        except DaemonRefused as refused:
            if refused.status not in NOT_LET_IN or self._token is not None or not self._take_spare_token():
                raise
            return self._send(method, address, body, timeout)

    def _take_spare_token(self) -> bool:
        try:
            self._token = self._spare.read_text(encoding="ascii").strip() if self._spare is not None else None
        except (OSError, UnicodeDecodeError):
            return False
        return bool(self._token)

    def _send(self, method: str, address: str, body: bytes | None, timeout: float) -> Reply:
        request = urllib.request.Request(address, data=body, method=method)  # noqa: S310 -- the CLI admits http and https
        if body is not None:
            request.add_header("Content-Type", "application/json")
        if self._token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                return Reply(answer.status, self._document(answer.read()))
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error.code, error.read()) from None
        except TimeoutError as error:
            raise DaemonUnreachable(self.url, f"no answer within {timeout:g} s") from error
        except urllib.error.URLError as error:
            raise DaemonUnreachable(self.url, _cause(error.reason, timeout)) from error
        except http.client.HTTPException as error:
            raise DaemonUnreachable(self.url, "what listens there doesn't speak HTTP") from error
        except OSError as error:
            raise DaemonUnreachable(self.url, _cause(error, timeout)) from error

    def _document(self, raw: bytes) -> Any:
        try:
            return json.loads(raw)
        except ValueError as error:
            raise DaemonUnreachable(self.url, "what listens there isn't Telewarden") from error

    @staticmethod
    def _refusal(status: int, raw: bytes) -> DaemonRefused:
        try:
            document = json.loads(raw)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            document = {}
        detail = str(document.get("detail") or "what listens there answered with an error of its own")
        return DaemonRefused(status, detail.rstrip("."), document)


class _BySocket(urllib.request.HTTPHandler):
    """Speaks HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(partial(_SocketConnection, self._path), req)


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _cause(reason: object, timeout: float) -> str:
    if isinstance(reason, TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror.lower()
    return str(reason)


def _is_loopback(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"
