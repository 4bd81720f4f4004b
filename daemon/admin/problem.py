"""Errors as RFC 9457 problems: every one says what to do, none shows a stack trace."""

from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer other than success; ``more`` become members of the document beside RFC 9457's own."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.more = more

    def response(self) -> web.Response:
        document = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }
        # Said here as well as in server._mark: a malformed request is answered outside the application.
        headers = {"X-Content-Type-Options": "nosniff", "Server": "telewarden", **self.headers}
        body = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
        return web.Response(status=self.status, body=body, headers=headers, content_type=MEDIA_TYPE)


def busy(detail: str, *, retry_after: int = 5) -> Problem:
    """A passing fault: the same request may succeed after ``retry_after`` seconds."""
    return Problem(503, detail, headers={"Retry-After": str(retry_after)})
