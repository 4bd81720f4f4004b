"""The connection itself: what goes wrong before or beyond the application is answered as a problem too."""

import logging
from http import HTTPStatus

from aiohttp import web

from daemon.admin.admission import shown
from daemon.admin.problem import Problem

logger = logging.getLogger(__name__)


class Connection(web.RequestHandler):
    """aiohttp's own answers malformed requests and failed handlers in text or HTML, and logs both as errors."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer and close. A failed handler is logged with its traceback, a malformed request isn't worth a line."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error("%s %s failed", request.method, shown(request.path), exc_info=exc)
            problem = Problem(status, "The daemon failed at this request; its log says why")
        else:
            logger.debug("malformed request from %s: %s", request.remote, message)
            problem = Problem(status, "The request isn't valid HTTP")
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun before the request failed")
        answer = problem.response()
        answer.force_close()
        return answer
